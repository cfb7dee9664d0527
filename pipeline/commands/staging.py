"""The plan made into the record, all of it or nothing, before anything is sent."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.lifecycle import Status, Step
from pipeline.model import Action
from pipeline.outline import Outline
from pipeline.plan import Comparison, select
from pipeline.state import Book, Store, change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.commands.batch import Batch
    from pipeline.download import Shelf
    from pipeline.model import Item, Job, Record
    from pipeline.plan import Choice


@dataclass(frozen=True, slots=True)
class Staged:
    """What staging came to: the counts, and the jobs whose files get other names."""

    outline: Outline
    moves: tuple[tuple[Job, Record], ...]


@contextmanager
def store_of(batch: Batch) -> Iterator[Store]:
    """Open the batch's state file. One that was made just now goes again when staging fails."""
    fresh = not batch.state.exists()
    store = Store(batch.state)
    try:
        yield store
    except BaseException:
        store.close()
        if fresh and _untouched(batch):
            shutil.rmtree(batch.folder, ignore_errors=True)
        raise
    store.close()


def _untouched(batch: Batch) -> bool:
    """Whether the folder holds nothing but an empty state file and the lock."""
    state, lock = batch.state.name, batch.lock.name
    ours = {lock, state, f"{state}-wal", f"{state}-shm"}
    if any(one.name not in ours for one in batch.folder.iterdir()):
        return False
    book = Book(batch.state)
    try:
        return book.highest() == 0
    finally:
        book.close()


def stage(
    batch: Batch, store: Store, shelf: Shelf, choice: Choice, allow: Callable[[Outline], None]
) -> Staged:
    """Compare the spec with the record and write the plan down.

    Raises `SpecError`, and changes nothing, when the spec has errors; so it does with whatever
    `allow` raises when it is shown the counts.
    """
    outline = Outline()
    moves: list[tuple[Job, Record]] = []
    book = Book(batch.state)
    try:
        with book.snapshot(), store.transaction():
            items = Comparison(book, choice, shelf.lost).items(batch.entries())
            chosen = outline.watch(select(items, choice))
            store.stage(_noting_moves(chosen, moves), batch.world.clock.now())
            batch.check()
            allow(outline)
    finally:
        book.close()
    return Staged(outline, tuple(moves))


def _noting_moves(
    items: Iterator[tuple[Item, bool]], moves: list[tuple[Job, Record]]
) -> Iterator[tuple[Item, bool]]:
    for item, chosen in items:
        moved = item.action in (Action.RENAMED, Action.RESTORED)
        if moved and item.job and item.record and item.record.status is Status.DOWNLOADED:
            moves.append((item.job, item.record))
        yield item, chosen


def move(moves: tuple[tuple[Job, Record], ...], store: Store, shelf: Shelf, now: float) -> None:
    """Bring renamed jobs' files to their names; one that is nowhere is fetched again.

    Every file first leaves its old name, so that two entries can swap names.
    """
    if not moves:
        return
    shelf.clear_the_way(record for _, record in moves)
    with store.transaction():
        for job, before in moves:
            record = replace(before, active=True, entry_id=job.entry_id)
            found = [
                shelf.find(image, stem)
                for image, stem in zip(record.results, job.stems, strict=False)
            ]
            results = tuple(image for image in found if image is not None)
            if found and len(results) == len(found):
                results += record.results[len(found) :]
                store.note(record, now, "move", results=results)
            else:
                store.step(change(record, Step.MISS, now))
