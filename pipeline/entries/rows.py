"""Row files: csv, tsv, jsonl and json, read as a stream, one row after the other.

Nothing is guessed: csv is separated by commas, tsv by tabs, both with a line of column names;
jsonl is one object a line; json is one list of objects. UTF-8, with or without a BOM.
"""

from __future__ import annotations

import csv
import json
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline import explain
from pipeline.entries.fault import Fault
from pipeline.entries.limits import limit
from pipeline.spec.scalars import Real

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values by name, its number from 1, and the line where it starts."""

    values: dict[str, Any]
    number: int
    line: int


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row, or a whole file, that cannot be used. `line` is 0 when it is the file."""

    fault: Fault
    line: int
    number: int = 0


def read(path: Path, shown: str) -> Iterator[Row | BadRow]:
    """Yield every row of the file, and a `BadRow` for each one that is wrong.

    `shown` is the file's name as the user wrote it. Raises `Fault` when the file cannot be
    opened or is no row file at all; that belongs to the spec, not to a line of the file.
    """
    suffix = path.suffix.lower()
    if suffix not in (*_DELIMITERS, ".jsonl", ".json"):
        raise Fault(
            "unknown-rows",
            f"{explain.shown(shown)} is no file of rows",
            why="Rows come from .csv, .tsv, .jsonl or .json; the name's ending says which.",
            fix="Rename it, or export it as one of these.",
        )
    _must_be_readable(path, shown)
    return _read(path, suffix)


def _must_be_readable(path: Path, shown: str) -> None:
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        if regular:
            path.open("rb").close()
    except FileNotFoundError:
        raise Fault(
            "missing-file",
            f"the row file {explain.shown(shown)} does not exist",
            fix="Paths are relative to the spec. Mend the name, or create the file.",
        ) from None
    except OSError as error:
        raise Fault(
            "unreadable-file",
            f"the row file {explain.shown(shown)} cannot be read: {error.strerror}",
            fix="Look at its permissions.",
        ) from None
    if not regular:
        raise Fault(
            "unreadable-file",
            f"the row file {explain.shown(shown)} is not a regular file",
            fix="Name a file.",
        )


def _read(path: Path, suffix: str) -> Iterator[Row | BadRow]:
    with path.open("rb") as file:
        start = file.read(3)
        if start[:2] in _OTHER_BOMS:
            yield BadRow(_not_utf8("it looks like UTF-16", "UTF-16"), 1)
            return
        file.seek(3 if start == _BOM else 0)
        if suffix == ".json":
            yield from _listed(file)
            return
        lines = _Lines(file)
        try:
            yield from _objects(lines) if suffix == ".jsonl" else _cells(lines, _DELIMITERS[suffix])
        except Fault as fault:
            yield BadRow(fault, lines.number)


