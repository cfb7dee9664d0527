"""Who listens to a run: the terminal in the way the user wants it, and always `run.log`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import terminal
from pipeline.lifecycle import Status
from pipeline.progress import Bar, JsonLines, Lines, Log, Silent, Steps, fan

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.brake import Brake
    from pipeline.commands.account import Account
    from pipeline.commands.batch import Batch
    from pipeline.commands.run import RunOptions
    from pipeline.events import Listener
    from pipeline.model import RunSettings
    from pipeline.problem import Problem
    from pipeline.progress import Fan


@dataclass(frozen=True, slots=True)
class Audience:
    """Who follows a run: where the spec's problems go, who hears its events, who may stop it.

    `view` gives the listener that shows the run; its second argument takes the key out of a text.
    `stops` is given the brake once there is one, in the run's own event loop.
    """

    warn: Callable[[list[Problem]], None]
    view: Callable[[RunSettings, Callable[[str], str]], Listener]
    stops: Callable[[Brake], None]


def listeners(
    opened: Batch,
    settings: RunSettings,
    account: Account | None,
    audience: Audience,
    heed: Listener,
) -> Fan:
    """Return one listener that tells everyone who should hear of the run."""
    hide = account.hide if account else str
    log = Log(opened.folder / "run.log", clock=opened.world.clock, hide=hide)
    return fan(log, heed, audience.view(settings, hide))


def view(
    opened: Batch, options: RunOptions, settings: RunSettings, hide: Callable[[str], str]
) -> Listener:
    """Return what shows a run on standard error, in the way the user wants it."""
    world, stream = opened.world, opened.world.stderr
    if options.log_format == "json":
        return JsonLines(stream, clock=world.clock, hide=hide)
    if options.quiet:
        return Silent(stream)
    goal = goal_of(settings)
    if options.verbose:
        return Steps(stream, clock=world.clock, goal=goal, hide=hide)
    bar = (
        terminal.interactive(stream, world.environ)
        if options.progress is None
        else options.progress
    )
    if not bar:
        return Lines(stream, clock=world.clock, goal=goal)
    return Bar(
        stream,
        clock=world.clock,
        columns=terminal.columns(stream, world.environ),
        color=terminal.colored(stream, world.environ),
        goal=goal,
    )


def goal_of(settings: RunSettings) -> Status:
    """Return the status at which this run has done with a job what it was asked for."""
    if not settings.wait:
        return Status.SUBMITTED
    return Status.DOWNLOADED if settings.download else Status.COMPLETED
