"""Text for a terminal: made harmless, measured, cut, coloured, and how wide the terminal is.

Whatever comes from the API, a spec or a file name goes through `clean` before it is printed.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

USUAL_COLUMNS = 80
"""The width that is assumed where nobody knows it."""

_BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"
_HOSTILE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def clean(text: str) -> str:
    """Return `text` on one line and without power over a terminal.

    Line breaks and tabs become a space, other C0 controls their Unicode pictures (escape is ␛),
    C1 controls, direction marks and lone surrogates the replacement character.
    """
    return _HOSTILE.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    if character in _BREAKS:
        return " "
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def escape(json_text: str) -> str:
    r"""Return JSON text with everything `clean` would touch written as `\uXXXX`; the same JSON."""
    return _HOSTILE.sub(lambda match: f"\\u{ord(match.group()):04x}", json_text)


def width(text: str) -> int:
    """Return how many columns clean `text` takes: two for wide characters, none for combining."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """Return clean `text` shortened to at most `columns` columns, ending in … when it was cut."""
    if width(text) <= columns:
        return text
    if columns < 1:
        return ""
    room, kept = columns - 1, 0
    for index, character in enumerate(text):
        kept += _columns_of(character)
        if kept > room:
            return text[:index].rstrip() + "…"
    return text


def tail(text: str, columns: int) -> str:
    """Return clean `text` shortened to at most `columns` columns by its start: the end of a path
    says more.
    """
    if width(text) <= columns:
        return text
    return cut(text[::-1], columns)[::-1]


def pad(text: str, columns: int) -> str:
    """Return clean `text` cut or filled up with spaces to exactly `columns` columns."""
    fitting = cut(text, columns)
    return fitting + " " * (columns - width(fitting))


def columns(stream: TextIO, environ: Mapping[str, str]) -> int:
    """Return how wide `stream` is: COLUMNS, else what its terminal says, else 80."""
    told = environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    except (OSError, ValueError, AttributeError):
        return USUAL_COLUMNS


def interactive(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether `stream` is a terminal on which a line can be drawn over."""
    try:
        return stream.isatty() and environ.get("TERM", "") != "dumb"
    except ValueError:  # closed already
        return False


def colored(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether to colour: a terminal that is not dumb, and NO_COLOR is not set."""
    return not environ.get("NO_COLOR") and interactive(stream, environ)


def unicode(stream: TextIO) -> bool:
    """Say whether `stream` can carry more than ASCII. A stream without an encoding can."""
    encoding = getattr(stream, "encoding", None)
    if not encoding:
        return True
    try:
        "━…".encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def encodable(text: str, stream: TextIO) -> str:
    r"""Return `text` as `stream` can carry it: with `\uXXXX` where it can carry only ASCII."""
    if unicode(stream):
        return text
    return text.encode("ascii", "backslashreplace").decode("ascii")


def paint(text: str, style: str, color: bool) -> str:
    """Return `text` in a style (bold, dim, red, green, yellow, cyan) when `color` is wanted."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if color and text else text


def duration(seconds: float) -> str:
    """Spell a time span for people: `0.4 s`, `24 s`, `3 min 05 s`, `2 h 03 min`, `4 d 07 h`."""
    if seconds < 1:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = whole // 60
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes // 60 % 24:02d} h"


def command(words: Iterable[str]) -> str:
    """Return a command to copy, quoted for a POSIX shell, safe to print on a terminal."""
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if not _HOSTILE.search(word):
        return shlex.quote(word)
    raw = word.encode("utf-8", "surrogateescape")
    # Bytes outside printable ASCII as octal: the only quoting that carries control characters.
    return "$'" + "".join(_octal(byte) for byte in raw) + "'"


def _octal(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\{byte:03o}"


def wrap(text: str, columns: int) -> list[str]:
    """Break clean `text` into lines of at most `columns` columns, between words where it can."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if width(joined) <= columns:
            lines[-1] = joined
            continue
        *whole, rest = _pieces(word, max(columns, 2))
        lines[-1:] = [line for line in (lines[-1], *whole) if line] + [rest]
    return lines


def _pieces(word: str, columns: int) -> list[str]:
    pieces, taken = [""], 0
    for character in word:
        need = _columns_of(character)
        if taken + need > columns:
            pieces.append("")
            taken = 0
        pieces[-1] += character
        taken += need
    return pieces
