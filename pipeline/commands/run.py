"""`run`: plan, submit, wait, download, write the manifest. Resumes by itself."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import uvloop

from pipeline import __version__, spec, terminal
from pipeline.commands import account, batch, staging
from pipeline.commands.ending import publish, verdict
from pipeline.commands.listeners import Audience, listeners, view
from pipeline.commands.session import Session, check_receiver, stop_on_signals
from pipeline.download import Shelf
from pipeline.errors import DiskError, Exit, InputError, Trouble
from pipeline.events import Ended, Noted, Started
from pipeline.lifecycle import STOPPED, Status
from pipeline.lock import held
from pipeline.money import Money
from pipeline.outline import approved, check_choice
from pipeline.planning import Choice
from pipeline.state import Book
from pipeline.summary import closing, closing_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.commands.batch import Batch
    from pipeline.commands.world import World
    from pipeline.events import Event
    from pipeline.model import Failure, RunSettings
    from pipeline.outline import Outline
    from pipeline.state import Store


_WARNINGS = 200
"""Warnings held for the summary, which shows fewer; `run.log` has them all."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `run` was asked for. `settings` holds the flags that beat the spec's `run:`.

    `plan` is a file with an approved plan; `digest` seals `choice` the same way, without a file.
    """

    source: str
    choice: Choice = field(default_factory=Choice)
    settings: dict[str, Any] = field(default_factory=dict)
    output: str | None = None
    sandbox: bool = False
    faults: tuple[str, ...] = ()
    key_file: Path | None = None
    plan: Path | None = None
    digest: str = ""
    quiet: bool = False
    verbose: bool = False
    progress: bool | None = None
    log_format: str = "text"
    format: str = "text"


@dataclass(frozen=True, slots=True)
class Finish:
    """How a run ended, for whoever tells it.

    `cause` is what stopped it early, None when nothing did; `warnings` the last of what was said.
    """

    ended: Ended
    failures: tuple[Failure, ...]
    cause: BaseException | str | None
    warnings: tuple[str, ...]
    settings: RunSettings


def run(world: World, options: RunOptions) -> int:
    """Run a spec to its end, or as far as it may go; returns the exit code.

    Raises `Trouble` for everything that keeps it from starting.
    """
    _collect_less()
    opened = batch.opened(world, options.source, sandbox=options.sandbox, output=options.output)
    audience = Audience(
        warn=lambda problems: None if options.quiet else batch.tell(world, problems),
        view=lambda settings, hide: view(opened, options, settings, hide),
        stops=stop_on_signals,
    )
    finish = carry_out(opened, options, audience)
    with suppress(BrokenPipeError):  # whoever read it has gone; the exit code still tells
        _summarise(opened, options, finish)
    return finish.ended.exit


def _collect_less() -> None:
    """Have the process look for circles of objects less often: a run makes many and no circles.

    What was loaded until now stays, and is not looked through again.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def carry_out(opened: Batch, options: RunOptions, audience: Audience) -> Finish:
    """Do what `run` does, with the lock held, and return how it ended; prints nothing.

    Raises `Trouble` for everything that keeps it from starting.
    """
    opened.check()
    settings = spec.run_settings(opened.spec, options.settings)
    with held(opened.lock, opened.world.clock.now()), staging.store_of(opened) as store:
        return _Run(opened, options, settings, store, audience).go()


