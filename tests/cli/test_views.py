"""`status`, `gallery --watch` and `manifest`: looking at a run while it goes on and afterwards."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from command_desk import NOON, Desk

from pipeline import manifest as book_of_results
from pipeline.commands.gallery import gallery
from pipeline.commands.status import status
from pipeline.errors import InputError
from pipeline.lock import held
from pipeline.terminal import width

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_desk import Said


def look(desk: Desk, *spec: str, **options: Any) -> Said:
    return desk.say(status, *(spec or (None,)), **options)


@pytest.fixture
def mixed(desk: Desk) -> Desk:
    """A finished run of three entries, one of which failed."""
    desk.entries("cup", "sea", "mug")
    desk.run("fail_first=1", settings={"task_retries": 0, "concurrency": 1})
    return desk


# ── status of one spec ──────────────────────────────────────────────────────────────────────


def test_a_spec_that_was_never_run_has_no_jobs_and_leaves_no_trace(desk: Desk) -> None:
    desk.entries("cup")
    said = look(desk, "batch.yaml", sandbox=True)
    assert (said.code, "no jobs yet" in said.out) == (0, True)
    assert not desk.results.exists()


def test_status_says_how_far_how_much_what_went_wrong_and_what_to_type(mixed: Desk) -> None:
    said = look(mixed, "batch.yaml", sandbox=True).out
    assert "2 of 3 jobs, 66%" in said
    assert "$0.06" in said
    assert "1 failed" in said
    assert mixed.records()[0].task_id in said
    assert "banana-batch retry batch.yaml --status failed --sandbox" in said


def test_status_for_programs_holds_the_same(mixed: Desk) -> None:
    told = look(mixed, "batch.yaml", sandbox=True, format="json").data
    assert told["state"].startswith("finished")
    assert (told["counts"]["downloaded"], told["counts"]["failed"]) == (2, 1)
    (failure,) = told["failures"]
    assert failure["examples"] == [{"entry_id": "cup", "task_id": mixed.records()[0].task_id}]
    assert told["next"][0]["command"].startswith("banana-batch retry batch.yaml")


@pytest.mark.parametrize("columns", [80, 200])
def test_no_line_of_prose_is_wider_than_the_terminal(mixed: Desk, columns: int) -> None:
    mixed.columns = columns
    lines = look(mixed, "batch.yaml", sandbox=True).out.splitlines()
    whole = ("banana-batch", "→")
    prose = [line for line in lines if not any(word in line for word in whole)]
    assert max(map(width, prose)) <= columns


def test_what_an_entry_is_called_cannot_order_the_terminal_about(desk: Desk) -> None:
    desk.write('entries:\n  - {id: "cup", prompt: "a\\tcup", tags: ["\\u202e"]}\n')
    desk.run("fail_first=2")
    assert "\x1b" not in look(desk, "batch.yaml", sandbox=True).out


# ── while a run goes on ─────────────────────────────────────────────────────────────────────


def during(desk: Desk, peek: Callable[[], None], *, at: int) -> None:
    """Run, and call `peek` once, in the middle of the run, when it sleeps for the n-th time."""
    count = 0

    def slept(_: float) -> None:
        nonlocal count
        count += 1
        if count == at:
            desk.clock.slept = lambda _: None
            peek()

    desk.clock.slept = slept
    desk.run("task_seconds=30")
    assert count >= at


def test_status_during_a_run_says_who_runs_it_and_advises_nothing(desk: Desk) -> None:
    desk.entries("cup", "sea")
    seen: list[str] = []
    during(desk, lambda: seen.append(look(desk, "batch.yaml", sandbox=True).out), at=1)
    assert "running" in seen[0]
    assert "run by process" in seen[0]
    assert "banana-batch" not in seen[0]


def test_status_during_a_run_shows_money_that_is_reserved(desk: Desk) -> None:
    desk.entries("cup", "sea")
    seen: list[Any] = []

    def peek() -> None:
        seen.append(look(desk, "batch.yaml", sandbox=True, format="json").data)

    during(desk, peek, at=1)
    assert seen[0]["state"] == "running"
    assert seen[0]["reserved_usd"] + seen[0]["to_pay_usd"] > 0.06


def test_looking_does_not_disturb_the_run(desk: Desk) -> None:
    desk.entries("cup", "sea")
    seen: list[Said] = []
    during(desk, lambda: seen.append(look(desk, "batch.yaml", sandbox=True)), at=1)
    assert [one.code for one in seen] == [0]
    assert [one.status for one in desk.records()] == ["downloaded", "downloaded"]


def test_watching_ends_when_the_run_does(mixed: Desk) -> None:
    """The lock goes away at the third look."""
    lock = held(mixed.results / ".lock", NOON)
    lock.__enter__()
    looks: list[float] = []

    def slept(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            lock.__exit__(None, None, None)

    watcher = Desk(mixed.folder)
    watcher.clock.slept = slept
    said = look(watcher, "batch.yaml", sandbox=True, watch=True)
    assert said.out.count("2 of 3 jobs") == 3
    assert looks == [2.0, 2.0]


def test_watching_for_programs_gives_one_line_of_json_each_time(mixed: Desk) -> None:
    said = look(mixed, "batch.yaml", sandbox=True, watch=True, format="json")
    assert [json.loads(line)["name"] for line in said.out.splitlines()] == ["batch"]


# ── every run below this folder ─────────────────────────────────────────────────────────────


def test_without_a_spec_every_run_below_is_listed(mixed: Desk) -> None:
    (mixed.folder / "deeper").mkdir()
    inner = Desk(mixed.folder / "deeper")
    inner.entries("tea")
    inner.run()
    lines = look(mixed).out.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["batch.yaml", "(sandbox)", "2/3"],
        ["deeper/batch.yaml", "(sandbox)", "1/1"],
    ]


def test_the_list_says_how_to_see_more_of_the_run_that_needs_it(mixed: Desk) -> None:
    assert look(mixed).out.splitlines()[-1] == "  banana-batch status batch.yaml --sandbox"


def test_the_list_for_programs_holds_each_run(mixed: Desk) -> None:
    (told,) = look(mixed, format="json").data
    assert (told["spec"], told["jobs"], told["sandbox"]) == ("batch.yaml", 3, True)


def test_where_nothing_was_run_the_list_says_how_to_begin(desk: Desk) -> None:
    assert "banana-batch run SPEC" in look(desk).out


def test_a_run_whose_spec_is_gone_does_not_hide_the_others(mixed: Desk) -> None:
    (mixed.folder / "gone").mkdir()
    gone = Desk(mixed.folder / "gone")
    gone.entries("tea")
    gone.run()
    (gone.folder / "batch.yaml").unlink()
    said = look(mixed).out
    assert "2/3" in said


def test_a_run_in_a_folder_of_its_own_is_listed_with_the_words_to_find_it(desk: Desk) -> None:
    desk.entries("cup")
    desk.run(output="elsewhere")
    (told,) = look(desk, format="json").data
    assert told["output"] == str(desk.folder / "elsewhere-sandbox")


# ── gallery --watch ─────────────────────────────────────────────────────────────────────────


def test_a_watched_gallery_reloads_itself_until_the_run_ends(mixed: Desk) -> None:
    page = mixed.results / "gallery.html"
    lock = held(mixed.results / ".lock", NOON)
    lock.__enter__()
    seen: list[str] = []

    def slept(_: float) -> None:
        seen.append(page.read_text("utf-8"))
        if len(seen) == 2:
            lock.__exit__(None, None, None)

    watcher = Desk(mixed.folder)
    watcher.clock.slept = slept
    said = watcher.say(gallery, "batch.yaml", watch=True, sandbox=True)
    assert said.out == f"{page}\n"
    live = [LIVE in one for one in [*seen, page.read_text("utf-8")]]
    assert live == [True, True, False]


LIVE = 'id="live"'


def test_a_gallery_of_nothing_says_what_to_do_first(desk: Desk) -> None:
    desk.entries("cup")
    with pytest.raises(InputError) as wrong:
        desk.say(gallery, "batch.yaml")
    assert "banana-batch run batch.yaml" in wrong.value.fix


# ── manifest ────────────────────────────────────────────────────────────────────────────────


def test_without_options_the_two_files_are_written_again(mixed: Desk) -> None:
    for name in ("manifest.csv", "manifest.json"):
        (mixed.results / name).unlink()
    said = mixed.manifest()
    assert said.out.split() == [
        str(mixed.results / "manifest.csv"),
        str(mixed.results / "manifest.json"),
    ]
    assert (mixed.results / "manifest.csv").is_file()
    assert mixed.told()["totals"]["jobs"] == 3


def test_csv_goes_to_standard_output(mixed: Desk) -> None:
    rows = list(csv.DictReader(io.StringIO(mixed.manifest(format="csv").out)))
    assert [row["entry_id"] for row in rows] == ["cup", "sea", "mug"]
    assert tuple(rows[0]) == book_of_results.COLUMNS


def test_columns_are_chosen_in_the_order_named(mixed: Desk) -> None:
    said = mixed.manifest(format="csv", columns=("status", "entry_id")).out
    assert said.splitlines() == [
        "status,entry_id",
        "failed,cup",
        "downloaded,sea",
        "downloaded,mug",
    ]


def test_a_status_chooses_jobs(mixed: Desk) -> None:
    said = mixed.manifest(format="jsonl", status=("failed",)).out
    assert [json.loads(line)["entry_id"] for line in said.splitlines()] == ["cup"]


def test_json_is_the_whole_manifest(mixed: Desk) -> None:
    told = mixed.manifest(format="json", out="-").data
    assert [one["entry_id"] for one in told["entries"]] == ["cup", "sea", "mug"]


def test_a_file_is_written_whole_where_it_was_asked_for(mixed: Desk) -> None:
    mixed.manifest(format="jsonl", out="list.jsonl", columns=("entry_id", "file"))
    lines = (mixed.folder / "list.jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[1]) == {"entry_id": "sea", "file": "images/sea.jpg"}
    assert not list(mixed.folder.glob(".*part"))


def test_parquet_has_types(mixed: Desk) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    mixed.manifest(format="parquet", out="list.parquet", columns=("entry_id", "bytes"))
    table = parquet.read_table(mixed.folder / "list.parquet")
    assert table.column("entry_id").to_pylist() == ["cup", "sea", "mug"]
    assert table.column("bytes").to_pylist()[1] > 0


def test_parquet_is_not_written_to_a_terminal(mixed: Desk) -> None:
    with pytest.raises(InputError) as wrong:
        mixed.manifest(format="parquet")
    assert "-o" in wrong.value.fix


def test_a_column_that_is_none_is_refused_with_the_names_there_are(mixed: Desk) -> None:
    with pytest.raises(InputError) as wrong:
        mixed.manifest(format="csv", columns=("colour",))
    assert "entry_id" in wrong.value.fix


def test_before_the_first_run_the_manifest_says_what_to_do(desk: Desk) -> None:
    desk.entries("cup")
    with pytest.raises(InputError) as wrong:
        desk.manifest()
    assert "banana-batch run batch.yaml" in wrong.value.fix


# ── --verbose ───────────────────────────────────────────────────────────────────────────────


def test_verbose_tells_every_step_with_its_task_and_cost(desk: Desk) -> None:
    desk.entries("cup")
    said = desk.run(verbose=True)
    (record,) = desk.records()
    steps = [line.split()[1:] for line in said.err.splitlines()[1:-1]]
    assert steps == [
        ["cup", "intend", "submitting"],
        ["cup", "accept", "submitted", record.task_id],
        ["cup", "complete", "completed", record.task_id, "$0.0336"],
        ["cup", "download", "downloaded", record.task_id],
    ]


def test_verbose_tells_the_tries_that_failed(desk: Desk) -> None:
    desk.entries("cup", "sea", "mug")
    said = desk.run("error=0.6", verbose=True)
    assert "info: a submit did not work out: the API is in trouble (5" in said.err
    assert " resend " in said.err


def test_verbose_tells_why_a_job_failed(desk: Desk) -> None:
    desk.entries("cup")
    said = desk.run("fail_first=1", verbose=True, settings={"task_retries": 0})
    assert "blocked by the safety filter" in said.err


def test_verbose_tells_waits(desk: Desk) -> None:
    desk.entries(*(f"cup{number}" for number in range(12)))
    assert "waiting" in desk.run("rate=0.05", verbose=True).err


def test_the_log_has_the_tries_that_failed_too(desk: Desk) -> None:
    desk.entries("cup", "sea", "mug")
    desk.run("error=0.6")
    lines = (desk.results / "run.log").read_text("utf-8").splitlines()
    notes = [json.loads(line) for line in lines if '"noted"' in line]
    assert [one for one in notes if one["level"] == "info" and "idempotency_key" in one["details"]]
