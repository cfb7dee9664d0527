from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import money, schema
from pipeline.errors import Exit
from pipeline.events import Ended, Noted, Started, Stepped, Waiting
from pipeline.lifecycle import Status, Step
from pipeline.model import Totals
from pipeline.progress import Bar, JsonLines, Lines, Log, Silent, fan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pipeline.events import Event, Listener
    from pipeline.money import Money

NOON = 1_767_355_200.0  # 2026-01-02T12:00:00Z
COST = money.parse("0.0336")
MOST = schema.document("limits")["progress"]["lines"]


class Hands:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.moment = 100.0

    def now(self) -> float:
        return NOON + self.moment - 100

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += seconds


class Story:
    """Tells a listener of a run, as the engine would."""

    def __init__(self, make: Callable[[io.StringIO, Hands], Listener]) -> None:
        self.clock = Hands()
        self.stream = io.StringIO()
        self.listener = make(self.stream, self.clock)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def drawn(self) -> list[str]:
        """Every state of the line that was drawn over, without colours."""
        parts = re.split("[\r\n]", re.sub("\x1b\\[[0-9]*m", "", self.text))
        return [part.rstrip() for part in parts if part.strip()]

    def start(self, already: int = 0, todo: int = 10, spent: Money = money.NOTHING) -> None:
        counts = {Status.DOWNLOADED: already, Status.PENDING: todo}
        totals = Totals(counts, images=already, spent=spent)
        self.listener(Started(self.clock.now(), "spring.yaml", "out/spring", "h", todo, totals))

    def step(self, step: Step, before: Status, status: Status, **told: Any) -> None:
        usual: dict[str, Any] = {
            "number": 1, "entry_id": "mug", "image_index": 1, "images": 1, "task_id": "task_1",
            "cost": None, "error_type": "", "error_message": "",
        }  # fmt: skip
        self.listener(
            Stepped(
                at=self.clock.now(), step=step, before=before, status=status, **{**usual, **told}
            )
        )

    def send(self) -> None:
        self.step(Step.INTEND, Status.PENDING, Status.SUBMITTING, task_id="")
        self.step(Step.ACCEPT, Status.SUBMITTING, Status.SUBMITTED)

    def finish(self, **told: Any) -> None:
        self.step(Step.COMPLETE, Status.SUBMITTED, Status.COMPLETED, cost=COST, **told)
        self.step(Step.DOWNLOAD, Status.COMPLETED, Status.DOWNLOADED, cost=COST, **told)

    def fail(self, **told: Any) -> None:
        usual = {"error_type": "invalid_request_error", "error_message": "no such ratio"}
        self.step(Step.FAIL, Status.SUBMITTED, Status.FAILED, **{**usual, **told})

    def later(self, seconds: float) -> None:
        self.clock.moment += seconds

    def look(self) -> str:
        """Return the line as it stands a moment later."""
        self.later(0.1)
        self.listener(Noted(self.clock.now(), "info", "", {}))
        return self.drawn[-1]

    def end(self, code: Exit = Exit.DONE, reason: str = "") -> None:
        totals = Totals({Status.DOWNLOADED: 10}, 10, money.parse("0.336"))
        self.listener(Ended(self.clock.now(), code, reason, 64.2, totals, totals.spent))


def bar(columns: int, *, color: bool = False, goal: Status = Status.DOWNLOADED) -> Story:
    return Story(
        lambda stream, clock: Bar(stream, clock=clock, columns=columns, color=color, goal=goal)
    )


def plain() -> Story:
    return Story(lambda stream, clock: Lines(stream, clock=clock))


def halfway(story: Story) -> None:
    """After a resume: 40 there, 8 of 60 made in 10 seconds, one failed, 21 under way."""
    story.start(already=40, todo=60, spent=money.parse("1.344"))
    for _ in range(30):
        story.send()
    for _ in range(8):
        story.later(1.25)
        story.finish()
    story.later(1)
    story.fail()


# ── the bar ─────────────────────────────────────────────────────────────────────────────────


def test_the_bar_in_80_columns() -> None:
    story = bar(80)
    halfway(story)
    line = "48/100 ━━━━━╾────── 48%  21 running  1 failed  0.72 images/s  01:02 left  $1.61"
    assert story.look() == line
    assert len(line) == 79


