from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from manifest_samples import downloaded, record, sample

from pipeline.lifecycle import Status
from pipeline.manifest import COLUMNS, rows, write_csv

if TYPE_CHECKING:
    from pipeline.model import Record

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def read(*records: Record) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    write_csv(records, stream)
    stream.seek(0)
    return list(csv.DictReader(stream))


def runs_as_formula(cell: str) -> bool:
    """What the hardest spreadsheets do: blanks and quotes before the sign do not matter."""
    start = cell.lstrip(" \n\v\f\x1c\x1d\x1e\x1f\x85\xa0\u200b\ufeff\"'")[:1]
    return bool(start) and start in "=+-@\t\r＝＋－＠"


def original(cell: str) -> str:
    """The rule of `docs/manifest.md` for having the text back."""
    formula = re.compile(r"""'[\s"'\u200b\ufeff]*[=+\-@\t\r＝＋－＠]""")
    return cell[1:] if formula.match(cell) else cell


@given(TEXT)
@example("=1+1")
@example("'=1+1")
@example("''=1")
@example('"=1')
@example("-5")
@example("'-5")
@example("a\rb")
@example("\r\n=1")
@example("\x00")
def test_every_text_comes_back_from_a_csv_reader(text: str) -> None:
    (row,) = read(record(prompt=text))
    assert original(row["prompt"]) == text


@given(TEXT)
@example("-1+cmd|' /C calc'!A0")
@example("-5\n")
@example(" \t=1")
def test_no_cell_starts_as_a_formula(text: str) -> None:
    (row,) = read(record(prompt=text, entry_id=text, error_message=text, tags=(text,)))
    for cell in row.values():
        assert not runs_as_formula(cell) or cell[0] == "'" or re.fullmatch(r"-\d+(\.\d+)?", cell)


@pytest.mark.parametrize(
    "text", ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", ' "=1', "'=1", "＝1"]
)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    (row,) = read(record(prompt=text))
    assert row["prompt"] == "'" + text


@pytest.mark.parametrize("text", ["-5", "-0.25", "night", "", "1-2", "a=b", "'tis", "猫"])
def test_what_no_spreadsheet_runs_stays_as_it_is(text: str) -> None:
    (row,) = read(record(prompt=text))
    assert row["prompt"] == text


@given(st.lists(TEXT.filter(bool)))
def test_tags_come_back(tags: list[str]) -> None:
    (row,) = read(record(tags=tuple(tags)))
    cell = original(row["tags"])
    parts = re.findall(r"(?:\\.|[^;\\])+", cell, re.DOTALL)
    assert [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts] == tags


def test_lines_end_in_a_line_feed_and_there_is_no_byte_order_mark() -> None:
    stream = io.StringIO(newline="")
    write_csv([record()], stream)
    text = stream.getvalue()
    assert text.startswith("entry_id,")
    assert "\r" not in text
    assert text.endswith("\n")


def test_small_money_is_written_without_an_exponent() -> None:
    (row,) = read(record(cost=1))
    assert row["cost_usd"] == "0.000000001"


def test_unknown_cells_are_empty() -> None:
    (row,) = read(record())
    assert [row[name] for name in ("task_id", "file", "cost_usd", "submitted_at")] == [""] * 4


def test_every_row_says_what_rows_say() -> None:
    for told, row in zip(read(downloaded()), rows(downloaded()), strict=True):
        assert told["width"] == str(row["width"])
        assert told["cost_usd"] == str(row["cost_usd"])


def test_columns_can_be_chosen() -> None:
    stream = io.StringIO()
    write_csv(sample(), stream, ("status", "image_index"))
    assert stream.getvalue() == "status,image_index\ndownloaded,1\ndownloaded,2\nfailed,1\n"


def test_jobs_can_be_chosen_by_status() -> None:
    stream = io.StringIO()
    write_csv(sample(), stream, ("task_id",), {Status.DOWNLOADED})
    assert stream.getvalue() == "task_id\ntask_1\ntask_2\n"


def test_nothing_to_tell_is_a_header_alone() -> None:
    stream = io.StringIO()
    write_csv([], stream)
    assert stream.getvalue() == ",".join(COLUMNS) + "\n"