class _Lines:
    """The decoded lines of a file. `number` is the line that was read last, from 1."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._longest = limit("row_bytes")
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(self._longest + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        if len(raw) > self._longest:
            raise Fault(
                "row-too-large",
                f"the line has more than {self._longest:,} bytes",
                why="A row holds the words of one prompt; this is something else.",
                fix="Look whether a quote is missing, or whether it is the right file.",
            )
        if b"\0" in raw:
            raise Fault(
                "not-text",
                "the line holds a NUL byte",
                why="The file is damaged, or no text file.",
                fix="Export it again, as UTF-8 text.",
            )
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            byte = raw[error.start]
            told = f"the byte 0x{byte:02x} is not part of any character"
            raise _not_utf8(told, "WINDOWS-1252") from None


def _not_utf8(why: str, encoding: str) -> Fault:
    return Fault(
        "not-utf8",
        f"the file is not UTF-8: {why}",
        why="In another encoding letters such as é or 图 would come out wrong in the prompt.",
        fix=f"Save it as UTF-8, or convert it:\n  iconv -f {encoding} -t UTF-8 FILE > NEW",
    )


# ── csv and tsv ─────────────────────────────────────────────────────────────────────────────


def _cells(lines: _Lines, delimiter: str) -> Iterator[Row | BadRow]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header = _header(reader)
    if header is None:
        yield BadRow(_empty("it has no line of column names"), 0)
        return
    number, longest = 0, limit("cell_characters")
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield BadRow(_broken(str(error)), line, number + 1)
            return
        if cells is None:
            break
        if not cells:
            continue
        number += 1
        if len(cells) != len(header):
            yield BadRow(_ragged(len(cells), header), line, number)
        elif max(map(len, cells)) > longest:
            yield BadRow(_large_cell(cells, header), line, number)
        else:
            yield Row(dict(zip(header, cells, strict=True)), number, line)
    if not number:
        yield BadRow(_empty("it has column names and no row"), 0)


def _header(reader: Any) -> list[str] | None:
    """Return the column names, or None when there is no line at all. Raises `Fault`."""
    try:
        names = [name.strip() for name in next((cells for cells in reader if cells), [])]
    except csv.Error as error:
        raise _broken(str(error)) from None
    for number, name in enumerate(names, 1):
        if not name:
            raise Fault(
                "nameless-column",
                f"column {number} has no name",
                why="The first line names the columns; a value without a name cannot be used.",
                fix="Name the column, or remove it.",
            )
        if name in names[: number - 1]:
            raise Fault(
                "duplicate-column",
                f"two columns have the name {explain.shown(name)}",
                why="It would be left to chance which of them a prompt gets.",
                fix="Rename one of them.",
            )
    return names or None


def _broken(words: str) -> Fault:
    if "field larger" in words:
        return _too_large("a cell")
    return Fault(
        "broken-row",
        f"the row cannot be read: {words}",
        why="A cell with a quote, a separator or a line break stands in double quotes, and a"
        ' quote inside it is written twice: "an 8"" plate".',
        fix="Mend the quotes, or export the file again.",
    )


def _ragged(count: int, header: list[str]) -> Fault:
    few = count < len(header)
    missing = f": {', '.join(header[count:][:5])}" if few else ""
    return Fault(
        "ragged-row",
        f"the row has {count} {'cell' if count == 1 else 'cells'}; there are {len(header)} columns",
        why=f"There is nothing for{missing[1:]}."
        if few
        else "The cells after the last column have no name.",
        fix="Add the missing separators."
        if few
        else "Put a cell that holds a separator in double quotes.",
    )


def _large_cell(cells: list[str], header: list[str]) -> Fault:
    longest = max(range(len(cells)), key=lambda at: len(cells[at]))
    return _too_large(f"the cell in column {explain.shown(header[longest])}")


def _too_large(what: str) -> Fault:
    return Fault(
        "cell-too-large",
        f"{what} has more than {limit('cell_characters'):,} characters",
        why="A cell holds words of a prompt; this is something else.",
        fix="Look whether a quote is missing, or whether it is the right file.",
    )


def _empty(why: str) -> Fault:
    return Fault("no-rows", f"the row file is empty: {why}", fix="Put rows in, or remove `from:`.")


# ── jsonl and json ──────────────────────────────────────────────────────────────────────────


def _real(written: str) -> Real:
    return Real(float(written), written)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


_decoder = json.JSONDecoder(parse_float=_real, parse_constant=_no_constant)


def _objects(lines: _Lines) -> Iterator[Row | BadRow]:
    number = 0
    for text in lines:
        stripped = text.strip()
        if not stripped:
            continue
        number += 1
        try:
            value = _decoder.decode(stripped)
        except (ValueError, RecursionError) as error:
            yield BadRow(_not_json(error), lines.number, number)
            continue
        yield _row(value, number, lines.number)
    if not number:
        yield BadRow(_empty("it has no line with an object"), 0)


def _listed(file: BinaryIO) -> Iterator[Row | BadRow]:
    """Yield the objects of a JSON list one by one; only the text is held, not all objects."""
    raw = file.read(limit("json_bytes") + 1)
    if len(raw) > limit("json_bytes"):
        fix = "Convert it to .jsonl, which is read line by line:\n  jq -c '.[]' FILE > NEW.jsonl"
        why = "A JSON list has to be held in memory whole."
        yield BadRow(
            Fault(
                "file-too-large",
                f"the file has more than {limit('json_bytes'):,} bytes",
                why=why,
                fix=fix,
            ),
            0,
        )
        return
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        told = f"the byte 0x{raw[error.start]:02x} is not a character"
        yield BadRow(_not_utf8(told, "WINDOWS-1252"), line)
        return
    del raw
    yield from _items(text)


def _items(text: str) -> Iterator[Row | BadRow]:
    at, line, number = _skip(text, 0), 1, 0
    if text[at : at + 1] != "[":
        fault = _empty("it holds nothing") if at == len(text) else _not_a_list()
        yield BadRow(fault, 0 if at == len(text) else 1)
        return
    counted = 0
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        number += 1
        try:
            value, at = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield BadRow(_not_json(error), getattr(error, "lineno", line), number)
            return
        yield _row(value, number, line)
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            line += text.count("\n", counted, at)
            yield BadRow(_not_json(ValueError("a comma or `]` is missing")), line, number)
            return
    if not number:
        yield BadRow(_empty("its list has no item"), 0)


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _row(value: Any, number: int, line: int) -> Row | BadRow:
    if not isinstance(value, dict):
        fault = Fault(
            "not-a-row",
            "the row is not an object",
            why='Each row is a JSON object of names and values: {"sku": "A1", "title": "Mug"}.',
            fix="Mend it, or remove it.",
        )
        return BadRow(fault, line, number)
    for cell in value.values():
        if isinstance(cell, str) and len(cell) > limit("cell_characters"):
            return BadRow(_too_large("a value"), line, number)
    return Row(value, number, line)


def _not_json(error: Exception) -> Fault:
    deep = isinstance(error, RecursionError)
    words = "it is nested too deeply" if deep else str(getattr(error, "msg", error))
    return Fault("broken-row", f"the row is not JSON: {words}", fix="Mend it, or export it again.")


def _not_a_list() -> Fault:
    return Fault(
        "not-a-row",
        "the file is not a list of objects",
        why='A .json file of rows looks like [{"sku": "A1"}, {"sku": "A2"}].',
        fix="Put the rows in a list, or use .jsonl with one object a line.",
    )