def test_the_bar_in_200_columns_has_every_word() -> None:
    story = bar(200)
    halfway(story)
    assert story.look().split("─ ")[1].split("  ") == [
        "48%", "21 running", "1 failed", "40 already there", "0.72 images/s", "01:02 left", "$1.61",
    ]  # fmt: skip
    assert len(story.drawn[-1]) == 199


@pytest.mark.parametrize("columns", [1, 2, 5, 8, 20, 33, 40, 60, 80, 120, 200])
def test_the_bar_never_reaches_the_last_column(columns: int) -> None:
    story = bar(columns, color=True)
    halfway(story)
    drawn = [line for line in story.drawn if not line.startswith("failed:")]
    assert max(map(len, drawn), default=0) < max(columns, 2)


def test_a_narrow_bar_keeps_what_matters_most() -> None:
    story = bar(33)
    halfway(story)
    assert "1 failed" in story.drawn[-1]
    assert "already" not in story.drawn[-1]


def test_the_bar_after_a_resume_starts_from_what_is_there() -> None:
    story = bar(120)
    story.start(already=40, todo=60, spent=money.parse("1.344"))
    assert story.drawn[-1].startswith("40/100 ━━━")
    assert "40 already there" in story.drawn[-1]
    assert "$1.34" in story.drawn[-1]


def test_what_was_there_before_is_no_pace() -> None:
    story = bar(200)
    story.start(already=1_000_000, todo=10)
    story.later(5)
    story.send()
    assert "images/s" not in story.drawn[-1]
    assert "left" not in story.drawn[-1]


def test_the_eta_is_of_this_runs_jobs() -> None:
    story = bar(200)
    story.start(already=500, todo=10)
    for _ in range(5):
        story.send()
        story.later(2)
        story.finish()
    assert "0.50 images/s  00:10 left" in story.look()


def test_the_pace_counts_images_and_not_jobs() -> None:
    story = bar(200)
    story.start(todo=10)
    story.send()
    story.later(2)
    story.finish(images=4)
    assert "1.9 images/s" in story.look()


def test_a_task_that_is_tried_again_is_not_settled_twice() -> None:
    story = bar(200)
    story.start(todo=4)
    story.send()
    story.later(1)
    story.fail()
    story.step(Step.RETRY, Status.FAILED, Status.PENDING)
    story.send()
    story.later(1)
    story.finish()
    assert "1/4" in story.look()
    assert "failed" not in story.drawn[-1]
    assert "00:06 left" in story.drawn[-1]


def test_a_run_that_only_submits_is_done_with_what_is_submitted() -> None:
    story = bar(120, goal=Status.SUBMITTED)
    story.start(todo=2)
    story.later(1)
    story.send()
    assert story.look().startswith("1/2 ")
    assert "0 running" in story.drawn[-1]


def test_ten_thousand_events_in_a_second_are_at_most_ten_drawings() -> None:
    story = bar(80)
    story.start(todo=5000)
    for _ in range(5000):
        story.send()
        story.later(0.0002)
    assert story.text.count("\r") <= 13


def test_a_failure_stands_whole_above_the_bar() -> None:
    story = bar(80)
    halfway(story)
    above = "failed: mug (task_1): invalid_request_error: no such ratio\n"
    start = story.text.index(above)
    assert story.text[start - 1] == "\r"  # over the wiped bar, from the first column
    assert set(story.text[:start].rsplit("\r", 2)[1]) == {" "}
    assert story.text[start + len(above) :].startswith("\r48/100 ")


def test_a_warning_stands_above_the_bar_without_control_characters() -> None:
    story = bar(80)
    story.start()
    story.listener(Noted(0, "warning", "disk \x1b[2J\nnearly full", {}))
    assert "\rwarning: disk ␛[2J nearly full\n" in story.text


def test_what_is_only_information_does_not_interrupt_the_bar() -> None:
    story = bar(80)
    story.start()
    story.listener(Noted(0, "info", "uploaded refs/mug.png", {}))
    assert "uploaded" not in story.text


def test_a_wait_is_told_once_and_counts_down_in_the_bar() -> None:
    story = bar(100)
    story.start()
    for _ in range(5):
        story.listener(Waiting(0, "the API asked us to slow down", 12.0))
    assert story.text.count("waiting 12 s: the API asked us to slow down\n") == 1
    story.later(5)
    story.send()
    assert "waits 7 s" in story.drawn[-1]
    story.later(8)
    story.send()
    assert "waits" not in story.drawn[-1]


