"""The lane that brings images home: from the url, from a fresh url, or from what was kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.api import Phase
from pipeline.brake import Halted
from pipeline.engine.watch import images
from pipeline.errors import AccountError, ApiError, DiskError, Gone, Refused, UnknownTask
from pipeline.lifecycle import Step
from pipeline.ratio import mismatch

if TYPE_CHECKING:
    from pipeline.download import Shelf
    from pipeline.engine.desk import Desk
    from pipeline.model import Image, Record

Dress = Callable[["Record", int], tuple[Callable[[bytes], bytes] | None, bytes]]
"""For a job and an image index: what to do to the image's bytes, and the sidecar's text."""

_TRIES = 4
"""Times an image is asked for in one run; its second failure already asks for a fresh url."""


class Fetches:
    """Fetches finished jobs' images. Each call of `one` leaves its job at a status that is true."""

    def __init__(self, desk: Desk, shelf: Shelf, dress: Dress) -> None:
        """Fetch onto `shelf`. `dress` gives what is written into, and beside, a job's image."""
        self._desk = desk
        self._journal = desk.journal
        self._work = desk.work
        self._shelf = shelf
        self._dress = dress

    async def one(self, record: Record) -> None:
        """Bring every image of one finished job to disk."""
        error: ApiError | None = None
        results = record.results
        for tries in range(_TRIES):
            try:
                if tries:
                    await self._desk.brake.rest(self._desk.delays(tries))
                if not results or isinstance(error, Gone) or tries > 1:
                    results = await self._fresh(record, results)
                results = await self._all(record, results)
            except (UnknownTask, Gone) as gone:
                if isinstance(error, Gone) or isinstance(gone, UnknownTask):
                    self._expire(record, gone)
                    return
                error = gone
            except (Halted, DiskError, AccountError) as stop:
                if not isinstance(stop, Halted):
                    self._desk.brake.pull(stop)
                self._work.settle(record, left=True)
                return
            except ApiError as problem:
                error = problem
                if self._desk.weary(problem):
                    break
            else:
                self._done(record, results)
                return
        self._give_up(record, error)

    async def _all(self, record: Record, results: tuple[Image, ...]) -> tuple[Image, ...]:
        done: list[Image] = []
        for image, stem in zip(results, record.stems, strict=False):
            there = self._shelf.find(image, stem)
            done.append(there or await self._fetch(record, image, stem))
        return tuple(done)

    async def _fetch(self, record: Record, image: Image, stem: str) -> Image:
        if image.url_expires_at and image.url_expires_at <= self._journal.now():
            raise Gone("the image's url has expired")
        dress, story = self._dress(record, image.index)
        async with self._desk.api.fetch(image.url) as download:
            name = f"{record.number}-{image.index}"
            taken = await self._shelf.take(download, name, stem, dress, story)
        return replace(taken, index=image.index, url=image.url, url_expires_at=image.url_expires_at)

    async def _fresh(self, record: Record, known: tuple[Image, ...]) -> tuple[Image, ...]:
        """Ask the task for its urls again. Raises `UnknownTask` when it has none any more."""
        if not self._desk.owns(record):
            return known
        task = await self._desk.api.look(record.task_id)
        if task.phase is not Phase.COMPLETED or not task.results:
            raise UnknownTask("the task no longer has an image to give")
        fresh = images(task)
        return (
            tuple(
                replace(old, url=new.url, url_expires_at=new.url_expires_at)
                for old, new in zip(known, fresh, strict=False)
            )
            + fresh[len(known) :]
        )

    def _done(self, record: Record, results: tuple[Image, ...]) -> None:
        record = self._journal.post(
            record, Step.DOWNLOAD, results=results, error_type="", error_message=""
        )
        for image in results:
            if wrong := mismatch(record.size, image.width, image.height):
                self._journal.note("warning", f"{record.entry_id}: {wrong}", file=image.file)
        if len(results) < record.images:
            self._journal.note(
                "warning",
                f"{record.entry_id} (task {record.task_id}) gave {len(results)} of"
                f" {record.images} images; only those were billed",
            )
        self._work.route(record)

    def _expire(self, record: Record, error: ApiError) -> None:
        if not self._desk.owns(record) and not isinstance(error, Refused):
            self._give_up(record, error)
            return
        self._work.route(
            self._journal.post(
                record, Step.EXPIRE, error_type="expired", error_message=error.summary
            )
        )

    def _give_up(self, record: Record, error: ApiError | None) -> None:
        """Leave the job finished but not fetched; the next run tries again, for free."""
        self._journal.note(
            "warning",
            f"{record.entry_id} (task {record.task_id}) is paid, but its image could not be"
            f" fetched: {error.summary if error else 'no reason is known'};"
            " the next run tries again for free",
        )
        self._work.settle(record, left=True)
