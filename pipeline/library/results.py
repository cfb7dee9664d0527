"""What the library gives back: frozen values, money as `Decimal` US dollars."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from pipeline import money
from pipeline.commands.plan import compared
from pipeline.errors import Exit
from pipeline.lifecycle import Status
from pipeline.outline import Outline
from pipeline.planning import pays
from pipeline.state import Book

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pipeline.commands.batch import Batch
    from pipeline.errors import Trouble
    from pipeline.model import Action, Entry, Failure, Item
    from pipeline.money import Money
    from pipeline.planning import Choice
    from pipeline.problem import Problem


def dollars(amount: Money) -> Decimal:
    """Return an amount in US dollars, exactly."""
    return Decimal(money.text(amount))


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec that was read and found right.

    `source` is the file as it was named, `folder` where its results go, `warnings` what is odd
    about it. `plan` and `run` read the file again, so an edit after `load` counts.
    """

    source: str
    name: str
    folder: Path
    sandbox: bool
    output: str | None
    warnings: tuple[Problem, ...]
    entry_count: int
    job_count: int
    environ: Mapping[str, str] = field(repr=False)
    _open: Callable[[], Batch] = field(repr=False, compare=False)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry after expansion, in the order of the spec; memory stays flat.

        Raises `SpecError` at the end when the file has become wrong since it was loaded.
        """
        opened = self._open()
        yield from opened.entries()
        opened.check()


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One job, what a run would do with it, and why.

    `selected` says whether this plan's selection takes it; `pays` whether doing it costs
    `estimate` US dollars. `task_id` is the task that is known of it, `""` for none.
    """

    entry_id: str
    image_index: int
    action: Action
    reason: str
    selected: bool
    pays: bool
    estimate: Decimal
    prompt: str
    model: str
    size: str
    task_id: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do, and what it may cost: `plan.estimate` US dollars.

    `actions` counts the jobs by action, over the whole spec; the other counts are of those that
    the selection takes. `digest` seals it: `run(spec, plan=plan)` does exactly this or nothing.
    """

    source: str
    folder: Path
    actions: Mapping[Action, int]
    jobs_to_do: int
    jobs_to_pay: int
    jobs_to_fetch: int
    estimate: Decimal
    digest: str
    warnings: tuple[Problem, ...]
    choice: Choice = field(repr=False)
    _open: Callable[[], Batch] = field(repr=False, compare=False)
    _verify: bool = field(default=False, repr=False)

    def items(self) -> Iterator[PlanItem]:
        """Yield one item for each job, in the order of the spec, removed ones last.

        The spec and the record are compared again while you read, so that a plan of a million
        jobs needs no memory; what a run did since shows. Raises `SpecError` at the end when the
        spec has become wrong.
        """
        opened = self._open()
        with compared(opened, self.choice, verify=self._verify) as (_, items):
            for item, chosen in items:
                yield _item(item, chosen)
        opened.check()


def _item(item: Item, chosen: bool) -> PlanItem:
    one = item.job or item.record
    assert one is not None  # noqa: S101 - an item has a job, a record, or both
    return PlanItem(
        entry_id=one.entry_id,
        image_index=one.image_index,
        action=item.action,
        reason=item.reason,
        selected=chosen,
        pays=chosen and pays(item),
        estimate=dollars(one.estimate),
        prompt=one.prompt,
        model=one.model,
        size=one.size,
        task_id=item.record.task_id if item.record else "",
    )


def plan_of(opened: Batch, reopen: Callable[[], Batch], choice: Choice, *, verify: bool) -> Plan:
    """Compare a spec with its record. Raises `SpecError`."""
    outline = Outline()
    with compared(opened, choice, verify=verify) as (_, items):
        for _ in outline.watch(items):
            pass
    opened.check()
    tally = outline.tally
    return Plan(
        source=opened.source,
        folder=opened.folder,
        actions=dict(tally.actions),
        jobs_to_do=tally.todo,
        jobs_to_pay=tally.to_pay,
        jobs_to_fetch=tally.to_fetch,
        estimate=dollars(tally.estimate),
        digest=outline.digest,
        warnings=tuple(opened.problems),
        choice=choice,
        _open=reopen,
        _verify=verify,
    )


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image on disk, verified. `cost` is its job's, in US dollars, None while unknown."""

    entry_id: str
    image_index: int
    path: Path
    prompt: str
    task_id: str
    width: int
    height: int
    sha256: str
    cost: Decimal | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    `exit` is what the command line would have exited with; `reason` one sentence when not
    everything asked for is there, `fix` what to do about it and `cause` the error that stopped
    the run early, None for none. `counts`, `spent`, `reserved` and `to_pay` (US dollars) are of
    the whole spec, earlier runs included; `seconds` is how long this one took. `failures` are the
    jobs that stopped, grouped by cause.
    """

    exit: Exit
    reason: str
    fix: str
    cause: Trouble | None
    counts: Mapping[Status, int]
    spent: Decimal
    reserved: Decimal
    to_pay: Decimal
    seconds: float
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    folder: Path

    @property
    def ok(self) -> bool:
        """Whether every selected entry has its images."""
        return self.exit is Exit.DONE

    @property
    def manifest(self) -> Path:
        """The manifest as CSV; `manifest.json` is beside it."""
        return self.folder / "manifest.csv"

    @property
    def gallery(self) -> Path:
        """The page to look at the results; not there with `gallery=False`."""
        return self.folder / "gallery.html"

    @property
    def images(self) -> list[ImageFile]:
        """Every image of the spec that is on disk, in the order of the spec.

        Read from the state file each time, so that it holds nothing in memory and stays true.
        """
        return list(images(self.folder))

    def _repr_html_(self) -> str:
        """Show the run in a notebook: how it ended and its first images."""
        from pipeline.library.show import html

        return html(self)


def images(folder: Path) -> Iterator[ImageFile]:
    """Yield the images that the state file of an output folder knows to be on disk."""
    book = Book(folder / "state.sqlite")
    try:
        for record in book.active():
            if record.status is not Status.DOWNLOADED:
                continue
            for offset, image in enumerate(record.results):
                yield ImageFile(
                    entry_id=record.entry_id,
                    image_index=record.image_index + offset,
                    path=folder / image.file,
                    prompt=record.prompt,
                    task_id=record.task_id,
                    width=image.width,
                    height=image.height,
                    sha256=image.sha256,
                    cost=None if record.cost is None else dollars(record.cost),
                    tags=record.tags,
                )
    finally:
        book.close()
