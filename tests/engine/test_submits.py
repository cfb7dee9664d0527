"""Where money is spent: every outcome of a submit, keys and their age, references."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from engine_rig import entries, job
from engine_script import Script, desk, png

from pipeline import schema
from pipeline.api import Phase, Task
from pipeline.brake import Brake
from pipeline.errors import (
    ApiError,
    BalanceEmpty,
    Cut,
    Disguised,
    Exit,
    Indeterminate,
    InProgress,
    KeyRefused,
    KeyReused,
    NotExecuted,
    NotPermitted,
    RateLimited,
    Refused,
    Rubbish,
    TimedOut,
    Unavailable,
    Unreachable,
)
from pipeline.lifecycle import SUBMIT_OUTCOMES, Again, Status, Step, Submit
from pipeline.model import Reference, ReferenceKind
from pipeline.planning import Choice
from pipeline.state import Book

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine_rig import Rig

DAY = schema.api("idempotency", "trusted_seconds")
ROWS: dict[Submit, type[ApiError]] = {
    Submit.NEVER_SENT: Unreachable,
    Submit.REFUSED: Refused,
    Submit.DISGUISED: Disguised,
    Submit.STOPPED: KeyRefused,
    Submit.THROTTLED: RateLimited,
    Submit.NOT_EXECUTED: NotExecuted,
    Submit.UNAVAILABLE: Unavailable,
    Submit.CUT: Cut,
    Submit.TIMED_OUT: TimedOut,
    Submit.RUBBISH: Rubbish,
    Submit.IN_PROGRESS: InProgress,
    Submit.KEY_REUSED: KeyReused,
    Submit.INDETERMINATE: Indeterminate,
}


def first(error: ApiError) -> Callable[[int, str], ApiError | None]:
    """Only the first submit is answered like that."""
    return lambda n, key: error if n == 1 else None


def always(error: ApiError) -> Callable[[int, str], ApiError | None]:
    """Every submit is answered like that."""
    return lambda n, key: error


def steps(run: Rig, number: int = 1) -> list[str]:
    """What happened to a job."""
    book = Book(run.state)
    try:
        return [step for _, step, _ in book.history(number)]
    finally:
        book.close()


def test_every_row_of_the_table_is_an_error_of_ours() -> None:
    assert {*ROWS, Submit.ACCEPTED} == set(SUBMIT_OUTCOMES)
    assert all(kind.submit is row for row, kind in ROWS.items())


@pytest.mark.parametrize("row", ROWS)
def test_an_outcome_does_what_its_row_says(folder: Path, row: Submit) -> None:
    run, api = desk(folder)
    outcome = SUBMIT_OUTCOMES[row]
    api.on_submit = first(ROWS[row]("no"))
    cause = asyncio.run(run.run(entries(job("a")), api=api))
    (record,) = run.records()
    if outcome.again is Again.SAME_KEY:
        assert record.status is Status.DOWNLOADED
        assert len(api.sent) == 2
        assert api.sent[0] == api.sent[1]
        assert (Step.WITHDRAW in steps(run)) is False
    elif outcome.again is Again.NEXT_RUN:
        assert record.status is Status.PENDING
        assert isinstance(cause, ROWS[row])
    else:
        assert record.status is {Step.REFUSE: Status.FAILED, Step.DOUBT: Status.HELD}[outcome.step]
        assert len(api.sent) == 1
        assert record.error_message == "no"
    assert len(api.tasks) <= 1
    run.sound()


@pytest.mark.parametrize("row", [row for row in ROWS if SUBMIT_OUTCOMES[row].step is None])
def test_what_may_have_been_paid_is_never_withdrawn(folder: Path, row: Submit) -> None:
    run, api = desk(folder)
    api.on_submit = always(ROWS[row]("no"))
    asyncio.run(run.run(entries(job("a")), api=api))
    (record,) = run.records()
    assert record.status is Status.SUBMITTING
    assert record.sends == len(api.sent) == schema.api("backoff", "attempts")
    assert len(set(api.sent)) == 1
    api.on_submit = lambda n, key: None
    run.clock.time += DAY / 2
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == len(set(api.sent)) == 1
    assert Step.WITHDRAW not in steps(run)
    run.sound()


def test_a_doubt_is_not_forgotten_when_a_later_try_certainly_did_nothing(folder: Path) -> None:
    run, api = desk(folder)
    answers: list[ApiError] = [Cut("cut"), KeyRefused("no")]
    api.on_submit = lambda n, key: answers[n - 1] if n <= 2 else None
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.SUBMITTING]
    asyncio.run(run.run(entries(job("a")), api=api))
    assert len(api.tasks) == 1
    assert len(api.keys) == 1


@pytest.mark.parametrize("error", [Refused, Disguised])
def test_a_refusal_after_a_doubtful_send_is_not_called_unpaid(
    folder: Path, error: type[ApiError]
) -> None:
    run, api = desk(folder)
    answers: list[ApiError] = [Cut("cut"), error("no")]
    api.on_submit = lambda n, key: answers[n - 1]
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.HELD]
    assert len(api.tasks) == 1
    run.sound()


def test_each_send_is_counted_and_each_attempt_has_a_key_of_its_own(folder: Path) -> None:
    run, api = desk(folder)
    api.on_submit = lambda n, key: [Cut("1"), Unavailable("2"), None][min(n, 3) - 1]
    asyncio.run(run.run(entries(job("a"), job("b")), api=api, concurrency=1))
    one, two = run.records()
    assert (one.attempt, one.sends) == (1, 3)
    assert (two.attempt, two.sends) == (1, 1)
    assert api.keys == [one.key, two.key]
    assert all(33 <= ord(letter) <= 126 for letter in one.key)
    assert len(one.key) <= schema.api("idempotency", "max_length")


def test_two_entries_with_one_prompt_have_keys_of_their_own(folder: Path) -> None:
    run, api = desk(folder)
    asyncio.run(run.run(entries(job("a", "same"), job("b", "same")), api=api))
    assert len(api.keys) == len(api.tasks) == 2


@pytest.mark.parametrize(
    ("error", "code"), [(KeyRefused, 401), (BalanceEmpty, 402), (NotPermitted, 403)]
)
def test_a_refused_account_stops_the_run_once_and_leaves_the_rest_pending(
    folder: Path, error: type[ApiError], code: int
) -> None:
    run, api = desk(folder)
    jobs = entries(*(job(f"e{n}", str(n)) for n in range(20)))
    api.on_submit = lambda n, key: error("no", code=code) if n > 3 else None
    cause = asyncio.run(run.run(jobs, api=api, concurrency=2))
    assert isinstance(cause, error)
    assert cause.exit is Exit.STOPPED
    assert len(api.sent) <= 3 + 2
    assert set(run.statuses()[5:]) == {Status.PENDING}
    api.on_submit = lambda n, key: None
    asyncio.run(run.run(jobs, api=api))
    assert set(run.statuses()) == {Status.DOWNLOADED}
    assert len(api.tasks) == 20
    run.sound()


def test_a_hostile_retry_after_does_not_put_a_job_to_sleep_for_years(folder: Path) -> None:
    run, api = desk(folder)
    api.on_submit = first(InProgress("wait", retry_after=10.0**12))
    began = run.clock.time
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.DOWNLOADED]
    assert run.clock.time - began < DAY


# ── the age of a key ────────────────────────────────────────────────────────────────────────


def doubtful(run: Rig, api: Script) -> None:
    """A job that was executed and whose answer was lost."""
    api.on_submit = always(Cut("cut"))
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.SUBMITTING]
    api.on_submit = lambda n, key: None
    api.sent.clear()


def test_a_key_is_trusted_for_a_day_and_then_the_job_is_held(folder: Path) -> None:
    run, api = desk(folder)
    doubtful(run, api)
    run.clock.time += DAY + 3600
    asyncio.run(run.run(entries(job("a")), api=api))
    (record,) = run.records()
    assert (record.status, record.error_type) == (Status.HELD, "key_expired")
    assert api.sent == []
    asyncio.run(run.run(entries(job("a")), api=api))
    assert api.sent == []
    choice = Choice(retry=frozenset({Status.HELD}))
    asyncio.run(run.run(entries(job("a")), api=api, choice=choice))
    assert run.statuses() == [Status.DOWNLOADED]
    assert run.records()[0].attempt == 2
    run.sound()


def test_a_machine_that_slept_for_days_between_two_tries_does_not_trust_the_key(
    folder: Path,
) -> None:
    run, api = desk(folder)

    def nap(n: int, key: str) -> ApiError:
        run.clock.time += 2 * DAY
        return Cut("cut")

    api.on_submit = nap
    asyncio.run(run.run(entries(job("a")), api=api, patience=10**9))
    assert len(api.sent) == 1
    assert run.statuses() == [Status.HELD]


def test_a_clock_that_was_set_back_leaves_the_job_alone(folder: Path) -> None:
    run, api = desk(folder)
    doubtful(run, api)
    run.clock.time -= 30 * DAY
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.SUBMITTING]
    assert api.sent == []
    assert any("set the clock" in getattr(one, "message", "") for one in run.events)


def test_a_clock_that_was_corrected_a_little_does_no_harm(folder: Path) -> None:
    run, api = desk(folder)
    doubtful(run, api)
    run.clock.time = run.records()[0].intended_at - 60
    asyncio.run(run.run(entries(job("a")), api=api))
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"key": "another-key"}])
def test_another_key_or_host_leaves_what_is_under_way_alone(
    folder: Path, change: dict[str, str]
) -> None:
    run, api = desk(folder)
    doubtful(run, api)
    two = entries(job("a"), job("b", "b"))
    asyncio.run(run.run(two, api=api, wait=False))
    run.host, run.key = change.get("host", run.host), change.get("key", run.key)
    before = run.records()
    api.calls.clear()
    asyncio.run(run.run(two, api=api))
    assert run.records() == before
    assert api.requests() == 0
    run.sound()


# ── references ──────────────────────────────────────────────────────────────────────────────


def picture(folder: Path, color: int = 1, name: str = "ref.png") -> Reference:
    file = folder / name
    file.write_bytes(png(color))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Reference(ReferenceKind.LOCAL, name, f"sha256:{digest}", "object", file, "image/png", 70)


def urls(api: Script) -> list[list[str]]:
    return [json.loads(body)["image_urls"] for _, body in api.sent]


def test_a_reference_is_uploaded_once_for_all_its_jobs_by_its_contents(folder: Path) -> None:
    run, api = desk(folder)
    one, twin = picture(folder), picture(folder, name="copy.png")
    jobs = entries(*(job(f"e{n}", str(n), references=((one, twin)[n % 2],)) for n in range(30)))
    asyncio.run(run.run(jobs, api=api, concurrency=16))
    assert len(api.uploads) == 1
    assert {str(one) for one in urls(api)} == {"['http://uploads/1']"}


def test_an_upload_is_used_again_until_it_nears_its_end(folder: Path) -> None:
    run, api = desk(folder)
    reference = picture(folder)
    life = schema.api("upload", "lifetime_seconds")
    spare = schema.api("upload", "renew_before_seconds")
    for n, later in enumerate((0, life - spare - 3600, 2 * 3600)):
        run.clock.time += later
        asyncio.run(run.run(entries(job(f"e{n}", str(n), references=(reference,))), api=api))
    assert len(api.uploads) == 2
    assert spare > DAY


def test_an_upload_from_the_future_is_not_believed_to_live_longer(folder: Path) -> None:
    run, api = desk(folder)
    reference = picture(folder)
    run.clock, wrong = run.clock, type(run.clock)(run.clock.time + 400 * DAY)
    api.clock = wrong
    asyncio.run(run.run(entries(job("a", references=(reference,))), api=api))
    run.clock.time += 4 * DAY
    asyncio.run(run.run(entries(job("b", "b", references=(reference,))), api=api))
    assert len(api.uploads) == 2


@pytest.mark.parametrize("references_as", ["upload", "inline"])
def test_a_reference_edited_since_the_plan_leaves_its_job_pending(
    folder: Path, references_as: str
) -> None:
    run, api = desk(folder)
    reference = picture(folder)
    one = job("a", references=(reference,), references_as=references_as)
    (folder / "ref.png").write_bytes(png(99))
    asyncio.run(run.run(entries(one), api=api))
    assert run.statuses() == [Status.PENDING]
    assert api.sent == []
    assert any("was changed" in getattr(event, "message", "") for event in run.events)


def test_a_reference_edited_while_it_is_uploaded_is_not_used(folder: Path) -> None:
    run, api = desk(folder)
    reference = picture(folder)

    def edit(n: int) -> None:
        (folder / "ref.png").write_bytes(png(99))

    api.on_upload = edit
    asyncio.run(run.run(entries(job("a", references=(reference,))), api=api))
    assert api.sent == []
    (folder / "ref.png").write_bytes(png(1))
    api.on_upload = lambda n: None
    asyncio.run(run.run(entries(job("a", references=(reference,))), api=api))
    assert api.uploads[-1] == png(1)
    assert urls(api) == [["http://uploads/2"]]


@pytest.mark.parametrize("references_as", ["upload", "inline"])
def test_the_same_bytes_go_out_again_even_when_the_file_has_changed_since(
    folder: Path, references_as: str
) -> None:
    run, api = desk(folder)
    jobs = entries(job("a", references=(picture(folder),), references_as=references_as))
    api.on_submit = always(Cut("cut"))
    asyncio.run(run.run(jobs, api=api))
    (folder / "ref.png").unlink()
    api.on_submit = lambda n, key: None
    run.clock.time += DAY / 2
    asyncio.run(run.run(jobs, api=api))
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(set(api.sent)) == 1
    assert len(api.tasks) == 1


def test_inlined_references_do_not_stay_in_the_state_file_for_ever(folder: Path) -> None:
    run, api = desk(folder)
    reference = picture(folder)
    asyncio.run(
        run.run(entries(job("a", references=(reference,), references_as="inline")), api=api)
    )
    book = Book(run.state)
    assert book.blob(reference.identity.removeprefix("sha256:")) is None
    book.close()
    assert json.loads(api.sent[0][1])["image_urls"][0].startswith("data:image/png;base64,")


def test_a_request_that_cannot_be_rebuilt_is_held_and_not_called_unpaid(folder: Path) -> None:
    run, api = desk(folder)
    jobs = entries(job("a", references=(picture(folder),), references_as="inline"))
    api.on_submit = always(Cut("cut"))
    asyncio.run(run.run(jobs, api=api))
    db = sqlite3.connect(run.state)
    db.execute("DELETE FROM blobs")
    db.commit()
    db.close()
    asyncio.run(run.run(jobs, api=api))
    assert run.statuses() == [Status.HELD]


def test_an_upload_that_never_succeeds_leaves_the_job_pending_and_ends(folder: Path) -> None:
    run, api = desk(folder)

    def refuse(n: int) -> None:
        raise Unavailable("broken", code=503)

    api.on_upload = refuse
    jobs = entries(job("a", references=(picture(folder),)), job("b", "b"))
    asyncio.run(run.run(jobs, api=api, patience=10**9))
    assert run.statuses() == [Status.PENDING, Status.DOWNLOADED]
    assert api.calls["upload"] < 100


def test_a_refused_reference_fails_its_job_alone(folder: Path) -> None:
    run, api = desk(folder)

    def refuse(n: int) -> None:
        raise Refused("not an image", kind="invalid_request_error")

    api.on_upload = refuse
    jobs = entries(job("a", references=(picture(folder),)), job("b", "b"))
    asyncio.run(run.run(jobs, api=api))
    assert run.statuses() == [Status.FAILED, Status.DOWNLOADED]
    run.sound()


def test_a_stop_during_an_upload_leaves_no_request_behind(folder: Path) -> None:
    run, api = desk(folder)
    brake = Brake(run.clock)
    api.on_upload = lambda n: brake.pull("stopped")
    jobs = entries(*(job(f"e{n}", str(n), references=(picture(folder),)) for n in range(5)))
    assert asyncio.run(run.run(jobs, api=api, brake=brake)) == "stopped"
    assert len(api.tasks) == len(api.sent)
    asyncio.run(run.run(jobs, api=api))
    assert set(run.statuses()) == {Status.DOWNLOADED}
    assert len(api.tasks) == 5
    assert len(api.uploads) == 1
    run.sound()


# ── a callback names the task ───────────────────────────────────────────────────────────────


def test_a_late_callback_of_an_earlier_attempt_does_not_take_the_place_of_this_one(
    folder: Path,
) -> None:
    from pipeline.engine import Bell

    run, api = desk(folder)
    bell = Bell(lambda number: f"http://me/{number}")

    def fail_first(paid: object, task: Task) -> Task:
        if task.id == "task_1":
            return Task(task.id, Phase.FAILED, error_message="blocked")
        return task

    def lose_second(n: int, key: str) -> ApiError | None:
        if n == 2:
            bell.ring(1, "task_1")
            return Cut("cut")
        return None

    api.on_look, api.on_submit = fail_first, lose_second
    asyncio.run(run.run(entries(job("a")), api=api, bell=bell))
    (record,) = run.records()
    assert (record.status, record.task_id) == (Status.DOWNLOADED, "task_2")
    assert len(api.tasks) == 2
    run.sound()


def test_a_callback_that_was_faster_than_the_cut_saves_the_pause_and_the_second_send(
    folder: Path,
) -> None:
    from pipeline.engine import Bell

    run, api = desk(folder)
    bell = Bell(lambda number: f"http://me/{number}")

    def ring_and_cut(n: int, key: str) -> ApiError:
        bell.ring(1, "task_1")
        return Cut("cut")

    api.on_submit = ring_and_cut
    asyncio.run(run.run(entries(job("a")), api=api, bell=bell))
    (record,) = run.records()
    assert (record.status, record.task_id) == (Status.DOWNLOADED, "task_1")
    assert api.calls["submit"] == 1
    assert "recover" in steps(run)
    run.sound()


@pytest.mark.parametrize("error", [Indeterminate("unclear"), KeyReused("another body")])
def test_a_callback_saves_a_job_that_would_be_held(folder: Path, error: ApiError) -> None:
    from pipeline.engine import Bell

    run, api = desk(folder)
    bell = Bell(lambda number: f"http://me/{number}")

    def ring_and_doubt(n: int, key: str) -> ApiError:
        bell.ring(1, "task_1")
        return Cut("cut") if n == 1 else error

    def not_at_first(paid: object, task: Task) -> Task:
        if api.calls["look"] == 1:
            raise Unavailable("not now")
        return task

    api.on_submit, api.on_look = ring_and_doubt, not_at_first
    asyncio.run(run.run(entries(job("a")), api=api, bell=bell))
    assert run.statuses() == [Status.DOWNLOADED]
    assert len(api.tasks) == 1
    run.sound()
