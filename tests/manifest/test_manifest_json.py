from __future__ import annotations

import importlib.util
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_samples import NOON, about, downloaded, image, record, sample

from pipeline import schema
from pipeline.errors import InputError
from pipeline.lifecycle import Status
from pipeline.manifest import COLUMNS, write_json, write_jsonl, write_parquet
from pipeline.terminal import clean

if TYPE_CHECKING:
    from pipeline.model import Record

ARROW = importlib.util.find_spec("pyarrow") is not None
SCHEMA = schema.document("manifest")
DOCUMENT = schema.Validator(SCHEMA)
ROW = schema.Validator({"$defs": SCHEMA["$defs"], "$ref": "#/$defs/row"})


def document(*records: Record, **options: Any) -> Any:
    stream = io.StringIO()
    write_json(about(downloaded=2, failed=1), records, stream, **options)
    return json.loads(stream.getvalue())


def lines(*records: Record, **options: Any) -> list[Any]:
    stream = io.StringIO()
    write_jsonl(records, stream, **options)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_document_is_valid() -> None:
    assert DOCUMENT.violations(document(*sample())) == []


def test_the_document_of_nothing_is_valid() -> None:
    assert DOCUMENT.violations(document()) == []


@given(status=st.sampled_from(Status), images=st.integers(1, 4), text=st.text(max_size=20))
def test_a_job_of_any_status_is_valid(status: Status, images: int, text: str) -> None:
    job = record(status=status, images=images, prompt=text, tags=(text,), error_message=text)
    assert DOCUMENT.violations(document(job)) == []
    assert all(ROW.violations(line) == [] for line in lines(job))


def test_the_schema_says_no_to_what_is_wrong() -> None:
    wrong = document(*sample())
    wrong["entries"][0]["jobs"][0]["status"] = "finished"
    assert [one.keyword for one in DOCUMENT.violations(wrong)] == ["enum"]


def test_the_schema_knows_every_column() -> None:
    assert tuple(SCHEMA["$defs"]["row"]["properties"]) == (*COLUMNS, "warnings")


def test_every_field_of_the_schema_is_described_with_an_example() -> None:
    def bare(part: Any, path: str) -> list[str]:
        if not isinstance(part, dict):
            return []
        found = []
        for name, field in part.get("properties", {}).items():
            place = f"{path}/{name}"
            if "$ref" not in field and not field.get("description"):
                found.append(place)
            found += bare(field, place)
        for name, definition in part.get("$defs", {}).items():
            found += bare(definition, name)
        return found

    assert bare(SCHEMA, "") == []


def test_jobs_are_grouped_by_entry_in_spec_order() -> None:
    found = document(*sample())
    assert [(one["entry_id"], len(one["jobs"])) for one in found["entries"]] == [
        ("night-city", 2),
        ("=mug", 1),
    ]


def test_a_job_has_its_whole_cost_and_its_images_none() -> None:
    (job,) = document(downloaded(images=3))["entries"][0]["jobs"]
    assert job["cost_usd"] == 0.0336
    assert all("cost_usd" not in one for one in job["images"])


def test_the_head_says_whose_results_these_are() -> None:
    found = document()
    del found["entries"], found["totals"]
    assert found == {
        "$schema": SCHEMA["$id"],
        "version": 1,
        "name": "sample",
        "spec": "specs/sample.yaml",
        "git_commit": None,
        "host": "http://127.0.0.1:8787",
        "sandbox": True,
        "generated_at": "2026-01-02T12:00:00Z",
        "generator": "banana-batch 0.1.0",
    }


def test_another_ratio_than_asked_for_is_a_warning() -> None:
    job = downloaded(results=(image(width=1024, height=1024),))
    assert document(job)["entries"][0]["jobs"][0]["images"][0]["warnings"] == [
        "asked for 16:9, delivered 1024×1024 (1:1)"
    ]


def test_json_lines_have_one_valid_row_an_image() -> None:
    found = lines(*sample())
    assert [ROW.violations(one) for one in found] == [[], [], []]
    assert [one["entry_id"] for one in found] == ["night-city", "night-city", "=mug"]


@pytest.mark.parametrize("text", ["a\x85b", "a\u2028b", "\x1b[31m", "\u202eevil", "猫"])
def test_no_text_breaks_a_line_or_reaches_the_terminal(text: str) -> None:
    stream = io.StringIO()
    write_jsonl([record(prompt=text)], stream)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["prompt"] == text
    assert clean(line) == line


def test_json_lines_of_chosen_columns_have_these_alone() -> None:
    assert lines(*sample(), columns=("status",), status={Status.FAILED}) == [{"status": "failed"}]


def test_json_can_be_chosen_by_status() -> None:
    assert len(document(*sample(), status={Status.FAILED})["entries"]) == 1


@pytest.mark.skipif(ARROW, reason="pyarrow is installed")
def test_parquet_without_pyarrow_says_how_to_install_it() -> None:
    with pytest.raises(InputError) as caught:
        write_parquet(sample(), io.BytesIO())
    assert "\n  pipx inject banana-batch pyarrow" in caught.value.fix


@pytest.mark.skipif(not ARROW, reason="pyarrow is not installed")
def test_parquet_holds_the_rows_with_real_types() -> None:
    from pyarrow import parquet

    stream = io.BytesIO()
    write_parquet(sample(), stream)
    first, _, last = parquet.read_table(io.BytesIO(stream.getvalue())).to_pylist()
    assert first["cost_usd"] == Decimal("0.0336")
    assert first["submitted_at"].timestamp() == NOON
    assert first["tags"] == ["city", "neon; bright"]
    assert (last["file"], last["tags"]) == (None, [])
