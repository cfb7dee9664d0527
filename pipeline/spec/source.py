"""Reads the bytes of a spec and makes text of them, or says why that cannot be."""

from __future__ import annotations

import difflib
import re
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from pipeline import schema, secret
from pipeline.errors import SpecError
from pipeline.explain import shown
from pipeline.problem import Place, Problem

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, TextIO

# What libyaml counts as the end of a line.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
# What YAML lets no file hold: C0 and C1 controls but tab and line breaks, and two non-characters.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_MAGIC = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"PK\x03\x04": "a zip archive (an Excel or Word file is one)",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"SQLite format 3": "a SQLite database",
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def limit(name: str) -> int:
    """Return a bound of `schemas/limits.json` for specs."""
    return int(schema.document("limits")["spec"][name])


class Source:
    """The text of one file, by lines. Keys that it holds are starred out of what is shown."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._hidden: list[str] = []
        self._starts: array[int] | None = None

    def line(self, place: Place) -> str:
        """Return the line at `place`, cut around its column when huge; `""` when there is none."""
        starts = self._lines()
        if not 0 < place.line <= len(starts):
            return ""
        start = starts[place.line - 1]
        end = starts[place.line] if place.line < len(starts) else len(self.text)
        most = limit("shown_line")
        if place.column > most:
            start += place.column - most // 2
        # Masked before it is cut, and with room around it, so that no half of a key is left.
        text = self.masked(_BREAK.sub("", self.text[start : min(end, start + 2 * most)]))
        return text[:most]

    def place(self, offset: int) -> Place:
        """Return the place of a character, counted from 0."""
        starts = self._lines()
        row = bisect_right(starts, offset)
        return Place(self.file, row, offset - starts[row - 1] + 1)

    def hide(self, value: str) -> None:
        """Star `value` out of everything that is shown of this file from now on."""
        self._hidden.append(value)

    def masked(self, text: str) -> str:
        """Return `text` without the keys that are known to be in this file."""
        for value in self._hidden:
            text = text.replace(value, "*" * len(value))
        return secret.mask(text)

    def problem(
        self, code: str, message: str, place: Place, *, why: str = "", fix: str = ""
    ) -> Problem:
        """Return a problem at `place` with its line."""
        return Problem(code, self.masked(message), place, why, fix, text=self.line(place))

    def _lines(self) -> array[int]:
        if self._starts is None:
            self._starts = array("Q", [0])
            self._starts.extend(found.end() for found in _BREAK.finditer(self.text))
        return self._starts


def fatal(file: str, code: str, message: str, *, why: str = "", fix: str = "") -> SpecError:
    """Return the error for a file of which nothing can be made."""
    return SpecError([Problem(code, message, Place(file), why, fix)])


def empty(file: str) -> SpecError:
    """Return the error for a file in which nothing is written but comments."""
    fix = "Start with `version: 1` and a list of `entries:`, or let one be written:"
    return fatal(
        file, "empty-file", f"there is nothing in {shown(file)}", fix=f"{fix}\n  banana-batch init"
    )


def read_file(path: Path, file: str) -> bytes:
    """Return a spec's bytes. Raises `SpecError` when it is missing, no file or too big."""
    try:
        if path.is_dir():
            raise fatal(
                file,
                "not-a-file",
                f"{shown(file)} is a folder, not a spec",
                fix=f"Name a file in it{_candidates(path)}.",
            )
        with path.open("rb") as stream:
            return _sized(stream.read(limit("file_bytes") + 1), file)
    except FileNotFoundError:
        if path.is_symlink():
            message = f"{shown(file)} is a link to a file that does not exist"
            raise fatal(file, "no-such-file", message, fix="Mend the link.") from None
        near = _near(path)
        raise fatal(
            file,
            "no-such-file",
            f"there is no file {shown(file)}" + (f"; did you mean {shown(near)}?" if near else ""),
            fix="Mend the name, or start a new spec:\n  banana-batch init",
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"{shown(file)} cannot be read: {reason}"
        raise fatal(file, "not-readable", message, fix="Look at its permissions.") from None


def read_stream(stream: TextIO | BinaryIO | None, file: str) -> bytes:
    """Return all of standard input. Raises `SpecError` when there is none or it is too big."""
    if stream is None:
        raise fatal(file, "not-readable", "there is no standard input to read a spec from")
    raw: Any = getattr(stream, "buffer", stream)
    data = raw.read(limit("file_bytes") + 1)
    return _sized(data if isinstance(data, bytes) else data.encode("utf-8", "replace"), file)


def _sized(data: bytes, file: str) -> bytes:
    if len(data) > (most := limit("file_bytes")):
        raise fatal(
            file,
            "too-big",
            f"{shown(file)} is larger than {most >> 20} MB",
            why="A spec is text that people read; data belongs in files of its own.",
            fix="Put the rows into a csv or jsonl file and name it with `from:`.",
        )
    return data


def decode(data: bytes, file: str) -> Source:
    """Make text of a spec's bytes. Raises `SpecError` for what is no UTF-8 text."""
    if not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise empty(file)
    _refuse_binary(data, file)
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError([_not_utf8(data, error, file)]) from None
    source = Source(file, text)
    _refuse_long_line(source, data)
    if found := CONTROL.search(text):
        place = source.place(found.start())
        message = f"there is a control character ({ord(found[0]):#04x}) in the text"
        fix = "Remove it. Programs that copy from a terminal or a PDF leave such bytes behind."
        raise SpecError([source.problem("control-character", message, place, fix=fix)])
    return source


def _refuse_binary(data: bytes, file: str) -> None:
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "")
    if data.startswith(_UTF_16):
        raise fatal(
            file,
            "not-utf-8",
            f"{shown(file)} is saved as UTF-16; a spec is UTF-8",
            fix="Save it as UTF-8, or convert it:\n  iconv -f UTF-16 -t UTF-8 OLD > NEW",
        )
    if kind or b"\0" in data:
        what = kind or "binary data: it holds NUL bytes"
        raise fatal(
            file,
            "binary-file",
            f"{shown(file)} is {what}, not a spec",
            fix="Name the YAML file. Images belong under `references:` of an entry.",
        )


