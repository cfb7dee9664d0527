"""The quickstart, from the first run to the second, as `make demo` runs it."""

from __future__ import annotations

import csv
import functools
import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from cli_desk import ROOT, Said, call, every_file, facts
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Call

FOLDER = "specs/out/quickstart-sandbox"
JOBS = 14


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("quickstart")
    shutil.copytree(ROOT / "specs", where / "specs", ignore=shutil.ignore_patterns("out"))
    return where


@pytest.fixture(scope="module")
def banana(home: Path) -> Call:
    return functools.partial(call, cwd=home, environ=os.environ)


@pytest.fixture(scope="module")
def first(home: Path, banana: Call) -> Said:
    return banana("run", home / "specs/quickstart.yaml", "--sandbox")


@pytest.fixture(scope="module")
def second(home: Path, banana: Call, first: Said) -> Said:
    ledger, aside = home / FOLDER / "sandbox.jsonl", home / FOLDER / "aside.jsonl"
    ledger.rename(aside)
    said = banana("run", home / "specs/quickstart.yaml", "--sandbox")
    assert not ledger.exists(), "the sandbox was started, so a request was made"
    aside.rename(ledger)
    return said


def rows(home: Path) -> list[dict[str, str]]:
    with (home / FOLDER / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_run_ends_well(first: Said) -> None:
    assert (first.code, "14 downloaded" in first.out) == (0, True), first.err


def test_every_image_is_on_disk_and_opens(home: Path, first: Said) -> None:
    files = [home / FOLDER / row["file"] for row in rows(home)]
    assert len(set(files)) == JOBS
    for file in files:
        with Image.open(file) as image:
            image.load()


def test_every_image_has_the_ratio_that_was_asked_for(home: Path, first: Said) -> None:
    for row in rows(home):
        across, down = map(int, row["size"].split(":"))
        assert int(row["width"]) / int(row["height"]) == pytest.approx(across / down, rel=0.03)


def test_the_manifest_has_a_row_for_each_job_with_its_task(home: Path, first: Said) -> None:
    tasks = {row["task_id"] for row in rows(home)}
    assert len(tasks) == JOBS
    assert "" not in tasks


def test_the_manifest_is_in_the_order_of_the_spec(home: Path, first: Said) -> None:
    assert [row["entry_id"] for row in rows(home)][:5] == [
        "hero-harbour",
        "hero-harbour-phone",
        *["breakfast"] * 3,
    ]


def test_each_reference_was_uploaded_once(home: Path, first: Said) -> None:
    assert len(facts(home / FOLDER / "state.sqlite", "SELECT * FROM uploads")) == 4


def test_the_gallery_is_there(home: Path, first: Said) -> None:
    assert "hero-harbour" in (home / FOLDER / "gallery.html").read_text(encoding="utf-8")


def test_no_part_file_is_left(home: Path, first: Said) -> None:
    assert [one for one in every_file(home / FOLDER) if "part" in one.name] == []


def test_the_state_file_is_its_owners_only(home: Path, first: Said) -> None:
    assert (home / FOLDER / "state.sqlite").stat().st_mode & 0o077 == 0


def test_the_second_run_ends_well(second: Said) -> None:
    assert (second.code, "14 downloaded" in second.out) == (0, True)


def test_the_second_run_makes_no_request_at_all(home: Path, second: Said) -> None:
    """The fixture saw that the sandbox was not even started; no job was sent twice either."""
    question = "SELECT max(sends) FROM jobs"
    assert facts(home / FOLDER / "state.sqlite", question) == [(1,)]


def test_the_plan_says_that_nothing_is_to_be_done(home: Path, banana: Call, second: Said) -> None:
    said = banana("plan", home / "specs/quickstart.yaml", "--sandbox", "--format", "json")
    summary = json.loads(said.out)["summary"]
    assert (summary["jobs_to_do"], summary["actions"]) == (0, {"unchanged": JOBS})


def test_status_and_doctor_have_nothing_to_complain_of(
    home: Path, banana: Call, second: Said
) -> None:
    spec = home / "specs/quickstart.yaml"
    assert "14 of 14 jobs" in banana("status", spec, "--sandbox").out
    doctor = banana("doctor", spec, "--sandbox")
    assert (doctor.code, "14 jobs" in doctor.out, "fail" in doctor.out) == (0, True, False)


def test_status_without_a_spec_finds_the_run(home: Path, banana: Call, second: Said) -> None:
    told = json.loads(banana("status", "--format", "json").out)
    assert "quickstart" in json.dumps(told)


def test_a_deleted_image_is_fetched_again_for_free(home: Path, banana: Call, second: Said) -> None:
    gone = next((home / FOLDER / "images").glob("menu-tea.*"))
    gone.unlink()
    said = banana("run", home / "specs/quickstart.yaml", "--sandbox")
    assert (said.code, gone.is_file()) == (0, True)
    paid = facts(home / FOLDER / "state.sqlite", "SELECT sum(attempt), sum(sends) FROM jobs")
    assert paid == [(JOBS, JOBS)]