def test_many_failures_do_not_fill_the_screen() -> None:
    story = bar(80)
    story.start(todo=500)
    for _ in range(500):
        story.fail()
    assert story.text.count("failed: mug") == MOST
    assert story.text.count("further failures are not shown here; the summary has them\n") == 1


def test_the_end_wipes_the_bar_away() -> None:
    story = bar(80)
    halfway(story)
    story.end()
    blank, last = story.text.split("\r")[-2:]
    assert (blank.strip(), last) == ("", "")
    assert len(blank) == 79
    assert "\n" not in story.text[story.text.rindex("48/100") :]


def test_closing_twice_writes_nothing_more() -> None:
    story = bar(80)
    story.start()
    story.end()
    before = story.text
    story.listener.close()  # type: ignore[attr-defined]
    assert story.text == before


def test_a_bar_without_colours_has_no_escape_sequence() -> None:
    story = bar(80)
    halfway(story)
    assert "\x1b" not in story.text


def test_failures_are_red_where_there_are_colours() -> None:
    story = bar(120, color=True)
    halfway(story)
    assert "\x1b[31m1 failed\x1b[0m" in story.text


def test_a_terminal_that_does_not_know_its_size_shows_the_bar() -> None:
    ours, theirs = pty.openpty()  # 0 rows and 0 columns until somebody sets them
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        listener = Bar(stream, clock=Hands(), columns=None, color=False)
        totals = Totals({Status.DOWNLOADED: 5, Status.PENDING: 5})
        listener(Started(0, "s", "o", "h", 5, totals))
        arrived = b""
        while len(arrived.decode(errors="ignore").rpartition("\r")[2]) < 79:
            arrived += os.read(ours, 4096)  # a terminal hands on what it got piece by piece
        shown = arrived.decode()
        listener.close()
        os.read(ours, 4096)
    os.close(ours)
    assert "5/10 ━━━" in shown
    assert len(shown.rsplit("\r", 1)[1]) == 79


def test_an_ascii_terminal_gets_an_ascii_bar() -> None:
    clock, raw = Hands(), io.BytesIO()
    listener = Bar(io.TextIOWrapper(raw, "ascii"), clock=clock, columns=80, color=False)
    totals = Totals({Status.DOWNLOADED: 5, Status.PENDING: 5})
    listener(Started(0, "s", "o", "h", 5, totals))
    listener(Noted(0, "warning", "城", {}))
    assert b"5/10 ====" in raw.getvalue()
    assert b"warning: \\u57ce\n" in raw.getvalue()


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time is the story's: nobody waits for real."""

    def __init__(self, clock: Hands) -> None:
        super().__init__()
        self.clock = clock

    def time(self) -> float:
        return self.clock.moment


def in_a_loop(story: Story, tell: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=lambda: Loop(story.clock)) as runner:
        runner.run(tell())  # type: ignore[arg-type]


async def pass_by(story: Story, seconds: float) -> None:
    story.later(seconds)
    for _ in range(3):
        await asyncio.sleep(0)


def test_the_last_state_is_drawn_although_no_event_follows() -> None:
    story = bar(80)

    async def tell() -> None:
        story.start(todo=2)
        story.send()  # too soon after the first drawing to be drawn at once
        assert "0 running" in story.drawn[-1]
        await pass_by(story, 0.1)
        assert "1 running" in story.drawn[-1]

    in_a_loop(story, tell)


def test_a_wait_counts_down_while_nothing_happens() -> None:
    story = bar(80)

    async def tell() -> None:
        story.start(todo=2)
        story.listener(Waiting(0, "slow down", 30.0))
        await pass_by(story, 0.1)
        for left in range(29, 25, -1):
            await pass_by(story, 1)
            assert f"waits {left} s" in story.drawn[-1]

    in_a_loop(story, tell)


def test_after_the_end_nothing_is_drawn_any_more() -> None:
    story = bar(80)

    async def tell() -> None:
        story.start(todo=2)
        story.send()
        story.end()
        before = story.text
        await pass_by(story, 10)
        assert story.text == before

    in_a_loop(story, tell)


def test_a_terminal_that_goes_away_between_events_stops_the_drawing() -> None:
    story = bar(80)

    async def tell() -> None:
        story.start(todo=2)
        story.stream.close()
        await pass_by(story, 10)

    in_a_loop(story, tell)


# ── plain lines ─────────────────────────────────────────────────────────────────────────────


