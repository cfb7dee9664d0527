"""Entries and the record compared: what a run would do with every job, and why. Pure.

Matching is by identity, never by order: first by entry and image index, then by fingerprint, so
that a renamed entry keeps its paid picture and a prompt that comes back finds its old one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from pipeline.lifecycle import RUNNING, STOPPED, Status
from pipeline.model import PAYING, Action, Item
from pipeline.money import NOTHING, Money

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.model import Entry, Job, Record


class Known(Protocol):
    """What a plan asks of the state file."""

    def of_entry(self, entry_id: str) -> list[Record]:
        """Return the jobs in force of an entry."""
        ...

    def with_fingerprint(self, fingerprint: str) -> list[Record]:
        """Return every job that ever asked for this picture, newest first."""
        ...

    def highest(self) -> int:
        """Return the highest job number."""
        ...

    def others(self, known: Callable[[int], bool]) -> Iterator[Record]:
        """Yield the jobs in force whose numbers are not `known`."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user chose for this run. Empty patterns choose everything.

    `only` and `force` are shell patterns over entry ids; `tags` are exact; `limit` bounds the
    jobs that have something to do; `retry` names the statuses that are started again, and
    `only_retried` leaves everything else alone.
    """

    only: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    retry: frozenset[Status] = frozenset()
    limit: int | None = None
    only_retried: bool = False

    def selects(self, job: Job) -> bool:
        """Whether the job is one of those the user asked for."""
        if self.only and not any(fnmatchcase(job.entry_id, one) for one in self.only):
            return False
        return not self.tags or any(tag in job.tags for tag in self.tags)

    def forces(self, job: Job) -> bool:
        """Whether the job is to be made again although nothing changed."""
        return any(fnmatchcase(job.entry_id, one) for one in self.force)


class Bits:
    """A set of job numbers in an eighth of a byte each, so that a million cost nothing."""

    def __init__(self, highest: int) -> None:
        """Make room for numbers up to `highest`."""
        self._bits = bytearray(highest // 8 + 1)

    def add(self, number: int) -> None:
        """Put a number in."""
        self._bits[number >> 3] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        return bool(self._bits[number >> 3] & 1 << (number & 7))


class Comparison:
    """One comparison of a spec's entries with the record."""

    def __init__(self, known: Known, choice: Choice, lost: Callable[[Record], str]) -> None:
        """Prepare. `lost` says what is wrong with a downloaded job's files, `""` for nothing."""
        self._known = known
        self._choice = choice
        self._lost = lost
        self._claimed = Bits(known.highest())
        self._replaced = Bits(known.highest())
        self._nothing_known = not known.highest()

    def items(self, entries: Iterable[Entry]) -> Iterator[Item]:
        """Yield an item for every job of every entry, then one for each that was removed.

        Memory grows only with the entries that may have been renamed.
        """
        open_questions: list[tuple[Job, Record | None]] = []
        for entry in entries:
            known = {} if self._nothing_known else self._by_index(entry)
            for job in entry.jobs:
                record = known.get(job.image_index)
                if record is not None and _same_picture(job, record):
                    if self._never_sent(job, record):
                        open_questions.append((job, record))
                        continue
                    self._claimed.add(record.number)
                    yield self._settled(job, record)
                elif not self._nothing_known and self._known.with_fingerprint(job.fingerprint):
                    open_questions.append((job, record))
                else:
                    yield self._needed(job, record)
        for job, record in open_questions:
            yield self._found_again(job) or self._needed(job, record)
        for _, record in open_questions:
            if record is not None and not self._spoken_for(record.number):
                self._replaced.add(record.number)
                yield Item(Action.REMOVED, "an earlier picture takes its place", None, record)
        for record in self._known.others(self._spoken_for):
            yield Item(Action.REMOVED, "removed from the spec, files kept", None, record)

    def _by_index(self, entry: Entry) -> dict[int, Record]:
        return {record.image_index: record for record in self._known.of_entry(entry.id)}

    def _spoken_for(self, number: int) -> bool:
        return number in self._claimed or number in self._replaced

    def _never_sent(self, job: Job, record: Record) -> bool:
        """Whether the job was only asked for, and there is an older picture for the same words.

        So it is with a job that `--force` asked for in a run that did not come to it: the
        picture that it was to replace is still paid for, and this run was not told to.
        """
        if record.status is not Status.PENDING or record.attempt or self._choice.forces(job):
            return False
        return any(
            one.status is Status.DOWNLOADED
            for one in self._known.with_fingerprint(record.fingerprint)
            if not one.active and one.number not in self._claimed
        )

    def _needed(self, job: Job, record: Record | None) -> Item:
        if record is None or record.number in self._claimed:  # it went on under another name
            return Item(Action.NEW, "new", job, None)
        self._replaced.add(record.number)
        return Item(Action.CHANGED, difference(job, record), job, record)

    def _found_again(self, job: Job) -> Item | None:
        known = self._known.with_fingerprint(job.fingerprint)
        for record in sorted(known, key=lambda one: one.status is not Status.DOWNLOADED):
            if record.number in self._claimed or not _same_picture(job, record):
                continue
            if not record.active and record.status in (Status.FAILED, Status.EXPIRED):
                continue
            self._claimed.add(record.number)
            return self._settled(job, record)
        return None

    def _settled(self, job: Job, record: Record) -> Item:
        """Say what to do with a job that the record has: by its status, then by its place."""
        if not record.active and record.status is Status.DOWNLOADED:
            return Item(Action.RESTORED, "asked for again, its picture is kept", job, record)
        item = self._by_status(job, record)
        if item.action not in (Action.UNCHANGED, Action.LEFT, Action.RESUME):
            return item
        if not record.active:
            return Item(Action.RESTORED, f"asked for again: {item.reason}", job, record)
        if (record.entry_id, record.image_index) != (job.entry_id, job.image_index):
            return Item(Action.RENAMED, f"renamed from {record.entry_id}", job, record)
        if item.action is Action.UNCHANGED and misplaced(job, record):
            return Item(Action.RENAMED, "its file gets another name", job, record)
        return item

    def _by_status(self, job: Job, record: Record) -> Item:
        status, choice = record.status, self._choice
        if status in RUNNING or status is Status.PENDING:
            return Item(Action.RESUME, _UNDER_WAY[status], job, record)
        if status in STOPPED:
            return self._stopped(job, record)
        if choice.forces(job) and choice.selects(job):
            return Item(Action.FORCED, "made again on demand", job, record)
        if problem := self._lost(record):
            return Item(Action.FETCH, f"{problem}, will be fetched", job, record)
        return Item(Action.UNCHANGED, "unchanged", job, record)

    def _stopped(self, job: Job, record: Record) -> Item:
        if self._choice.selects(job) and (
            record.status in self._choice.retry or self._choice.forces(job)
        ):
            return Item(Action.RETRY, f"was {record.status}: tried again", job, record)
        cause = record.error_message or "no reason is known"
        return Item(Action.LEFT, f"{record.status}: {cause}", job, record)


