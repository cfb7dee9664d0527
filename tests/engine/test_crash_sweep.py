"""The run dies at its n-th side effect, for every n, and is run again: nothing is lost, nothing
is paid twice."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from engine_rig import Dead, Fuse, Rig, entries, job, rig
from engine_script import png

from pipeline import sandbox
from pipeline.lifecycle import Status
from pipeline.model import Reference, ReferenceKind
from pipeline.planning import Choice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pipeline.model import Entry

FAILED = Choice(retry=frozenset({Status.FAILED}))


def batch(folder: Path, references_as: str = "upload") -> list[Entry]:
    """Four jobs: two that share a reference, two of one prompt."""
    file = folder / "ref.png"
    if not file.exists():
        file.write_bytes(png())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    reference = Reference(
        ReferenceKind.LOCAL, "ref.png", f"sha256:{digest}", "object", file, "image/png", 70
    )
    return entries(
        job("a", "a cup", references=(reference,), references_as=references_as),
        job("b", "a bowl", references=(reference,), references_as=references_as),
        job("c", "the same"),
        job("d", "the same"),
    )


def check(run: Rig, jobs: int, *, kept: int = 0) -> None:
    """What must be true in the end, however often the run died; `kept`: copies of what was."""
    records = run.records()
    assert [one.status for one in records] == [Status.DOWNLOADED] * jobs
    for one in records:
        (image,) = one.results
        assert image.file == f"images/{one.stems[0]}.jpg"
        data = (run.folder / image.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == image.sha256
    assert len({one.task_id for one in records}) == jobs
    assert run.server is not None
    assert run.server.ledger.requests["leaked_keys"] == 0
    found = [one for one in run.files() if not one.startswith("images/.kept/")]
    assert len(found) == jobs, found
    assert len(run.files()) - jobs <= kept, run.files()
    run.sound()


async def finish(run: Rig, wanted: list[Entry], **how: Choice) -> int:
    """Run until every job is there; returns the side effects of the last run."""
    for _ in range(12):
        last = Fuse()
        await run.run(wanted, fuse=last, **how)
        if set(run.statuses()) == {Status.DOWNLOADED}:
            return last.count
    raise AssertionError(run.statuses())


async def die_and_recover(
    folder: Path, deaths: list[int], *faults: str, seed: int = 1, references_as: str = "upload"
) -> int:
    """Let runs die after so many side effects each, then run to the end; returns the last count."""
    folder.mkdir()
    async with rig(folder / "out", *faults, seed=seed) as run:
        wanted = batch(folder, references_as)
        for length in deaths:
            with suppress(Dead):
                await run.run(wanted, fuse=Fuse(length))
        count = await finish(run, wanted)
        check(run, 4)
        assert run.billed() == 4
        return count


@pytest.mark.parametrize("references_as", ["upload", "inline"])
def test_a_run_that_dies_anywhere_is_finished_by_the_next(folder: Path, references_as: str) -> None:
    length = asyncio.run(die_and_recover(folder / "whole", [], references_as=references_as))
    assert length > 40
    step = 1 if references_as == "upload" else 3
    for deaths in range(0, length + 1, step):
        asyncio.run(die_and_recover(folder / str(deaths), [deaths], references_as=references_as))


def test_a_run_that_dies_again_and_again_is_finished_at_last(folder: Path) -> None:
    for step in range(1, 12):
        asyncio.run(die_and_recover(folder / str(step), [step] * 12))


FAULTS = {
    "cut after accepting": ("cut_after=0.4",),
    "5xx": ("error=0.3",),
    "5xx after accepting": ("error_after=0.4",),
    "429": ("rate=2",),
    "rubbish answers": ("rubbish=0.4",),
    "truncated downloads": ("truncate=0.4",),
    "everything": ("cut_after=0.2", "error=0.1", "rubbish=0.2", "truncate=0.2", "cut_before=0.1"),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_dying_and_faults_together_lose_nothing_and_pay_nothing_twice(
    folder: Path, faults: tuple[str, ...]
) -> None:
    for deaths in range(0, 60, 7):
        asyncio.run(die_and_recover(folder / str(deaths), [deaths], *faults, seed=deaths))


# ── after a first run ───────────────────────────────────────────────────────────────────────

Act = tuple["Callable[[Rig], None]", "list[Entry]", "Choice | None", int]


async def live_on(folder: Path, first: tuple[str, ...], act: Act, deaths: int | None) -> int:
    """A run with some faults, an act of the user's, a run that dies, a run to the end."""
    meanwhile, wanted, choice, kept = act
    how = {} if choice is None else {"choice": choice}
    async with rig(folder / "out", *first) as run:
        await run.run(entries(*(job(name, prompt) for name, prompt in BEFORE)), task_retries=0)
        assert run.server is not None
        billed = run.billed()
        asked = sum(one.status in (Status.FAILED, Status.PENDING) for one in run.records())
        run.server.faults = sandbox.faults(["plain=true"])
        meanwhile(run)
        if deaths is not None:
            with suppress(Dead):
                await run.run(wanted, fuse=Fuse(deaths), **how)
        count = await finish(run, wanted, **how)
        check(run, len(wanted), kept=kept)
        assert run.billed() == billed + (asked if choice is not None else 0)
        return count


BEFORE = (("a", "one"), ("b", "two"), ("c", "three"))


def harm(run: Rig) -> None:
    """One file is missing, one is cut short."""
    (run.folder / "images" / "a.jpg").unlink()
    (run.folder / "images" / "b.jpg").write_bytes(b"half")


def nothing(run: Rig) -> None:
    """Nothing happens."""


def named(*names: str) -> list[Entry]:
    """The same pictures under these names."""
    return entries(
        *(
            replace(job(old, prompt), entry_id=new, stems=(new,))
            for (old, prompt), new in zip(BEFORE, names, strict=True)
        )
    )


ACTS: dict[str, tuple[tuple[str, ...], Act]] = {
    "files are repaired": ((), (harm, named("a", "b", "c"), None, 1)),
    "two names are swapped": ((), (nothing, named("b", "a", "c"), None, 0)),
    "a chain of names moves on": ((), (nothing, named("b", "c", "d"), None, 0)),
    "names change and files are lost": ((), (harm, named("c", "a", "b"), None, 2)),
    "failed tasks are retried": (("fail_first=2",), (nothing, named("a", "b", "c"), FAILED, 0)),
    "renamed and retried": (("fail_first=1",), (nothing, named("x", "c", "b"), FAILED, 0)),
}


@pytest.mark.parametrize(("first", "act"), ACTS.values(), ids=ACTS.keys())
def test_a_later_run_that_dies_anywhere_is_finished_by_the_next(
    folder: Path, first: tuple[str, ...], act: Act
) -> None:
    def run(name: str, deaths: int | None) -> Awaitable[int]:
        (folder / name).mkdir()
        return live_on(folder / name, first, act, deaths)

    length = asyncio.run(run("whole", None))  # type: ignore[arg-type]
    assert length >= 4
    for deaths in range(0, length + 1, 2):
        asyncio.run(run(str(deaths), deaths))  # type: ignore[arg-type]
