"""Jobs, records and a state file to try things on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.lifecycle import Status, Step
from pipeline.model import Action, Image, Item, Job
from pipeline.money import Money
from pipeline.state import Book, Store, change

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.model import Record

NOW = 1_800_000_000.0
PRICE = Money(33_600_000)


def job(entry_id: str, *, position: int = 0, index: int = 1, prompt: str = "a cup") -> Job:
    """A job of one image whose picture its prompt and index determine."""
    request = {"model": "m", "n": 1, "prompt": prompt, "size": "1:1"}
    stem = entry_id if index == 1 else f"{entry_id}-{index}"
    return Job(
        entry_id, index, 1, position, "m", prompt, "1:1",
        json.dumps(request, sort_keys=True), (), "upload", "",
        f"{prompt}|{index}".encode().hex(), (stem,), (), PRICE,
    )  # fmt: skip


def new(one: Job) -> tuple[Item, bool]:
    """The line of a plan that adds a job, selected."""
    return Item(Action.NEW, "new", one, None), True


def staged(path: Path, jobs: Iterable[Job]) -> list[Record]:
    """Add jobs to a state file; returns their records in spec order."""
    store = Store(path)
    with store.transaction():
        store.stage((new(one) for one in jobs), NOW)
    store.close()
    return records(path)


def records(path: Path) -> list[Record]:
    """Every job in force, in spec order."""
    book = Book(path)
    try:
        return list(book.active())
    finally:
        book.close()


def checked(path: Path) -> list[str]:
    """What a check finds wrong with the file."""
    book = Book(path)
    try:
        return book.check()
    finally:
        book.close()


def image(index: int = 1, name: str = "a") -> Image:
    """One downloaded image."""
    return Image(index, "http://x/1", NOW + 9, f"images/{name}.png", 70, "ab" * 32, 8, 8, "PNG")


STORY = (
    (Step.INTEND, {"key": "k1", "attempt": 1, "sends": 1, "intended_at": NOW, "host": "h"}),
    (Step.RESEND, {"sends": 2}),
    (Step.ACCEPT, {"task_id": "task_1", "submitted_at": NOW}),
    (Step.COMPLETE, {"cost": Money(5), "completed_at": NOW, "results": (image(),)}),
    (Step.DOWNLOAD, {"results": (image(),)}),
)


def live(store: Store, record: Record, upto: int = len(STORY)) -> Record:
    """Take a pending job through the first steps of an ordinary life."""
    for step, fields in STORY[:upto]:
        one = change(record, step, NOW, **fields)
        store.write([one])
        record = one.after
    return record


def at(record: Record, status: Status) -> Record:
    """The record as it would look at another status."""
    return replace(record, status=status)
