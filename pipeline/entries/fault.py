"""Something wrong with one value, before it is known where in which file the value stands."""

from __future__ import annotations


class Fault(Exception):
    """Carries the words of a problem from where it is noticed to where its place is known."""

    def __init__(self, code: str, message: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.why = why
        self.fix = fix
