"""The plan made into the record, all of it or nothing, before anything is sent."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StateError
from pipeline.lifecycle import Status, Step
from pipeline.model import Action
from pipeline.outline import Outline
from pipeline.planning import Comparison, misplaced, select
from pipeline.state import Book, Store, change, rechecked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.commands.batch import Batch
    from pipeline.download import Shelf
    from pipeline.model import Image, Item
    from pipeline.planning import Choice


@dataclass(frozen=True, slots=True)
class Staged:
    """What staging came to: the counts, and the items whose files get other names.

    `agreed` numbers the jobs to be paid for again if their tasks give nothing.
    """

    outline: Outline
    moves: tuple[Item, ...]
    agreed: frozenset[int] = frozenset()


@contextmanager
def store_of(batch: Batch) -> Iterator[Store]:
    """Open the batch's state file. One that was made just now goes again when staging fails."""
    fresh = not batch.state.exists()
    if fresh and (batch.folder / "manifest.csv").exists():
        raise StateError(
            f"{batch.folder} holds results, but its state file is gone",
            why="It alone knows what was paid for: without it everything would be paid again.",
            fix="Put state.sqlite back from a copy, or move the folder away to start anew"
            " (and pay anew).",
        )
    store = Store(batch.state)
    try:
        yield store
    except BaseException:
        store.close()
        if fresh and _untouched(batch):
            shutil.rmtree(batch.folder, ignore_errors=True)
            if batch.folder.parent.name == "out":
                with suppress(OSError):
                    batch.folder.parent.rmdir()
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
    moves: list[Item] = []
    agreed: set[int] = set()
    book = Book(batch.state)
    try:
        with book.snapshot(), store.transaction():
            items = Comparison(book, choice, shelf.lost).items(batch.entries())
            chosen = outline.watch(select(items, choice))
            noted = noting_agreed(noting_moves(chosen, moves), agreed)
            store.stage(noted, batch.world.clock.now())
            batch.check()
            allow(outline)
    finally:
        book.close()
    return Staged(outline, tuple(moves), frozenset(agreed))


def noting_agreed(
    items: Iterator[tuple[Item, bool]], agreed: set[int]
) -> Iterator[tuple[Item, bool]]:
    """Pass the items through; `agreed` gets the numbers of jobs whose tasks are asked first."""
    for item, chosen in items:
        if chosen and item.record is not None and rechecked(item):
            agreed.add(item.record.number)
        yield item, chosen


def noting_moves(
    items: Iterator[tuple[Item, bool]], moves: list[Item]
) -> Iterator[tuple[Item, bool]]:
    """Pass a plan's items through; `moves` gets those whose files belong under another name."""
    for item, chosen in items:
        if _moves(item):
            moves.append(item)
        yield item, chosen


def _moves(item: Item) -> bool:
    if item.job is None or item.record is None or item.record.status is not Status.DOWNLOADED:
        return False
    renamed = item.action in (Action.RENAMED, Action.RESTORED)
    return renamed or (item.action is Action.FETCH and misplaced(item.job, item.record))


def move(moves: Iterable[Item], store: Store, shelf: Shelf, now: float) -> None:
    """Bring renamed jobs' files to their names; one that is nowhere is fetched again.

    Every file first leaves its old name, so that two entries can swap names, and all of it is
    settled before anything is fetched, so that no two jobs ever claim one file.
    """
    pairs = [(item.action, item.job, item.record) for item in moves]
    if not pairs:
        return
    shelf.clear_the_way(record for _, _, record in pairs if record)
    with store.transaction():
        for action, job, before in pairs:
            if job is None or before is None:
                continue
            record = replace(before, active=True, entry_id=job.entry_id)
            found = [
                shelf.find(image, stem)
                for image, stem in zip(record.results, job.stems, strict=False)
            ]
            wanted = zip(found, record.results, job.stems, strict=False)
            results = tuple(there or _named(image, stem) for there, image, stem in wanted)
            results += record.results[len(found) :]
            if action is Action.FETCH or (found and all(found)):
                store.note(record, now, "move", results=results)
            else:
                store.step(change(record, Step.MISS, now, results=results))


def _named(image: Image, stem: str) -> Image:
    """Return a missing image under the name that it will be fetched to."""
    return replace(image, file=f"images/{stem}{Path(image.file).suffix}")
