"""`from:` csv, tsv, jsonl and json: streamed, and a bad row named by file and line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entries.rows import BadRow, Row, read

FROM = """
from: {}
id: ${{{{ row['sku'] }}}}
prompt: A ${{{{ title }}}}
"""


def spec(name: str) -> str:
    return FROM.format(name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'sku,title\n1,mug\n2,"a, b"\n'),
        ("a.csv", '\ufeffsku,title\r\n1,mug\r\n\r\n2,"a, b"\r\n'),
        ("a.CSV", 'sku , title\n1,mug\n2,"a, b"'),
        ("a.tsv", "sku\ttitle\n1\tmug\n2\ta, b\n"),
        ("a.jsonl", '{"sku": 1, "title": "mug"}\n\n{"sku": "2", "title": "a, b"}\n'),
        ("a.json", '[{"sku": 1, "title": "mug"},\n {"sku": "2", "title": "a, b"}]\n'),
        ("a.json", '\ufeff [ {"sku":1,"title":"mug"} , {"sku":2,"title":"a, b"} ] '),
    ],
)
def test_every_kind_of_row_file_gives_one_entry_a_row(desk, name, content):
    desk.put(name, content)
    got = desk.entry(spec(name))
    assert got.problems == []
    assert [(e.id, e.jobs[0].prompt) for e in got.entries] == [("1", "A mug"), ("2", "A a, b")]


def test_a_cell_may_hold_line_breaks_and_lines_are_still_counted_right(desk):
    desk.put("a.csv", 'sku,title\n1,"two\nlines"\n2\n')
    got = desk.entry(spec("a.csv"))
    assert got.prompts == ["A two\nlines"]
    assert (got.only.code, got.only.place.line) == ("ragged-row", 4)


def test_columns_with_spaces_are_read_through_row(desk):
    desk.put("a.csv", "its name\nMug\n")
    assert desk.entry("from: a.csv\nprompt: ${{ row['its name'] }}").prompts == ["Mug"]


def test_a_column_with_a_reserved_name_is_read_through_row(desk):
    desk.put("a.csv", "id,date,index\nx,yesterday,99\n")
    got = desk.entry(
        "from: a.csv\nid: ${{ row['id'] }}\n"
        "prompt: ${{ row['date'] }} ${{ date }} ${{ index }} ${{ id }} ${{ spec }}"
    )
    assert got.prompts == ["yesterday 2026-01-31 1 x spec"]


def test_numbers_of_json_keep_the_text_they_were_written_as(desk):
    desk.put("a.jsonl", '{"sku": 1, "title": 1.10}\n')
    assert desk.entry(spec("a.jsonl")).prompts == ["A 1.10"]


def test_what_a_row_holds_is_never_a_template(desk):
    desk.put("a.csv", "sku,title\n1,${{ 1 + 1 }} {% if %}\n")
    assert desk.entry(spec("a.csv")).prompts == ["A ${{ 1 + 1 }} {% if %}"]


def test_a_blank_cell_of_a_lone_reference_or_tag_leaves_it_out(desk, png):
    desk.put("m.png", png)
    desk.put("a.csv", "ref,tag\nm.png,hot\n,\n")
    got = desk.entry(
        "from: a.csv\nprompt: p ${{ index }}\nreferences: ['${{ ref }}']\ntags: ['${{ tag }}']"
    )
    assert [(len(e.jobs[0].references), e.tags) for e in got.entries] == [(1, ("hot",)), (0, ())]


@pytest.mark.parametrize(
    ("name", "content", "code", "line"),
    [
        ("a.csv", "", "no-rows", 0),
        ("a.csv", "\n\n", "no-rows", 0),
        ("a.csv", "sku,title\n", "no-rows", 0),
        ("a.csv", "sku,title\n1,a\n2\n3,b\n", "ragged-row", 3),
        ("a.csv", "sku,title\n1,a,c\n", "ragged-row", 2),
        ("a.csv", "sku,sku\n1,a\n", "duplicate-column", 1),
        ("a.csv", "sku,,title\n1,a,b\n", "nameless-column", 1),
        ("a.csv", "sku,title\n1,a\n2,b\0c\n", "not-text", 3),
        ("a.csv", "sku,title\n1,Caf\u00e9\n".encode("latin-1"), "not-utf8", 2),
        ("a.csv", "sku,title\n1,a\n".encode("utf-16"), "not-utf8", 1),
        ("a.csv", 'sku,title\n1,"open\n2,b\n', "broken-row", 2),
        ("a.csv", 'sku,title\n1,"a"b\n', "broken-row", 2),
        ("a.csv", "sku,title\n1," + "x" * 200_000 + "\n", "cell-too-large", 2),
        ("a.csv", "sku,title\n1," + "x" * 10_000_000 + "\n", "row-too-large", 2),
        ("a.jsonl", "", "no-rows", 0),
        ("a.jsonl", '{"sku": 1, "title": "a"}\n[1]\n', "not-a-row", 2),
        ("a.jsonl", '{"sku": 1, "title": "a"}\n{"sku": \n', "broken-row", 2),
        ("a.jsonl", '{"sku": 1, "title": NaN}\n', "broken-row", 1),
        ("a.jsonl", "[" * 100_000 + "\n", "broken-row", 1),
        ("a.jsonl", '{"sku": 1, "title": "' + "x" * 200_000 + '"}\n', "cell-too-large", 1),
        ("a.json", "", "no-rows", 0),
        ("a.json", "[]", "no-rows", 0),
        ("a.json", '{"rows": []}', "not-a-row", 1),
        ("a.json", '[{"sku": 1, "title": "a"},\n\n {"sku": 2 "title"}]', "broken-row", 3),
        ("a.json", '[{"sku": 1, "title": "a"}\n {"sku": 2}]', "broken-row", 2),
        ("a.json", '[{"sku": 1, "title": "a"},\n 7]', "not-a-row", 2),
        ("a.json", '[{"sku": 1, "title": "a"},\n', "broken-row", 2),
        ("a.json", b'[{"sku": 1,\n "title": "\xff"}]', "not-utf8", 2),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(desk, name, content, code, line):
    desk.put(name, content)
    problem = desk.entry(spec(name)).only
    assert (problem.code, problem.place.file, problem.place.line) == (code, name, line)
    assert problem.fix


def test_the_rows_around_a_bad_one_are_still_made(desk):
    desk.put("a.csv", "sku,title\n1,a\n2\n3,c\n")
    assert desk.entry(spec("a.csv")).prompts == ["A a", "A c"]


@pytest.mark.parametrize(
    ("name", "code"),
    [("none.csv", "missing-file"), ("a.xlsx", "unknown-rows"), ("folder.csv", "unreadable-file")],
)
def test_a_row_file_that_cannot_be_opened_is_a_problem_of_the_spec(desk, name, code):
    (desk.folder / "folder.csv").mkdir()
    problem = desk.entry(spec(name)).only
    assert (problem.code, problem.place.file, problem.place.line) == (code, "spec.yaml", 3)


def test_a_json_file_beyond_the_limit_is_refused(desk):
    desk.put("a.json", b"[" + b" " * 67_108_864 + b"]")
    problem = desk.entry(spec("a.json")).only
    assert problem.code == "file-too-large"
    assert "jsonl" in problem.fix


def test_a_problem_that_comes_from_a_row_says_which_one(desk):
    desk.put("a.csv", "sku,title,size\n1,a,1:1\n2,b,16x9\n")
    problem = desk.entry(spec("a.csv") + "size: ${{ size }}\n").only
    assert (problem.place.file, problem.place.line) == ("spec.yaml", 6)
    assert problem.within == "row 2 of a.csv, line 3"


def test_after_very_many_problems_it_stops_and_says_so(desk):
    desk.put("a.csv", "sku,title\n" + "".join(f"{n},\n" for n in range(3000)))
    got = desk.entry("from: a.csv\nid: ${{ row['sku'] }}\nprompt: ${{ title }}\n")
    assert len(got.problems) == 1001
    assert got.problems[-1].code == "too-many-problems"
    assert "1,000" in got.problems[-1].message


def test_a_problem_of_the_item_itself_is_said_once_for_all_rows(desk):
    desk.put("a.csv", "sku,title\n1,a\n2,b\n")
    got = desk.entry(spec("a.csv") + "size: 16x9\n")
    assert (got.only.code, got.only.within) == ("unknown-value", "")


def test_the_row_file_may_be_named_by_a_variable(desk):
    desk.put("eu.csv", "sku,title\n1,a\n")
    got = desk.expand(
        "vars: {region: eu}\nentries:\n  - {from: '${{ region }}.csv', prompt: '${{ title }}'}\n"
    )
    assert got.prompts == ["a"]


def test_one_entry_for_every_row_and_every_combination(desk):
    desk.put("a.csv", "sku,title\n1,a\n2,b\n")
    got = desk.entry(
        "from: a.csv\nid: ${{ row['sku'] }}-${{ c }}\nprompt: ${{ title }} ${{ c }} ${{ index }}\n"
        "matrix: {c: [x, y]}"
    )
    assert got.prompts == ["a x 1", "a y 2", "b x 3", "b y 4"]


@given(
    st.sampled_from([".csv", ".tsv", ".jsonl", ".json"]),
    st.binary(max_size=60)
    | st.text(alphabet='ab,\t"\n\r[]{}:1 e.-\0\ufeff\ud7ff', max_size=60).map(str.encode),
)
@settings(deadline=None, max_examples=200)
def test_no_bytes_end_in_anything_but_rows_and_bad_rows(suffix, content):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"a{suffix}"
        path.write_bytes(content)
        for row in read(path, path.name):
            assert isinstance(row, (Row, BadRow))
            assert isinstance(row, Row) or row.fault.fix
