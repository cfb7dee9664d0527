from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import money, schema, terminal
from pipeline.errors import Exit
from pipeline.events import Ended
from pipeline.lifecycle import MEANING, Status
from pipeline.model import About, Failure, Totals
from pipeline.money import NOTHING
from pipeline.summary import Standing, closing, closing_data, status, status_data, table, table_data

OUT = Path("out/spring")
LIMITS = schema.document("limits")["summary"]


def totals(**counts: int) -> Totals:
    found = {Status(name): count for name, count in counts.items()}
    return Totals(found, counts.get("downloaded", 0), money.parse("3.9312"))


def ended(code: Exit = Exit.DONE, reason: str = "", **counts: int) -> Ended:
    sums = totals(**(counts or {"downloaded": 117}))
    return Ended(0.0, code, reason, 64.2, sums, sums.spent)


def close(run: Ended, *failures: Failure, **options: Any) -> str:
    usual: dict[str, Any] = {
        "spec": "spring.yaml", "output": OUT, "warnings": (), "columns": 80, "color": False,
    }  # fmt: skip
    return closing(run, failures, **{**usual, **options})


def standing(*failures: Failure, **options: Any) -> Standing:
    sums = options.pop("totals", totals(downloaded=47, submitted=32, pending=39, failed=2))
    spec = options.pop("spec", "spring.yaml")
    sandbox = options.pop("sandbox", False)
    about = About("spring", spec, "", "h", sandbox, 1_767_355_200.0, "0.1.0", sums)
    return Standing(about, failures, OUT, **options)


REFUSED = Failure(
    Status.FAILED,
    "invalid_request_error",
    "The prompt violates the content policy.",
    3,
    (("mug-red", "task_1"), ("城市", "task_2")),
)


# ── the closing summary ─────────────────────────────────────────────────────────────────────


def test_a_run_that_got_everything_is_short() -> None:
    assert close(ended()) == (
        "spring.yaml  done in 1 min 04 s\n"
        "\n"
        "  117 downloaded\n"
        "  $3.9312 spent\n"
        "\n"
        "Results\n"
        "  images    out/spring/images\n"
        "  manifest  out/spring/manifest.csv\n"
        "  gallery   out/spring/gallery.html\n"
    )


def test_a_run_with_failures_says_which_why_and_what_to_type() -> None:
    run = ended(Exit.SOME_FAILED, "3 of 120 jobs have no image", downloaded=117, failed=3)
    text = close(run, REFUSED, warnings=["mug-1: asked for 16:9, delivered 1024×1024 (1:1)"])
    assert text == (
        "spring.yaml  finished in 1 min 04 s\n"
        "  3 of 120 jobs have no image\n"
        "\n"
        "  117 downloaded, 3 failed  of 120 jobs\n"
        "  $3.9312 spent\n"
        "\n"
        "What went wrong\n"
        "  3 failed  invalid_request_error\n"
        "    The prompt violates the content policy.\n"
        "    mug-red  task_1\n"
        "    城市     task_2\n"
        "    and 1 more\n"
        "\n"
        "Warnings\n"
        "  mug-1: asked for 16:9, delivered 1024×1024 (1:1)\n"
        "\n"
        "Results\n"
        "  images    out/spring/images\n"
        "  manifest  out/spring/manifest.csv\n"
        "  gallery   out/spring/gallery.html\n"
        "\n"
        "Next\n"
        "  Try the failed jobs again; nothing was paid for them:\n"
        "    banana-batch retry spring.yaml --status failed\n"
    )


@pytest.mark.parametrize("stopped", [Status.FAILED, Status.HELD, Status.EXPIRED])
def test_each_kind_of_stop_has_its_own_command(stopped: Status) -> None:
    text = close(ended(Exit.SOME_FAILED, "", **{stopped.value: 1}))
    assert f"\n    banana-batch retry spring.yaml --status {stopped.value}\n" in text


@pytest.mark.parametrize("stopped", ["held", "expired"])
def test_a_retry_that_pays_again_says_so(stopped: str) -> None:
    text = " ".join(close(ended(Exit.SOME_FAILED, "", **{stopped: 1})).split())
    assert "paid twice" in text or "paid a second time" in text


@pytest.mark.parametrize("code", [Exit.STOPPED, Exit.UNFINISHED, Exit.INTERRUPTED, Exit.TERMINATED])
def test_a_run_with_work_left_says_how_to_go_on(code: Exit) -> None:
    text = close(ended(code, "the deadline has passed", downloaded=1, pending=2))
    assert "\n    banana-batch run spring.yaml\n" in text


def test_a_finished_run_has_nothing_next() -> None:
    assert "Next" not in close(ended())