_UNDER_WAY = {
    Status.PENDING: "not sent yet",
    Status.SUBMITTING: "sent, outcome unknown: asked again with the same key",
    Status.SUBMITTED: "under way",
    Status.COMPLETED: "finished, to be fetched",
}


def _same_picture(job: Job, record: Record) -> bool:
    return record.fingerprint == job.fingerprint and record.images == job.images


def misplaced(job: Job, record: Record) -> bool:
    """Whether a downloaded job's files do not have the names that the spec wants for them."""
    return record.status is Status.DOWNLOADED and any(
        image.file.removeprefix("images/").rpartition(".")[0] != stem
        for image, stem in zip(record.results, job.stems, strict=False)
    )


def difference(job: Job, record: Record) -> str:
    """Name what makes `job` another picture than the one of `record`, for people."""
    now, before = json.loads(job.request), json.loads(record.request)
    changed = [name for name in sorted({*now, *before}) if now.get(name) != before.get(name)]
    said = [f"changed: {', '.join(changed)}"] if changed else []
    known = {one.source: one.identity for one in record.references}
    here = {one.source for one in job.references}
    for one in job.references:
        if one.source not in known:
            said.append(f"reference {one.source} added")
        elif known[one.source] != one.identity:
            said.append(f"reference {one.source} changed")
    said += [f"reference {source} removed" for source in known if source not in here]
    if not said and [one.identity for one in job.references] != [
        one.identity for one in record.references
    ]:
        said.append("order of references changed")
    if not said and job.images != record.images:
        said.append("changed: split")
    return "; ".join(said) or "changed"


def pays(item: Item) -> bool:
    """Whether doing this item sends a request that will be paid for."""
    return item.action in PAYING or (
        item.record is not None
        and item.record.status is Status.PENDING
        and item.action in (Action.RESUME, Action.RENAMED, Action.RESTORED)
    )


def works(item: Item) -> bool:
    """Whether doing this item needs the network at all."""
    if item.action in (Action.FETCH, Action.RESUME):
        return True
    moved = item.action in (Action.RENAMED, Action.RESTORED) and item.record is not None
    return pays(item) or (moved and item.record.status in RUNNING)  # type: ignore[union-attr]  # moved says there is one


def select(items: Iterable[Item], choice: Choice) -> Iterator[tuple[Item, bool]]:
    """Say of each item whether the user's choice takes it into this run."""
    taken = 0
    for item in items:
        chosen = item.job is not None and choice.selects(item.job)
        chosen = chosen and (item.action is Action.RETRY or not choice.only_retried)
        if chosen and works(item):
            taken += 1
            chosen = choice.limit is None or taken <= choice.limit
        yield item, chosen


@dataclass(slots=True)
class Tally:
    """Counts a plan while it streams by: jobs by action, jobs to pay for and to fetch, money."""

    actions: dict[Action, int] = field(default_factory=dict)
    chosen: int = 0
    left_out: int = 0
    to_pay: int = 0
    to_fetch: int = 0
    estimate: Money = NOTHING
    todo: int = 0

    def count(self, item: Item, chosen: bool) -> None:
        """Count one item. One that the choice leaves out is only counted as that."""
        if not chosen and item.job is not None:
            self.left_out += 1
            return
        self.actions[item.action] = self.actions.get(item.action, 0) + 1
        if not chosen:
            return
        self.chosen += 1
        self.todo += works(item)
        if pays(item) and item.job is not None:
            self.to_pay += 1
            self.estimate = Money(self.estimate + item.job.estimate)
        elif item.action is Action.FETCH:
            self.to_fetch += 1