def test_a_run_in_plain_lines() -> None:
    story = plain()
    halfway(story)
    story.later(9)
    story.finish()
    story.end(Exit.SOME_FAILED, "1 job has no image")
    assert story.text == (
        "2026-01-02T12:00:00Z spring.yaml: 60 of 100 jobs to do, 40 already there;"
        " results in out/spring\n"
        "47%  47/100 done, 23 running, 0.70 images/s, 1 min 16 s left, $1.6128 spent\n"
        "failed: mug (task_1): invalid_request_error: no such ratio\n"
        "ended with exit code 1: 1 job has no image (10 downloaded; $0.336 spent; 1 min 04 s)\n"
    )


def test_a_run_of_many_jobs_in_a_short_time_is_a_start_and_an_end() -> None:
    story = plain()
    story.start(todo=1000)
    for _ in range(1000):
        story.send()
        story.finish()
        story.later(0.005)
    story.end()
    assert len(story.text.splitlines()) == 2


def test_a_run_of_an_hour_is_a_dozen_lines() -> None:
    story = plain()
    story.start(todo=3600)
    for _ in range(3600):
        story.send()
        story.later(1)
        story.finish()
    story.end()
    assert 10 <= len(story.text.splitlines()) <= 14


def test_a_slow_run_shows_that_it_lives() -> None:
    story = plain()
    story.start(todo=100_000)
    story.later(601)
    story.send()
    assert story.text.splitlines()[-1] == "0%  0/100000 done, 1 running, $0.00 spent"


def test_plain_lines_hold_no_carriage_return_and_no_colour() -> None:
    story = plain()
    halfway(story)
    story.listener(Noted(0, "warning", "a\r\x1b[31mb", {}))
    story.end()
    assert not set("\r\x1b") & set(story.text)


def test_many_failures_are_bounded_in_plain_lines() -> None:
    story = plain()
    story.start(todo=500)
    for _ in range(500):
        story.fail()
    assert len(story.text.splitlines()) == 1 + MOST + 1


def test_a_failure_without_a_task_says_so() -> None:
    story = plain()
    story.start()
    story.fail(task_id="", image_index=2, error_type="", error_message="")
    assert story.text.splitlines()[-1] == "failed: mug, image 2 (no task id)"


# ── silence ─────────────────────────────────────────────────────────────────────────────────


def test_silence_says_nothing_of_a_good_run() -> None:
    story = Story(lambda stream, _: Silent(stream))
    halfway(story)
    story.listener(Noted(0, "warning", "the disk is nearly full", {}))
    story.end()
    assert story.text == ""


def test_silence_ends_at_an_error() -> None:
    story = Story(lambda stream, _: Silent(stream))
    story.listener(Noted(0, "error", "the state file is damaged", {}))
    assert story.text == "error: the state file is damaged\n"


def test_silence_ends_when_a_run_did_not_get_everything() -> None:
    story = Story(lambda stream, _: Silent(stream))
    story.end(Exit.STOPPED, "the balance is empty")
    assert story.text.startswith("ended with exit code 3: the balance is empty (")


# ── JSON lines and the log ──────────────────────────────────────────────────────────────────


def json_lines() -> Story:
    return Story(lambda stream, clock: JsonLines(stream, clock=clock))


def test_every_event_is_one_json_object_a_line() -> None:
    story = json_lines()
    story.start(todo=1)
    story.send()
    story.finish()
    story.listener(Waiting(story.clock.now(), "slow down", 2.5))
    story.listener(Noted(story.clock.now(), "warning", "a\nb", {"path": "x"}))
    story.end()
    kinds = [json.loads(line)["event"] for line in story.text.splitlines()]
    assert kinds == ["started", *["stepped"] * 4, "waiting", "noted", "ended"]


def test_a_step_tells_its_task_and_its_money() -> None:
    story = json_lines()
    story.later(0.25)
    story.step(Step.COMPLETE, Status.SUBMITTED, Status.COMPLETED, cost=COST)
    assert json.loads(story.text) == {
        "time": "2026-01-02T12:00:00.250Z",
        "event": "stepped",
        "step": "complete",
        "before": "submitted",
        "status": "completed",
        "entry_id": "mug",
        "image_index": 1,
        "job": 1,
        "task_id": "task_1",
        "cost_usd": 0.0336,
    }


def test_json_lines_are_harmless_on_a_terminal_and_exact() -> None:
    story = json_lines()
    story.listener(Noted(0, "info", "\x9b31m \u2028 \udc80 城", {}))
    assert "\x9b" not in story.text
    assert len(story.text.splitlines()) == 1
    assert json.loads(story.text)["message"] == "\x9b31m \u2028 \udc80 城"


