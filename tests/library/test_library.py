"""`load`, `plan`, `run`, `run_async`: results as values, the same guarantees."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import Exit, SpecError, Status, load, plan, run, run_async
from pipeline.errors import InputError, LockHeld
from pipeline.events import Ended, Started, Stepped
from pipeline.lock import held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline import Outcome
    from pipeline.events import Event


class JumpingClock:
    """Sleeps end at once and move it on."""

    def __init__(self) -> None:
        self.moment = 1_767_355_200.0

    def now(self) -> float:
        return self.moment

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += max(seconds, 0.0)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "cup", "sea", "mug")
    return tmp_path


def write(folder: Path, *ids: str) -> None:
    lines = "".join(f"  - {{id: {one}, prompt: picture of {one}}}\n" for one in ids)
    (folder / "batch.yaml").write_text(f"version: 1\nentries:\n{lines}", "utf-8")


def rehearse(*faults: str, **words: Any) -> Outcome:
    asked = {"sandbox": True, "clock": JumpingClock(), "environ": {}, **words}
    return run("batch.yaml", fault=["plain=true", *faults], **asked)


# ── load and plan ───────────────────────────────────────────────────────────────────────────


def test_a_loaded_spec_tells_its_entries() -> None:
    spec = load("batch.yaml")
    assert (spec.name, spec.entry_count, spec.job_count) == ("batch", 3, 3)
    assert [entry.id for entry in spec.entries()] == ["cup", "sea", "mug"]


def test_a_spec_may_be_named_by_a_path(folder: Path) -> None:
    assert load(folder / "batch.yaml").name == "batch"


def test_a_wrong_spec_raises_every_problem(folder: Path) -> None:
    (folder / "batch.yaml").write_text("version: 1\nentries:\n  - {n: 9}\n  - {size: 9}\n", "utf-8")
    with pytest.raises(SpecError) as wrong:
        load("batch.yaml")
    assert len(wrong.value.problems) >= 2


def test_a_spec_that_becomes_wrong_is_noticed_while_its_entries_are_read(folder: Path) -> None:
    spec = load("batch.yaml")
    (folder / "batch.yaml").write_text("version: 1\nentries:\n  - {id: cup, n: 9}\n", "utf-8")
    with pytest.raises(SpecError):
        list(spec.entries())


def test_a_plan_says_what_it_may_cost_in_exact_dollars() -> None:
    found = plan("batch.yaml")
    assert (found.jobs_to_do, found.jobs_to_pay) == (3, 3)
    assert isinstance(found.estimate, Decimal)
    assert found.estimate == sum(item.estimate for item in found.items())


def test_a_plan_needs_no_key_and_leaves_no_trace(folder: Path) -> None:
    plan("batch.yaml", environ={})
    assert [path.name for path in folder.iterdir()] == ["batch.yaml"]


def test_a_plan_selects_as_the_command_does() -> None:
    found = plan("batch.yaml", only="c*")
    assert [item.entry_id for item in found.items() if item.selected] == ["cup"]
    assert found.jobs_to_pay == 1


def test_after_a_run_nothing_is_left_to_do() -> None:
    rehearse()
    assert plan("batch.yaml", sandbox=True).jobs_to_do == 0


# ── run ─────────────────────────────────────────────────────────────────────────────────────


def test_an_outcome_holds_the_images_with_their_entries(folder: Path) -> None:
    outcome = rehearse()
    assert (outcome.ok, outcome.exit, outcome.reason) == (True, Exit.DONE, "")
    assert [image.entry_id for image in outcome.images] == ["cup", "sea", "mug"]
    assert all(image.path.is_file() for image in outcome.images)
    assert outcome.folder == folder / "out/batch-sandbox"
    assert outcome.manifest.is_file()
    assert outcome.gallery.is_file()


def test_money_is_exact() -> None:
    outcome = rehearse()
    assert outcome.spent == sum(image.cost or 0 for image in outcome.images)


def test_failures_are_told_and_not_raised() -> None:
    outcome = rehearse("fail=1")
    assert (outcome.ok, outcome.exit) == (False, Exit.SOME_FAILED)
    assert outcome.counts == {Status.FAILED: 3}
    assert sum(one.count for one in outcome.failures) == 3
    assert outcome.images == []


def test_a_run_that_was_stopped_says_by_what() -> None:
    outcome = rehearse("refuse_with=402", "refuse_after=1", concurrency=1)
    assert outcome.exit is Exit.STOPPED
    assert outcome.cause is not None
    assert outcome.reason == outcome.cause.summary


def test_max_cost_takes_a_decimal() -> None:
    outcome = rehearse(max_cost=Decimal("0.05"), concurrency=1)
    assert outcome.exit is Exit.STOPPED
    assert outcome.spent <= Decimal("0.05")


def test_a_second_run_pays_nothing() -> None:
    spent = rehearse().spent
    assert rehearse().spent == spent


def test_a_loaded_spec_brings_its_sandbox_and_its_folder_along(folder: Path) -> None:
    spec = load("batch.yaml", sandbox=True, output="elsewhere")
    outcome = run(spec, clock=JumpingClock(), fault="plain=true")
    assert outcome.folder == folder / "elsewhere-sandbox"
    assert plan(spec).jobs_to_do == 0


def test_without_a_key_nothing_starts() -> None:
    with pytest.raises(InputError) as wrong:
        run("batch.yaml", environ={})
    assert "no API key" in wrong.value.summary


def test_a_spec_that_is_held_is_not_run(folder: Path) -> None:
    with held(folder / "out/batch-sandbox/.lock", 0.0), pytest.raises(LockHeld):
        rehearse()


def test_a_word_that_is_none_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="sandbx"):
        run("batch.yaml", sandbx=True)
    with pytest.raises(TypeError, match="max_cost"):
        plan("batch.yaml", max_cost=1)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    rehearse("fail=0.5")
    assert capsys.readouterr() == ("", "")


def test_progress_is_shown_on_standard_error_when_it_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rehearse(progress=True)
    out, err = capsys.readouterr()
    assert (out, "3 of 3 jobs to do" in err) == ("", True)


# ── a plan that was agreed ──────────────────────────────────────────────────────────────────


def test_an_agreed_plan_is_done_and_nothing_else() -> None:
    outcome = rehearse(plan=plan("batch.yaml", sandbox=True, only="sea"))
    assert [image.entry_id for image in outcome.images] == ["sea"]


def test_an_agreed_plan_is_refused_when_the_spec_has_moved_on(folder: Path) -> None:
    agreed = plan("batch.yaml", sandbox=True)
    write(folder, "cup", "sea", "mug", "tea")
    with pytest.raises(InputError) as wrong:
        rehearse(plan=agreed)
    assert "moved on" in wrong.value.summary
    assert not (folder / "out").exists() or not list((folder / "out").rglob("state.sqlite"))


def test_a_plan_and_a_selection_do_not_go_together() -> None:
    with pytest.raises(InputError):
        rehearse(plan=plan("batch.yaml", sandbox=True), only="cup")


# ── events ──────────────────────────────────────────────────────────────────────────────────


def test_events_come_in_order_in_the_callers_thread() -> None:
    heard: list[tuple[Event, threading.Thread]] = []
    rehearse(on_event=lambda event: heard.append((event, threading.current_thread())))
    events = [event for event, _ in heard]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert {thread for _, thread in heard} == {threading.current_thread()}


class Enough(Exception):
    """Raised by a listener."""


def stop_at_first(step: str) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == step:
            raise Enough

    return listen


def test_an_exception_of_a_listener_stops_the_run_well_and_is_raised(folder: Path) -> None:
    with pytest.raises(Enough):
        rehearse(on_event=stop_at_first("intend"), concurrency=1)
    told = json.loads((folder / "out/batch-sandbox/manifest.json").read_text("utf-8"))
    assert told["totals"]["jobs"] == 3
    assert rehearse().ok


def test_ctrl_c_stops_the_run_well_and_is_raised() -> None:
    """A listener stands for the signal's handler, which runs in the same place."""

    def interrupt(event: Event) -> None:
        if isinstance(event, Stepped):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rehearse(on_event=interrupt)
    assert rehearse().ok


