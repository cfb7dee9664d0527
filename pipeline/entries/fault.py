"""Something wrong with one value, before it is known where in which file the value stands."""

from __future__ import annotations


class Fault(Exception):
    """Carries the words of a problem from where it is noticed to where its place is known.

    A `silent` one only follows from a mistake that was told already: it is not told again.
    """

    def __init__(
        self, code: str, message: str, *, why: str = "", fix: str = "", silent: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.why = why
        self.fix = fix
        self.silent = silent


def too_heavy() -> Fault:
    """Return the fault of an expression that would take too much memory or time."""
    return Fault(
        "template-too-heavy",
        "a `${{ … }}` here makes too much: a giant text, number or list",
        why="Expressions are for choosing and joining words; they have a small budget.",
        fix="Write the text out, or put it into a row file or `vars:`.",
    )
