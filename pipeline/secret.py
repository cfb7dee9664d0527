"""Knows what a key looks like, so that none is kept in a spec, shown in a message or logged."""

from __future__ import annotations

import re

_CHARACTER = r"[A-Za-z0-9_\-]"
_FILES = "png|jpe?g|webp|gif|bmp|tiff?|avif|heic|txt|md|csv|tsv|jsonl?|ya?ml"
_SURE = re.compile(
    # Keys by their own look. A file name such as refs/sk-….png is none, and a key has digits.
    rf"(?<!{_CHARACTER})(?:sk|rk|pk|ghp|gho|xox[abp])[-_]"
    rf"(?={_CHARACTER}*\d){_CHARACTER}{{16,}}+(?!\.(?:{_FILES})\b)"
    rf"|(?<!{_CHARACTER})AIza{_CHARACTER}{{35}}"
    r"|(?<![A-Za-z])[Bb]earer[ \t]+(?=[A-Za-z._~+/\-]*\d)[A-Za-z0-9._~+/\-]{16,}+=*"
)
_NAMES = (
    r"api[_-]?key|apikey|apimart[_-]?api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key"
    r"|client[_-]?secret|authorization|auth[_-]?token|access[_-]?token|token|secret|password"
)
_NAME = re.compile(rf"(?:\w*[_-])?(?:{_NAMES})", re.IGNORECASE)
_VALUE = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/_=.~\-]{20,}")
_NAMED = re.compile(
    rf"(?<![A-Za-z])(?:{_NAMES})[\"']?[ \t]*[:=][ \t]*[\"']?"
    rf"((?=[^\s\"']*\d)[A-Za-z0-9+/_=.~\-]{{20,}}+)",
    re.IGNORECASE,
)


def find(text: str) -> list[tuple[int, int]]:
    """Return start and end of everything in `text` that is a key by its own look."""
    return [match.span() for match in _SURE.finditer(text)]


def named(name: str, value: str) -> bool:
    """Say whether `value` is a key because of the `name` it stands under, such as `api_key`."""
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None


def mask(text: str) -> str:
    """Return `text` with every key in it starred out. The length stays, so that carets fit."""
    spans = find(text) + [match.span(1) for match in _NAMED.finditer(text)]
    for start, end in spans:
        text = text[:start] + "*" * (end - start) + text[end:]
    return text