# ── event loops ─────────────────────────────────────────────────────────────────────────────


def test_run_works_where_a_loop_runs_already() -> None:
    async def cell() -> Outcome:
        return rehearse()

    assert asyncio.run(cell()).ok


def test_run_works_in_any_thread() -> None:
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(rehearse()))
    thread.start()
    thread.join()
    assert found[0].ok


def test_run_async_lets_others_go_on() -> None:
    async def main() -> tuple[Outcome, bool]:
        others = asyncio.Event()
        asyncio.get_running_loop().call_soon(others.set)
        outcome = await run_async(
            "batch.yaml", sandbox=True, fault="plain=true", clock=JumpingClock()
        )
        return outcome, others.is_set()

    outcome, others = asyncio.run(main())
    assert outcome.ok
    assert others


def test_run_async_raises_what_run_raises() -> None:
    async def main() -> None:
        await run_async("batch.yaml", environ={})

    with pytest.raises(InputError):
        asyncio.run(main())


def test_run_async_calls_its_listener_in_the_loop_and_raises_what_it_raises() -> None:
    async def main() -> None:
        await run_async(
            "batch.yaml",
            sandbox=True,
            fault="plain=true",
            clock=JumpingClock(),
            on_event=stop_at_first("accept"),
        )

    with pytest.raises(Enough):
        asyncio.run(main())
    assert rehearse().ok


def test_a_cancelled_run_ends_well_before_the_cancelling_does(folder: Path) -> None:
    async def main() -> bool:
        going = asyncio.Event()
        task = asyncio.create_task(
            run_async(
                "batch.yaml",
                sandbox=True,
                fault=["plain=true", "task_seconds=3600"],
                on_event=lambda event: going.set() if isinstance(event, Stepped) else None,
            )
        )
        await going.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with held(folder / "out/batch-sandbox/.lock", 0.0):
            return (folder / "out/batch-sandbox/manifest.json").is_file()

    assert asyncio.run(main())


# ── the package ─────────────────────────────────────────────────────────────────────────────


def test_the_package_alone_loads_nothing_of_the_rest() -> None:
    script = "import sys, pipeline; print([name for name in sys.modules if 'pipeline.' in name])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert said.stdout.strip() == "[]"


def test_every_name_offered_is_there_and_typed() -> None:
    package = import_module("pipeline")
    homes = package._HOMES
    assert all(getattr(package, name) is not None for name in homes)
    from pathlib import Path

    stub = Path(str(package.__file__)).with_suffix(".pyi").read_text("utf-8")
    assert {name for name in homes if f" as {name}\n" not in stub} == set()
    assert Path(str(package.__file__)).with_name("py.typed").is_file()


def test_a_name_that_is_not_offered_is_missing() -> None:
    with pytest.raises(AttributeError):
        _ = import_module("pipeline").nothing


def test_an_outcome_in_a_notebook_escapes_what_others_wrote(folder: Path) -> None:
    (folder / "batch.yaml").write_text(
        "version: 1\nentries:\n  - {id: cup, prompt: '</p><script>alert(1)</script>\"'}\n", "utf-8"
    )
    shown = rehearse()._repr_html_()
    assert "<script" not in shown
    assert shown.count("<img ") == 1