class _Run:
    """One invocation of `run`, with the lock held and the state file open."""

    def __init__(
        self,
        opened: Batch,
        options: RunOptions,
        settings: RunSettings,
        store: Store,
        audience: Audience,
    ) -> None:
        self._batch = opened
        self._world = opened.world
        self._options = options
        self._settings = settings
        self._store = store
        self._audience = audience
        self._account = _account(opened, options)
        if self._account is not None:
            check_receiver(settings, self._account, rehearsal=opened.sandbox)
        self._sealed = options.digest
        self._warnings: deque[str] = deque(maxlen=_WARNINGS)
        self._choice = self._chosen()
        self._shelf = Shelf(opened.folder, thorough=settings.verify)

    def _chosen(self) -> Choice:
        choice = self._options.choice
        if self._options.plan is not None:
            if choice != Choice():
                raise InputError(
                    "--plan already says what to run",
                    fix="Give the selection to `plan --out`, and only the plan to `run`.",
                )
            choice, self._sealed = approved(self._options.plan)
        if self._settings.retry_failed:
            retry = choice.retry | {Status.FAILED}
            choice = replace(choice, retry=retry)
        return choice

    def go(self) -> Finish:
        """Stage, work, and return how it ended."""
        try:
            self._check_owner()
            staged = staging.stage(self._batch, self._store, self._shelf, self._choice, self._allow)
            staging.move(staged.moves, self._store, self._shelf, self._world.clock.now())
            self._shelf.sweep()
            self._audience.warn(self._batch.problems)
            return self._work(staged.outline, staged.agreed)
        finally:
            self._shelf.close()

    def _allow(self, outline: Outline) -> None:
        if self._sealed and outline.digest != self._sealed:
            raise InputError(
                "the spec has moved on since the plan was approved; nothing was sent",
                why="`run --plan` does exactly what the plan says, or nothing.",
                fix=f"Look at it again:\n  banana-batch plan {self._options.source}",
            )
        check_choice(outline.tally, self._choice)
        if outline.tally.todo and self._account is None:
            account.need(None)

    def _work(self, outline: Outline, agreed: frozenset[int]) -> Finish:
        world, clock = self._world, self._world.clock
        started, began = clock.now(), clock.monotonic()
        book = Book(self._batch.state)
        emit = listeners(self._batch, self._settings, self._account, self._audience, self._heed)
        host = (
            self._account.host if self._account else account.host(world.environ, self._batch.home)
        )
        try:
            todo, before = book.todo(), book.totals()
            self._store.keep_fact("spec", self._spec_path())
            number = self._store.begin_run(started, host, __version__)
            emit(
                Started(started, self._options.source, str(self._batch.folder), host, todo, before)
            )
            cause: BaseException | str | None = None
            if todo and self._account is not None:
                session = Session(
                    self._batch,
                    self._settings,
                    self._store,
                    self._shelf,
                    self._account,
                    emit,
                    stops=self._audience.stops,
                    faults=self._options.faults,
                    todo=todo,
                    to_pay=outline.tally.estimate,
                    agreed=agreed,
                )
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    cause = runner.run(session.work())
            after = book.totals()
            done = after.counts.get(Status.DOWNLOADED, 0) - before.counts.get(Status.DOWNLOADED, 0)
            code, reason = verdict(cause, book.totals(selected=True))
            self._store.end_run(number, clock.now(), code, reason, max(done, 0))
            code, reason = self._publish(host, code, reason)
            ended = Ended(
                clock.now(),
                code,
                reason,
                clock.monotonic() - began,
                after,
                spent=Money(after.spent - before.spent),
            )
            emit(ended)
            failures = tuple(book.failures(statuses=STOPPED))
        finally:
            book.close()
            emit.close()
        return Finish(ended, failures, cause, tuple(self._warnings), self._settings)

    def _heed(self, event: Event) -> None:
        """Keep warnings for the summary."""
        if isinstance(event, Noted) and event.level == "warning":
            self._warnings.append(event.message)

    def _check_owner(self) -> None:
        """Raise `InputError` when the folder holds the results of another spec that is there."""
        kept = self._store.fact("spec")
        owner = (self._batch.folder / kept).resolve()
        if kept and self._spec_path() and kept != self._spec_path() and owner.is_file():
            raise InputError(
                f"{self._batch.folder} holds the results of {owner}",
                why="Two specs in one folder would take each other's pictures for removed.",
                fix="Give one of them another `name:`, or choose a folder with --output.",
            )

    def _spec_path(self) -> str:
        """Return the spec's place as seen from the output folder, so that both can move."""
        path = self._batch.spec.document.path
        return os.path.relpath(path, self._batch.folder) if path else ""

    def _publish(self, host: str, code: Exit, reason: str) -> tuple[Exit, str]:
        """Write manifest and gallery; a disk that does not take them is a reason of its own."""
        try:
            publish(self._batch, self._store, host, page=self._settings.gallery)
        except DiskError as error:
            return (code, reason) if code else (error.exit, error.summary)
        return code, reason


def _summarise(opened: Batch, options: RunOptions, finish: Finish) -> None:
    world, ended, cause = opened.world, finish.ended, finish.cause
    fixes = [cause.fix] if isinstance(cause, Trouble) and cause.fix else []
    hints = [*fixes, *finish.warnings]
    if options.format == "json":
        told = closing_data(
            ended,
            finish.failures,
            spec=options.source,
            output=opened.folder,
            warnings=hints,
            gallery=finish.settings.gallery,
            options=opened.words,
        )
        world.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    if options.quiet and ended.exit is Exit.DONE:
        return
    stream = world.stderr if options.quiet else world.stdout
    stream.write(
        closing(
            ended,
            finish.failures,
            spec=options.source,
            output=opened.folder,
            warnings=hints,
            columns=terminal.columns(stream, world.environ),
            color=terminal.colored(stream, world.environ),
            gallery=finish.settings.gallery,
            options=opened.words,
        )
    )


def _account(opened: Batch, options: RunOptions) -> account.Account | None:
    if options.sandbox:
        _check_faults(options.faults)
        return account.Account("sandbox", "sandbox")
    if options.faults:
        raise InputError("--fault goes with --sandbox: the real API takes no orders")
    return account.find(opened.world.environ, opened.home, options.key_file)


def _check_faults(words: Sequence[str]) -> None:
    """Raise `InputError` for a fault that there is none of, before anything else is done."""
    if words:
        from pipeline.sandbox import faults

        faults(words)
