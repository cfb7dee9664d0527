"""The run dies at its n-th side effect, for every n, and is run again: nothing is lost, nothing
is paid twice."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from pipeline.lifecycle import Status
from pipeline.model import Reference, ReferenceKind
from engine_rig import Dead, Fuse, Rig, entries, job, rig

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.model import Entry


def batch(folder: Path, references_as: str = "upload") -> list[Entry]:
    """Four jobs: two that share a reference, two of one prompt."""
    file = folder / "ref.png"
    if not file.exists():
        from PIL import Image

        Image.new("RGB", (8, 8), "red").save(file)
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


def check(run: Rig, jobs: int) -> None:
    """What must be true in the end, however often the run died."""
    records = run.records()
    assert [one.status for one in records] == [Status.DOWNLOADED] * jobs
    for one in records:
        (image,) = one.results
        data = (run.folder / image.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == image.sha256
    assert len({one.task_id for one in records}) == jobs
    assert run.billed() == jobs
    assert run.server.ledger.requests["leaked_keys"] == 0
    assert len(run.files()) == jobs, run.files()
    run.sound()


async def die_and_recover(folder: Path, deaths: list[int], *faults: str, seed: int = 1, **how: str) -> int:
    """Let runs die after so many side effects each, then run to the end; returns the last count."""
    async with rig(folder / "out", *faults, seed=seed) as run:
        for length in deaths:
            try:
                await run.run(batch(folder, **how), fuse=Fuse(length))
            except Dead:
                continue
        last = Fuse()
        for _ in range(12):
            last = Fuse()
            await run.run(batch(folder, **how), fuse=last)
            if set(run.statuses()) == {Status.DOWNLOADED}:
                break
        check(run, 4)
        return last.count


def sweep_length(folder: Path, *faults: str) -> int:
    """How many side effects an undisturbed run has."""

    async def count() -> int:
        async with rig(folder / "out", *faults) as run:
            fuse = Fuse()
            await run.run(batch(folder), fuse=fuse)
            check(run, 4)
            return fuse.count

    return asyncio.run(count())


@pytest.mark.parametrize("references_as", ["upload", "inline"])
def test_a_run_that_dies_anywhere_is_finished_by_the_next(tmp_path: Path, references_as: str) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    length = sweep_length(whole)
    assert length > 40
    for deaths in range(length + 1):
        folder = tmp_path / str(deaths)
        folder.mkdir()
        asyncio.run(die_and_recover(folder, [deaths], references_as=references_as))


def test_a_run_that_dies_again_and_again_is_finished_at_last(tmp_path: Path) -> None:
    for step in range(1, 12):
        folder = tmp_path / str(step)
        folder.mkdir()
        asyncio.run(die_and_recover(folder, [step] * 12))


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
    tmp_path: Path, faults: tuple[str, ...]
) -> None:
    for deaths in range(0, 60, 3):
        folder = tmp_path / str(deaths)
        folder.mkdir()
        asyncio.run(die_and_recover(folder, [deaths], *faults, seed=deaths))
