"""Text with `${{ … }}` in it: compiled once, filled in once for each entry.

What a row or a variable holds is put in as it is and never read as a template. All other braces
stay as typed. Most templates are names and nothing else, and those are filled in here; whatever
else there is belongs to `expression`, which is loaded when the first of these comes.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

from pipeline.entries.fault import Fault, too_heavy
from pipeline.entries.limits import limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.entries.expression import Expressions

MARK = "${{"
_NAMES = re.compile(r"\$\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_WORDS = frozenset(("true", "false", "none", "True", "False", "None", "not", "if", "else", "in"))
"""Words of the expression language, which are no names."""


class Text:
    """One compiled text. `fixed` is the text itself when nothing has to be filled in."""

    __slots__ = ("_render", "fixed")

    def __init__(self, fixed: str | None, render: Callable[[], str] | None = None) -> None:
        self.fixed = fixed
        self._render = render

    def render(self) -> str:
        """Return the text with every `${{ … }}` filled in from the names as they are now.

        Raises `Fault` for an unknown name, a value that is no text, and an expression that
        fails, reaches for attributes or makes too much.
        """
        if self._render is None:
            return self.fixed or ""
        return self._render()


class Unknown:
    """What a name holds that must not be used now. `hint` and `advice` are told when it is."""

    __slots__ = ("advice", "hint")

    def __init__(self, hint: str, advice: str) -> None:
        self.hint = hint
        self.advice = advice


class Templates:
    """Compiles texts and keeps them. All of them read `names`, which the caller fills."""

    def __init__(
        self, names: dict[str, Any], advice: str = "Add it to `vars:`, or mend it."
    ) -> None:
        self._names = names
        self._advice = advice
        self._made: Expressions | None = None
        self.partial = False
        """Whether names are missing because what holds them is wrong: then nothing is said."""

    def text(self, written: str) -> Text:
        """Compile what the user wrote. Raises `Fault` when it cannot be read as a template."""
        if MARK not in written:
            return Text(sound_text(written))
        parts = _NAMES.split(written)
        if any(MARK in one for one in parts[::2]) or not _WORDS.isdisjoint(parts[1::2]):
            return Text(None, self._expression(sound_text(written)))
        return self._of_names(sound_text(written), parts)

    def _expression(self, written: str) -> Callable[[], str]:
        if self._made is None:
            from pipeline.entries.expression import Expressions

            self._made = Expressions(self._names, self._advice)
        render = self._made.compiled(written)

        def rendered() -> str:
            try:
                return sound_text(render())
            except Fault as fault:
                # A name that is not known may be one of those that are missing by a mistake.
                fault.silent = fault.silent or (self.partial and fault.code == "unknown-name")
                raise

        return rendered

    def _of_names(self, written: str, parts: list[str]) -> Text:
        """Return a text with nothing but names in it, which most are: no need to compile those."""
        names = self._names
        literals, wanted, longest = parts[::2], parts[1::2], limit("text_characters")

        def render() -> str:
            try:
                values = [_plain(names[name]) for name in wanted]
            except LookupError:
                return self._expression(written)()
            text = "".join(itertools.chain(*zip(literals, values, strict=False), literals[-1:]))
            if len(text) > longest:
                raise too_heavy()
            return sound_text(text)

        return Text(None, render)


def _plain(value: Any) -> str:
    """Return the text of a plain value. Raises `LookupError` for one that is not so simple."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise LookupError


def sound_text(text: str) -> str:
    """Return `text` when it can be stored and sent. Raises `Fault` for what is not text."""
    if "\0" in text:
        raise Fault(
            "not-text",
            "the text holds a NUL character",
            why="NUL ends a text in most programs: what follows it would be lost.",
            fix="Remove it.",
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Fault(
                "not-text",
                "the text holds half of a surrogate pair, which is no character",
                why="It cannot be written as UTF-8, so it cannot be sent.",
                fix="Remove the `\\ud…` escape, or write the character itself.",
            ) from None
    return text


def holds_template(value: Any) -> bool:
    """Say whether a value, or anything inside it, is written as a template."""
    if isinstance(value, str):
        return MARK in value
    if isinstance(value, dict):
        return any(holds_template(one) for one in value.values())
    return isinstance(value, list) and any(holds_template(one) for one in value)