def logged(path: Path, **options: Any) -> Story:
    return Story(lambda _, clock: Log(path, clock=clock, **options))


def test_the_log_holds_every_event_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    story = logged(path)
    story.start(todo=1)
    story.send()
    story.end()
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_log_of_the_next_run_is_appended(tmp_path: Path) -> None:
    for _ in range(2):
        logged(tmp_path / "run.log").end()
    assert len((tmp_path / "run.log").read_text().splitlines()) == 2


def test_an_event_is_in_the_log_within_a_second(tmp_path: Path) -> None:
    story = logged(tmp_path / "run.log")
    story.start()
    story.send()
    story.later(1)
    story.send()
    assert len((tmp_path / "run.log").read_text().splitlines()) == 4


def test_secrets_are_taken_out_of_every_text(tmp_path: Path) -> None:
    story = logged(tmp_path / "run.log", hide=lambda text: text.replace("sk-1", "[key]"))
    told = Totals({Status.PENDING: 1})
    story.listener(Started(0, "sk-1", "sk-1", "sk-1", 1, told))
    story.fail(entry_id="sk-1", task_id="sk-1", error_type="sk-1", error_message="x sk-1 y")
    story.listener(Waiting(0, "sk-1", 1))
    story.listener(Noted(0, "info", "sk-1", {"sk-1": "sk-1"}))
    story.end(Exit.STOPPED, "sk-1 is refused")
    text = (tmp_path / "run.log").read_text()
    assert "sk-1" not in text
    assert text.count("[key]") == 12


def test_the_log_is_rotated_once_and_stays_bounded(tmp_path: Path) -> None:
    path, most = tmp_path / "run.log", schema.document("limits")["log"]["max_bytes"]
    path.touch()
    os.truncate(path, most - 10)
    story = logged(path)
    story.end()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["run.log", "run.log.1"]
    assert (tmp_path / "run.log.1").stat().st_size == most - 10
    assert len(path.read_text().splitlines()) == 1


def test_a_full_disk_is_noted_once_and_kills_nothing() -> None:
    notes: list[str] = []
    story = logged(Path("/dev/full"), note=notes.append)
    for _ in range(3):
        story.start()
        story.later(2)
    story.end()
    assert notes == ["/dev/full cannot be written (No space left on device); the run goes on"]


def test_a_folder_that_is_gone_is_noted_and_kills_nothing(tmp_path: Path) -> None:
    notes: list[str] = []
    logged(tmp_path / "gone" / "run.log", note=notes.append).end()
    assert len(notes) == 1


def test_a_link_planted_as_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run.log").symlink_to(tmp_path / "elsewhere")
    logged(tmp_path / "run.log").end()
    assert not (tmp_path / "elsewhere").exists()


# ── several listeners ───────────────────────────────────────────────────────────────────────


def test_a_listener_whose_stream_is_gone_is_dropped_and_the_others_go_on() -> None:
    heard: list[Event] = []
    calls: list[Event] = []

    def broken(event: Event) -> None:
        calls.append(event)
        raise BrokenPipeError

    both = fan(broken, heard.append)
    for _ in range(3):
        both(Noted(0, "info", "", {}))
    assert (len(calls), len(heard)) == (1, 3)


def test_a_bar_on_a_broken_pipe_is_dropped() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    clock = Hands()
    heard: list[Event] = []
    raw = os.fdopen(writing, "wb", buffering=0)
    stream = io.TextIOWrapper(raw, "utf-8", write_through=True)
    both = fan(Bar(stream, clock=clock, columns=80, color=False), heard.append)
    both(Started(0, "s", "o", "h", 1, Totals({Status.PENDING: 1})))
    both(Noted(0, "warning", "w", {}))
    both.close()
    raw.close()
    assert len(heard) == 2


def test_closing_a_fan_closes_its_listeners(tmp_path: Path) -> None:
    story = Story(lambda _, clock: fan(Log(tmp_path / "run.log", clock=clock)))
    story.send()
    story.listener.close()  # type: ignore[attr-defined]
    assert len((tmp_path / "run.log").read_text().splitlines()) == 2


def test_a_failure_that_is_tried_once_more_is_no_line_of_its_own() -> None:
    story = plain()
    story.start()
    story.send()
    story.fail(again=True)
    assert "failed: mug" not in story.text
    story.fail()
    assert "failed: mug" in story.text