def _not_utf8(data: bytes, error: UnicodeDecodeError, file: str) -> Problem:
    before = data[: error.start].decode("utf-8", "replace").removeprefix("\ufeff")
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    raw = data[data.rfind(b"\n", 0, error.start) + 1 : error.start + 80].split(b"\n")[0]
    return Problem(
        "not-utf-8",
        f"byte {data[error.start]:#04x} is not UTF-8",
        Place(file, line, column),
        why="The file is saved in another encoding.",
        fix="Save it as UTF-8.",
        text=secret.mask(raw.decode("utf-8", "replace")) if len(raw) < limit("shown_line") else "",
    )


def _refuse_long_line(source: Source, data: bytes) -> None:
    most = limit("line_bytes")
    if len(data) <= most:
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if len(line) > most:
            message = (
                f"line {number} is {len(line) >> 20} MB long; at most {most >> 20} MB are read"
            )
            fix = "Put images into files and name them under `references:`."
            raise SpecError(
                [Problem("line-too-long", message, Place(source.file, number, 1), fix=fix)]
            )


def _neighbours(folder: Path) -> list[str]:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except (OSError, ValueError):
        return []
    return [name for name in names if name.endswith((".yaml", ".yml"))]


def _near(path: Path) -> str:
    stems = {name.rsplit(".", 1)[0]: name for name in _neighbours(path.parent)}
    found = difflib.get_close_matches(path.stem, stems, n=1, cutoff=0.7)
    return stems[found[0]] if found else ""


def _candidates(folder: Path) -> str:
    names = _neighbours(folder)[:3]
    return f", such as {', '.join(names)}" if names else ""
