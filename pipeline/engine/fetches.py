"""The lane that brings images home: from the url, from a fresh url, or from what was kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline import schema
from pipeline.api import Parcel, Phase
from pipeline.brake import Halted
from pipeline.engine.watch import images
from pipeline.errors import (
    AccountError,
    ApiError,
    DiskError,
    Gone,
    NotAnImage,
    Refused,
    UnknownTask,
)
from pipeline.lifecycle import Step
from pipeline.model import Image
from pipeline.ratio import mismatch

if TYPE_CHECKING:
    from pipeline.api import Porter
    from pipeline.download import Shelf
    from pipeline.engine.desk import Desk
    from pipeline.model import Record

Facts = Callable[["Record", int], Mapping[str, str]]
"""For a job and an image index: what is written into, and beside, its image."""

_TRIES = 4
"""Times an image is asked for in one run; its second failure already asks for a fresh url."""


class Fetches:
    """Fetches finished jobs' images. Each call of `one` leaves its job at a status that is true."""

    def __init__(self, desk: Desk, porter: Porter, shelf: Shelf, facts: Facts) -> None:
        """Have `porter` bring what is not on `shelf` yet. `facts` tells where an image is from."""
        self._desk = desk
        self._journal = desk.journal
        self._work = desk.work
        self._shelf = shelf
        self._porter = porter
        self._facts = facts
        self._hope: float = schema.api("result", "hope_seconds")

    async def one(self, record: Record) -> None:
        """Bring every image of one finished job to disk."""
        error: ApiError | None = None
        results, home = record.results, dict[int, Image]()
        for tries in range(_TRIES):
            try:
                if tries:
                    await self._desk.brake.rest(self._desk.delays(tries))
                if not results or isinstance(error, Gone) or tries > 1:
                    results = await self._fresh(record, results)
                await self._bring(record, results, home, trust_clock=not tries)
            except (UnknownTask, Gone) as gone:
                if isinstance(gone, UnknownTask) or (isinstance(error, Gone) and results):
                    self._expire(record, gone, _merged(results, home))
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
                self._done(record, tuple(home[one] for one in sorted(home)), len(results))
                return
        if isinstance(error, Gone):
            self._expire(record, error, _merged(results, home))
        else:
            self._give_up(record, error)

    async def _bring(
        self,
        record: Record,
        results: tuple[Image, ...],
        home: dict[int, Image],
        *,
        trust_clock: bool,
    ) -> None:
        """Put into `home` what is not there yet, by its place in the job.

        Raises `Gone` once every image was tried and one is gone, any other `ApiError` at once.
        """
        gone = None if results else self._nothing(record)
        for place, (image, stem) in enumerate(zip(results, record.stems, strict=False)):
            if place in home:
                continue
            there = self._shelf.find(image, stem)
            if there is None and trust_clock and 0 < image.url_expires_at <= self._journal.now():
                # Only asks for a fresh url: a clock that is wrong must not lose a paid image.
                gone = Gone("the image's url has expired")
                continue
            try:
                home[place] = there or await self._fetch(record, image, stem)
            except Gone as error:
                gone = error
        if gone is not None:
            raise gone

    def _nothing(self, record: Record) -> Gone:
        """Say that a finished task has no image. Raises `NotAnImage` while it may still get one."""
        if 0 <= self._journal.now() - record.completed_at < self._hope:
            raise NotAnImage("the task is finished and tells of no image yet")
        return Gone("the task is finished and has no image to give")

    async def _fetch(self, record: Record, image: Image, stem: str) -> Image:
        facts, name = self._facts(record, image.index), f"{record.number}-{image.index}"
        brought = await self._porter.bring(Parcel(image.url, name, stem, facts))
        return replace(
            brought.image, index=image.index, url=image.url, url_expires_at=image.url_expires_at
        )

    async def _fresh(self, record: Record, known: tuple[Image, ...]) -> tuple[Image, ...]:
        """Ask the task for its urls again. Raises `UnknownTask` when it has none any more."""
        if not self._desk.owns(record):
            return known
        task = await self._desk.api.look(record.task_id)
        if task.phase is Phase.FAILED:
            raise UnknownTask("the task is told as failed by now and has no image to give")
        # One that is told as running again is an old answer, from a part of the API that lags.
        fresh = images(task) if task.phase is Phase.COMPLETED else ()
        renewed = tuple(
            replace(old, url=new.url, url_expires_at=new.url_expires_at)
            for old, new in zip(known, fresh, strict=False)
        )
        return renewed + known[len(fresh) :] + fresh[len(known) :]

    def _done(self, record: Record, results: tuple[Image, ...], told: int) -> None:
        record = self._journal.post(
            record, Step.DOWNLOAD, results=results, error_type="", error_message=""
        )
        for image in results:
            if wrong := mismatch(record.size, image.width, image.height):
                self._journal.note("warning", f"{record.entry_id}: {wrong}", file=image.file)
        if told != record.images:
            fewer = "only those were billed" if told < record.images else "the first were kept"
            self._journal.note(
                "warning",
                f"{record.entry_id} (task {record.task_id}) gave {told} of"
                f" {record.images} images; {fewer}",
            )
        self._work.route(record)

    def _expire(self, record: Record, error: ApiError, results: tuple[Image, ...]) -> None:
        if not self._desk.owns(record) and not isinstance(error, Refused):
            self._give_up(record, error)
            return
        record = self._journal.post(
            record,
            Step.EXPIRE,
            error_type="expired",
            error_message=error.summary,
            results=results,
        )
        self._work.route(self._desk.again(record))

    def _give_up(self, record: Record, error: ApiError | None) -> None:
        """Leave the job finished but not fetched; the next run tries again, for free."""
        self._journal.note(
            "warning",
            f"{record.entry_id} (task {record.task_id}) is paid, but its image could not be"
            f" fetched: {error.summary if error else 'no reason is known'};"
            " the next run tries again for free",
        )
        self._work.settle(record, left=True)


def _merged(results: tuple[Image, ...], home: dict[int, Image]) -> tuple[Image, ...]:
    return tuple(home.get(place, image) for place, image in enumerate(results))
