"""Who listens to a run: the terminal in the way the user wants it, and always `run.log`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import terminal
from pipeline.lifecycle import Status
from pipeline.progress import Bar, JsonLines, Lines, Log, Silent, fan

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.commands.account import Account
    from pipeline.commands.batch import Batch
    from pipeline.commands.run import RunOptions
    from pipeline.events import Listener
    from pipeline.model import RunSettings
    from pipeline.progress import Fan


def listeners(
    opened: Batch,
    options: RunOptions,
    settings: RunSettings,
    account: Account | None,
    heed: Listener,
) -> Fan:
    """Return one listener that tells everyone who should hear of the run."""
    world = opened.world
    hide = account.hide if account else str
    log = Log(opened.folder / "run.log", clock=world.clock, hide=hide)
    return fan(log, heed, _seen(opened, options, settings, hide))


def _seen(
    opened: Batch, options: RunOptions, settings: RunSettings, hide: Callable[[str], str]
) -> Listener:
    world, stream = opened.world, opened.world.stderr
    if options.log_format == "json":
        return JsonLines(stream, clock=world.clock, hide=hide)
    if options.quiet:
        return Silent(stream)
    goal = goal_of(settings)
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