@pytest.mark.parametrize("spec", ["my specs/it's.yaml", "-q.yaml", "$(reboot).yaml"])
def test_a_command_can_be_copied_whatever_the_spec_is_called(spec: str) -> None:
    text = close(ended(Exit.UNFINISHED, "", pending=1), spec=spec)
    words = shlex.split(text.splitlines()[-1])
    assert words[:2] == ["banana-batch", "run"]
    assert Path(words[2]) == Path(spec)
    assert not words[2].startswith("-")


def test_commands_of_a_rehearsal_stay_in_the_rehearsal() -> None:
    text = close(ended(Exit.SOME_FAILED, "", failed=1), options=("--sandbox",))
    assert text.endswith("    banana-batch retry spring.yaml --status failed --sandbox\n")


@pytest.mark.parametrize("options", [(), ("--sandbox",)])
def test_only_the_money_of_a_rehearsal_is_called_play_money(options: tuple[str, ...]) -> None:
    assert ("play money" in close(ended(), options=options)) is bool(options)


def test_without_a_gallery_none_is_named() -> None:
    assert "gallery" not in close(ended(), gallery=False)


def test_nothing_from_outside_reaches_the_terminal() -> None:
    evil = "\x1b]0;x\x07\u202e"
    failure = Failure(Status.FAILED, evil, evil, 1, ((evil, evil),))
    text = close(
        ended(Exit.STOPPED, evil, failed=1, pending=1), failure,
        spec=evil, output=Path(evil), warnings=[evil],
    )  # fmt: skip
    assert all(terminal.clean(line) == line for line in text.splitlines())
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_running_text_fits_and_commands_stay_whole(columns: int) -> None:
    long = Failure(Status.FAILED, "server_error", "upstream 图片 " * 50, 1, (("e" * 90, "task_1"),))
    text = close(
        ended(Exit.SOME_FAILED, "word " * 60, failed=1), long,
        columns=columns, warnings=["warned " * 40],
    )  # fmt: skip
    assert "\n    banana-batch retry spring.yaml --status failed\n" in text
    running = [line for line in text.splitlines() if line.strip()[:4] in ("word", "upst", "warn")]
    assert running
    assert max(map(terminal.width, running)) <= min(max(columns, 20), 100)


def test_a_thousand_causes_are_ten_and_a_count() -> None:
    many = [Failure(Status.FAILED, f"kind {n}", "", 2, (("e", "t"),)) for n in range(1000)]
    text = close(ended(Exit.SOME_FAILED, "", failed=2000), *many)
    assert text.count("2 failed  kind") == LIMITS["causes"]
    assert f"and {1000 - LIMITS['causes']} more causes (1,980 jobs)" in text


def test_a_thousand_warnings_are_twenty_and_a_count() -> None:
    text = close(ended(), warnings=[f"warning {n}" for n in range(1000)])
    assert text.count("  warning ") == LIMITS["warnings"]
    assert f"and {1000 - LIMITS['warnings']} more" in text


def test_colours_are_only_there_when_asked_for() -> None:
    run = ended(Exit.SOME_FAILED, "", failed=3)
    assert "\x1b[31m3 failed\x1b[0m" in close(run, REFUSED, color=True)
    assert "\x1b" not in close(run, REFUSED)


def test_the_summary_as_data_survives_json() -> None:
    run = ended(Exit.SOME_FAILED, "3 jobs", downloaded=117, failed=3)
    data = closing_data(run, [REFUSED], spec="spring.yaml", output=OUT, warnings=["w"])
    assert json.loads(json.dumps(data)) == data
    assert data == {
        "spec": "spring.yaml",
        "exit": 1,
        "outcome": "some_failed",
        "reason": "3 jobs",
        "seconds": 64.2,
        "jobs": 120,
        "images": 117,
        "counts": {**dict.fromkeys(map(str, Status), 0), "downloaded": 117, "failed": 3},
        "spent_usd": 3.9312,
        "reserved_usd": 0.0,
        "to_pay_usd": 0.0,
        "failures": [
            {
                "status": "failed",
                "error_type": "invalid_request_error",
                "error_message": "The prompt violates the content policy.",
                "count": 3,
                "examples": [
                    {"entry_id": "mug-red", "task_id": "task_1"},
                    {"entry_id": "城市", "task_id": "task_2"},
                ],
            }
        ],
        "warnings": ["w"],
        "output": "out/spring",
        "results": {
            "images": "out/spring/images",
            "manifest": "out/spring/manifest.csv",
            "gallery": "out/spring/gallery.html",
        },
        "next": [
            {
                "why": "Try the failed jobs again; nothing was paid for them:",
                "command": "banana-batch retry spring.yaml --status failed",
            }
        ],
    }


# ── the status view ─────────────────────────────────────────────────────────────────────────


