"""Many writers, one thread, few transactions: in order, on disk before anybody goes on."""

from __future__ import annotations

import asyncio
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from state_desk import NOW, checked, image, job, live, records, staged

from pipeline.clock import SystemClock
from pipeline.errors import DiskError
from pipeline.lifecycle import Status, Step
from pipeline.state import Book, Scribe, Store, change

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def jobs(count: int) -> list:
    return [job(f"e{n}", position=n, prompt=str(n)) for n in range(count)]


def test_changes_that_wait_together_share_a_commit(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    found = staged(path, jobs(50))
    commits: list[str] = []
    store = Store(path, witness=commits.append)

    async def write() -> None:
        scribe = Scribe(store, SystemClock(), failed=raise_it)
        for one in found:
            scribe.post(change(one, Step.INTEND, NOW, key="k"))
        await scribe.close()

    asyncio.run(write())
    store.close()
    assert commits.count("committed") < 50
    assert {one.status for one in records(path)} == {Status.SUBMITTING}
    assert checked(path) == []


def raise_it(error: BaseException) -> None:
    raise error


def test_a_write_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    (record,) = staged(path, jobs(1))
    store = Store(path)

    async def write() -> str:
        scribe = Scribe(store, SystemClock(), failed=raise_it)
        await scribe.write(change(record, Step.INTEND, NOW, key="k"))
        reader = Book(path)
        (seen,) = reader.active()
        reader.close()
        await scribe.close()
        return seen.key

    assert asyncio.run(write()) == "k"
    store.close()


def test_steps_of_one_job_are_written_in_the_order_they_were_taken(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    (record,) = staged(path, jobs(1))
    store = Store(path)

    async def write() -> None:
        scribe = Scribe(store, SystemClock(), failed=raise_it)
        intend = change(record, Step.INTEND, NOW, key="k")
        accept = change(intend.after, Step.ACCEPT, NOW, task_id="task_1")
        complete = change(accept.after, Step.COMPLETE, NOW, results=(image(),))
        scribe.post(intend)
        scribe.post(accept)
        await scribe.call(lambda: store.keep_fact("in", "turn"))
        await scribe.write(complete)
        await scribe.close()

    asyncio.run(write())
    assert store.fact("in") == "turn"
    store.close()
    assert records(path)[0].status is Status.COMPLETED
    assert checked(path) == []


def test_a_failed_write_is_told_to_the_run_and_to_everyone_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    found = staged(path, jobs(3))
    store = Store(path)
    told: list[BaseException] = []

    async def write() -> list[object]:
        scribe = Scribe(store, SystemClock(), failed=told.append)
        ended = change(found[0], Step.INTEND, NOW, key="k")
        scribe.post(ended)
        scribe.post(ended)  # the job is no longer where this step starts
        said = await asyncio.gather(
            *(scribe.write(change(one, Step.INTEND, NOW, key="k")) for one in found[1:]),
            return_exceptions=True,
        )
        with pytest.raises(RuntimeError):
            await scribe.close()
        return list(said)

    said = asyncio.run(write())
    store.close()
    assert all(isinstance(one, RuntimeError) for one in said)
    assert told
    assert {one.status for one in records(path)} == {Status.PENDING}
    assert checked(path) == []


# ── a full disk ─────────────────────────────────────────────────────────────────────────────


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The disk takes no more than this for any one file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_what_was_written_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    found = staged(path, jobs(40))
    store = Store(path)
    told: list[BaseException] = []
    written: list[int] = []

    async def write() -> None:
        scribe = Scribe(store, SystemClock(), failed=told.append)
        with pytest.raises(DiskError, match="cannot write"):  # noqa: PT012 - somewhere in the loop
            for one in found:
                await scribe.write(change(one, Step.INTEND, NOW, key="k" * 5000))
                written.append(one.number)
        with pytest.raises(DiskError):
            await scribe.close()

    with no_file_above(path.stat().st_size + 40_000):
        asyncio.run(write())
    store.close()
    assert 0 < len(written) < 40
    assert all(isinstance(one, DiskError) for one in told)
    assert checked(path) == []
    sent = [one for one in records(path) if one.status is Status.SUBMITTING]
    assert [one.number for one in sent] == written


def test_when_there_is_room_again_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    found = staged(path, jobs(2))
    store = Store(path)
    first = live(store, found[0], 2)
    with no_file_above(0), pytest.raises(DiskError):
        store.write([change(first, Step.ACCEPT, NOW, task_id="task_1")])
    store.write([change(first, Step.ACCEPT, NOW, task_id="task_1")])
    store.close()
    assert records(path)[0].task_id == "task_1"
    assert checked(path) == []


def test_a_disk_without_room_makes_no_state_file(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    with no_file_above(0), pytest.raises(DiskError):
        Store(path)
    assert not path.exists()
    Store(path).close()
    assert checked(path) == []
