"""Turns one plain word of YAML into a value, by the core rules of YAML 1.2.

Those of YAML 1.1 read `16:9` as the number 969 and `no` as false; nobody who writes a spec means
that. Numbers that Python would print differently keep the text that was typed: `007`, `1.10`.
"""

from __future__ import annotations

import math
import re

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BASES = {"0o": 8, "0x": 16}
# A word that starts otherwise is text: this spares most words the patterns.
_SPECIAL = frozenset("~nNtTfF+-.0123456789")


class Whole(int):
    """An integer that prints as it was typed: `007`, `0x1F`, `+5`."""

    typed: str

    def __new__(cls, value: int, typed: str = "") -> Whole:
        """Make one of its value and its text."""
        made = super().__new__(cls, value)
        made.typed = typed or int.__str__(made)
        return made

    def __str__(self) -> str:
        """Return what was typed."""
        return self.typed


class Real(float):
    """A number with a fraction that prints as it was typed: `1.10`, `1e3`."""

    typed: str

    def __new__(cls, value: float, typed: str = "") -> Real:
        """Make one of its value and its text."""
        made = super().__new__(cls, value)
        made.typed = typed or float.__repr__(made)
        return made

    def __str__(self) -> str:
        """Return what was typed."""
        return self.typed


Scalar = str | int | float | bool | None


class NotANumber(ValueError):
    """The word is infinite, no number at all, or longer than any number people write."""


def resolve(word: str, most_digits: int) -> Scalar:
    """Return the value of a plain word: nothing, true, false, a number, or the text itself.

    Raises `NotANumber` for `.inf`, `.nan`, what overflows, and more than `most_digits` characters.
    """
    if word[:1] not in _SPECIAL:
        return word or None
    if word in _NULLS:
        return None
    if word in _BOOLEANS:
        return _BOOLEANS[word]
    if _INTEGER.fullmatch(word):
        return _integer(word, most_digits)
    if _FLOAT.fullmatch(word):
        return _float(word, most_digits)
    if _NOT_FINITE.fullmatch(word):
        raise NotANumber(word)
    return word


def _integer(word: str, most_digits: int) -> int:
    if len(word) > most_digits:
        raise NotANumber(word)
    base = _BASES.get(word[:2])
    value = int(word[2:], base) if base else int(word)
    return value if str(value) == word else Whole(value, word)


def _float(word: str, most_digits: int) -> float:
    value = float(word)
    if not math.isfinite(value) or len(word) > most_digits:
        raise NotANumber(word)
    return value if repr(value) == word else Real(value, word)