def test_the_view_of_a_run_that_goes_on_in_80_columns() -> None:
    sums = Totals(
        {Status.DOWNLOADED: 47, Status.SUBMITTED: 32, Status.PENDING: 41}, 47,
        money.parse("1.5792"), money.parse("1.0752"), money.parse("1.3776"),
    )  # fmt: skip
    view = standing(totals=sums, pace=3.14, eta=24.0, lock_holder="process 4711 on box")
    assert status(view, columns=80, color=False) == (
        "spring  running\n"
        "  run by process 4711 on box\n"
        "  spring.yaml → out/spring\n"
        "\n"
        "  ━━━━━━━━━━━━────────────────────  47 of 120 jobs, 39%, 3.1 images/s, 24 s left\n"
        "\n"
        "  pending           41  waits to be sent; nothing was paid\n"
        "  submitted         32  the API runs it; its task id is on disk\n"
        "  downloaded        47  its image is on disk and was verified\n"
        "\n"
        "  spent        $1.5792  by this spec so far\n"
        "  reserved     $1.0752  estimated, for jobs under way\n"
        "  to pay       $1.3776  estimated, for jobs not sent yet\n"
    )


def test_a_view_of_a_run_that_was_killed_says_how_to_go_on() -> None:
    text = status(standing(REFUSED), columns=80, color=False)
    assert text.startswith("spring  not finished\n")
    assert "\n    banana-batch run spring.yaml\n" in text
    assert text.endswith("    banana-batch retry spring.yaml --status failed\n")


def test_while_somebody_runs_it_there_is_nothing_to_type() -> None:
    assert "banana-batch" not in status(standing(lock_holder="me"), columns=80, color=False)


def test_a_spec_that_is_done_says_so() -> None:
    view = standing(totals=totals(downloaded=12))
    text = status(view, columns=80, color=False)
    assert text.startswith("spring  done\n")
    assert "12 of 12 jobs, 100%" in text


def test_one_missing_of_many_is_not_yet_100_percent() -> None:
    view = standing(totals=totals(downloaded=99_999, failed=1))
    assert "99,999 of 100,000 jobs, 99%" in status(view, columns=80, color=False)


def test_a_spec_without_jobs_has_a_view() -> None:
    assert "no jobs yet" in status(standing(totals=totals()), columns=80, color=False)


@pytest.mark.parametrize("one", Status)
def test_in_200_columns_every_status_is_explained_in_full(one: Status) -> None:
    view = standing(totals=totals(**{one.value: 3}))
    assert MEANING[one] in status(view, columns=200, color=False)


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
def test_the_view_fits(columns: int) -> None:
    view = standing(totals=totals(**dict.fromkeys(map(str, Status), 3)), pace=1.0, eta=5.0)
    text = status(view, columns=columns, color=False).split("\nNext\n")[0]
    lines = [line for line in text.splitlines() if " of 24 jobs" not in line]
    assert max(map(terminal.width, lines)) <= columns
    assert columns < 80 or max(map(terminal.width, text.splitlines())) <= columns


def test_the_view_as_data_survives_json() -> None:
    data = status_data(standing(REFUSED, pace=2.5, eta=30.0))
    assert json.loads(json.dumps(data)) == data
    assert data["state"] == "not finished"
    assert (data["counts"]["downloaded"], data["counts"]["held"]) == (47, 0)
    assert (data["images_per_second"], data["eta_seconds"]) == (2.5, 30.0)
    assert data["lock_holder"] is None
    assert [step["command"] for step in data["next"]] == [
        "banana-batch run spring.yaml",
        "banana-batch retry spring.yaml --status failed",
    ]


# ── several runs ────────────────────────────────────────────────────────────────────────────


def test_several_runs_are_a_table() -> None:
    quick = standing(
        spec="specs/quickstart.yaml", sandbox=True, totals=totals(downloaded=12),
        options=("--sandbox",),
    )  # fmt: skip
    assert table([quick, standing()], columns=100, color=False) == (
        "spec                               done        running  failed    spent\n"
        "specs/quickstart.yaml (sandbox)   12/12  100%        –       –  $3.9312  done\n"
        "spring.yaml                      47/120   39%       32       2  $3.9312  not finished\n"
    ) + ("\nMore about one of them:\n  banana-batch status spring.yaml\n")


def test_a_long_path_gives_way_and_keeps_its_end() -> None:
    runs = [standing(spec="a/very/long/folder/" * 8 + "spring.yaml")]
    line = table(runs, columns=80, color=False).splitlines()[1]
    assert "spring.yaml " in line
    assert line.startswith("…")
    assert terminal.width(line) <= 80


def test_no_run_at_all_says_how_to_make_one() -> None:
    assert table([], columns=80, color=False).endswith("\n  banana-batch run SPEC\n")


def test_the_table_as_data_is_every_view() -> None:
    assert table_data([standing(), standing()]) == [status_data(standing())] * 2


def test_a_run_that_bought_nothing_does_not_claim_what_earlier_ones_spent() -> None:
    run = replace(ended(), spent=NOTHING)
    assert "$0.00 spent ($3.9312 in all)" in close(run)
