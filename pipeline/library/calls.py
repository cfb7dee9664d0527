"""`load`, `plan`, `run` and `run_async`: what the commands do, with results as values."""

from __future__ import annotations

import io
import os
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.clock import SystemClock
from pipeline.commands import batch
from pipeline.commands.listeners import Audience, view
from pipeline.commands.run import carry_out
from pipeline.commands.world import World
from pipeline.errors import Trouble
from pipeline.library.courier import carry, carry_async
from pipeline.library.options import RunWords, SelectWords, check, choice_of, run_options
from pipeline.library.results import Outcome, Plan, Spec, dollars, plan_of
from pipeline.progress import fan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from typing import Unpack

    from pipeline.commands.batch import Batch
    from pipeline.commands.run import Finish
    from pipeline.events import Listener
    from pipeline.library.courier import Hand
    from pipeline.model import RunSettings

    Source = str | PathLike[str] | Spec


def load(
    spec: str | PathLike[str],
    *,
    sandbox: bool = False,
    output: str | PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Spec:
    """Read a spec and check all of it, as `validate` does. Needs no key and no network.

    Paths in it are relative to it, `spec` and `output` to the current folder. Raises `SpecError`
    with every problem at once, each with its file, line and column.
    """
    words: dict[str, Any] = {"sandbox": sandbox, "output": output, "environ": environ}

    def reopen() -> Batch:
        return _opened(spec, words)

    opened = reopen()
    entries = jobs = 0
    for entry in opened.entries():
        entries += 1
        jobs += len(entry.jobs)
    opened.check()
    return Spec(
        source=opened.source,
        name=opened.spec.name,
        folder=opened.folder,
        sandbox=sandbox,
        output=opened.output,
        warnings=tuple(opened.problems),
        entry_count=entries,
        job_count=jobs,
        environ=opened.world.environ,
        _open=reopen,
    )


def plan(spec: Source, **words: Unpack[SelectWords]) -> Plan:
    """Say what a run would do, why, and what it may cost. Needs no key and no network.

    `words` are the flags of `banana-batch plan`: see `SelectWords`. Raises `SpecError` when the
    spec is wrong, `StateError` for a state file that cannot be read.
    """
    check(words, SelectWords, "plan")
    asked = _with_spec(spec, words)
    return plan_of(
        _opened(spec, asked),
        lambda: _opened(spec, asked),
        choice_of(asked),
        verify=bool(asked.get("verify")),
    )


def run(spec: Source, **words: Unpack[RunWords]) -> Outcome:
    """Make what a spec asks for and return how it ended. Resumes by itself.

    `words` are the flags of `banana-batch run`: see `RunWords`. What keeps a run from starting is
    raised: `SpecError`, `InputError` (a word is wrong, no key), `LockHeld`, `StateError`,
    `DiskError`. From then on the outcome tells: `outcome.exit` is what the command would have
    exited with. Works where an event loop runs already, such as in a notebook.

    Ctrl-C, and whatever `on_event` raises, stop the run well and are raised once it has ended.
    """
    check(words, RunWords, "run")
    prepared = _Prepared(spec, words)
    return prepared.outcome(carry(prepared.work, words.get("on_event")))


async def run_async(spec: Source, **words: Unpack[RunWords]) -> Outcome:
    """Do what `run` does while other coroutines go on; `on_event` is called in the event loop.

    Cancelling it stops the run well, and ends once answers under way are saved.
    """
    check(words, RunWords, "run_async")
    prepared = _Prepared(spec, words)
    return prepared.outcome(await carry_async(prepared.work, words.get("on_event")))


class _Prepared:
    """A run that was asked for: its spec opened, its words understood."""

    def __init__(self, spec: Source, words: RunWords) -> None:
        asked = _with_spec(spec, words)
        self._opened = _opened(spec, asked)
        self._options = replace(run_options(self._opened.source, asked), output=self._opened.output)
        self._shown = bool(asked.get("progress"))

    def work(self, emit: Listener, hand: Hand) -> Finish:
        """Carry the run out; called in a thread of its own."""
        audience = Audience(
            warn=lambda _: None,
            view=lambda settings, hide: self._listener(settings, hide, emit),
            stops=hand.hold,
        )
        return carry_out(self._opened, self._options, audience)

    def _listener(
        self, settings: RunSettings, hide: Callable[[str], str], emit: Listener
    ) -> Listener:
        if not self._shown:
            return emit
        return fan(emit, view(self._opened, self._options, settings, hide))

    def outcome(self, finish: Finish) -> Outcome:
        """Return how it ended."""
        ended, totals = finish.ended, finish.ended.totals
        cause = finish.cause if isinstance(finish.cause, Trouble) else None
        return Outcome(
            exit=ended.exit,
            reason=ended.reason,
            fix=cause.fix if cause else "",
            cause=cause,
            counts=dict(totals.counts),
            spent=dollars(totals.spent),
            reserved=dollars(totals.reserved),
            to_pay=dollars(totals.to_pay),
            seconds=ended.seconds,
            failures=finish.failures,
            warnings=(*(one.message for one in self._opened.problems), *finish.warnings),
            folder=self._opened.folder,
        )


def _with_spec(spec: Source, words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words, with those that a loaded spec brings along where none were given."""
    if not isinstance(spec, Spec):
        return dict(words)
    own = {"sandbox": spec.sandbox, "output": spec.output, "environ": spec.environ}
    return {**own, **words}


def _opened(spec: Source, words: Mapping[str, Any]) -> Batch:
    source = spec.source if isinstance(spec, Spec) else os.fspath(spec)
    output = words.get("output")
    return batch.opened(
        _world(words),
        source,
        sandbox=bool(words.get("sandbox")),
        output=None if output is None else os.fspath(output),
    )


def _world(words: Mapping[str, Any]) -> World:
    environ = words.get("environ")
    return World(
        environ=os.environ if environ is None else environ,
        cwd=Path.cwd(),
        stdin=io.BytesIO(),
        stdout=sys.stdout,
        stderr=sys.stderr,
        clock=words.get("clock") or SystemClock(),
        dice=random.Random(),
    )
