"""Rows as CSV, which people open in a spreadsheet, and as JSON lines, which programs read."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from pipeline.manifest.rows import COLUMNS, merged, rows, selected, tell, warnings
from pipeline.terminal import escape

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipeline.lifecycle import Status
    from pipeline.manifest.rows import Told
    from pipeline.model import Record

_FORMULA = re.compile(r"""[\s"'\u200b\ufeff]*[=+\-@\t\r＝＋－＠]""")
"""A start that some spreadsheet runs; quotes and blanks before it do not stop all of them."""
_NUMBER = re.compile(r"-[0-9]+(\.[0-9]+)?")
_QUOTED = re.compile('[,"\r\n]')
_plain = re.compile('[A-Za-z0-9][^,"\r\n]*').fullmatch
"""Says of nearly every cell that it can stand as it is."""
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=float).encode


def write_csv(
    records: Iterable[Record],
    stream: TextIO,
    columns: Sequence[str] = COLUMNS,
    status: Collection[Status] | None = None,
) -> None:
    """Write a header and one row for each image to `stream`, which must not translate newlines.

    Lines end in a line feed, as Unix tools and git want it. There is no byte order mark: programs
    would take it for a part of the first column's name. Cells follow RFC 4180, so that any
    CSV reader gives the text back, line breaks included; cells that a spreadsheet would run as a
    formula have a `'` before them. Raises what `stream` and `records` raise.
    """
    stream.write(heading(columns))
    for record in selected(records, status):
        stream.write(lines(tell(record), columns))


def heading(columns: Sequence[str]) -> str:
    """Return the first line of a CSV file."""
    return ",".join(columns) + "\n"


def lines(told: Told, columns: Sequence[str]) -> str:
    """Return the lines of one job."""
    return "".join(
        [",".join([_cell(row[name]) for name in columns]) + "\n" for row in merged(told)]
    )


def write_jsonl(
    records: Iterable[Record],
    stream: TextIO,
    columns: Sequence[str] = COLUMNS,
    status: Collection[Status] | None = None,
) -> None:
    """Write one JSON object a line for each image: the columns, and `warnings` with them all.

    Whatever some reader takes for the end of a line, or a terminal for an order, is escaped.
    Raises what `stream` and `records` raise.
    """
    whole = tuple(columns) == COLUMNS
    for record in selected(records, status):
        for row in rows(record):
            told = {name: row[name] for name in columns}
            if whole:
                told["warnings"] = warnings(record.size, row)
            stream.write(escape(_ENCODE(told)) + "\n")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value if _plain(value) else _guarded(value)
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, int) else _guarded(_joined(value))


def _guarded(text: str) -> str:
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _joined(tags: Sequence[str]) -> str:
    r"""Join tags by `;`; a `;` or `\` of their own has a `\` before it. Empty tags are left out."""
    return ";".join(tag.replace("\\", "\\\\").replace(";", "\\;") for tag in tags if tag)
