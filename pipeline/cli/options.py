"""Options that several commands share, and the words of them turned into values."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.commands.run import RunOptions
    from pipeline.commands.world import World
    from pipeline.planning import Choice

    _Command = Callable[..., Any]
    _Decorator = Callable[[_Command], _Command]

FORMATS = click.Choice(["text", "json"])


def world() -> World:
    """Return the outside that `main` was given, else that of this process.

    The one place where it is taken and not passed in.
    """
    given: World | None = click.get_current_context().obj
    if given is not None:
        return given
    from pipeline.clock import SystemClock
    from pipeline.commands.world import World

    return World(
        environ=os.environ,
        cwd=Path.cwd(),
        stdin=sys.stdin.buffer,
        stdout=sys.stdout,
        stderr=sys.stderr,
        clock=SystemClock(),
        dice=random.Random(),
    )


def together(*decorators: _Decorator) -> _Decorator:
    """Put several click decorators on a command, in the order they are read."""

    def decorate(command: _Command) -> _Command:
        for one in reversed(decorators):
            command = one(command)
        return command

    return decorate


where = together(
    click.option("--output", metavar="DIR", help="Results go here instead of out/<name>."),
    click.option("--sandbox", is_flag=True, help="Rehearse against the built-in stand-in API."),
)
chosen = together(
    click.option("--only", metavar="GLOB", multiple=True, help="Only entries whose id matches."),
    click.option("--tag", metavar="TAG", multiple=True, help="Only entries with this tag."),
    click.option(
        "--limit", type=click.IntRange(min=0), metavar="N", help="Only the first N jobs to do."
    ),
    click.option("--force", metavar="GLOB", multiple=True, help="Make again although unchanged."),
    click.option("--retry-failed", is_flag=True, default=None, help="Start failed jobs again."),
)
key_file = click.option(
    "--api-key-file", type=click.Path(path_type=Path), metavar="FILE", help="A file with the key."
)
faults = click.option(
    "--fault",
    metavar="NAME=VALUE",
    multiple=True,
    help="Have the sandbox misbehave, e.g. latency=0.2, fail=0.1, rate=20.",
)
paced = together(
    click.option("--concurrency", type=int, metavar="N", help="Most tasks in flight at once."),
    click.option("--rate", metavar="10/s", help="Most submits per s, min or h."),
    click.option("--max-cost", metavar="USD", help="Most dollars this run may spend."),
    click.option("--deadline", metavar="30m", help="Stop after this long; the next run goes on."),
    click.option("--patience", metavar="5m", help="How long the API may be out of reach."),
)
shown = together(
    click.option("-q", "--quiet", is_flag=True, help="Nothing but errors."),
    click.option(
        "-v", "--verbose", is_flag=True, help="A line for every step of every job, no bar."
    ),
    click.option(
        "--progress/--no-progress",
        default=None,
        help="A bar or plain lines; a bar on a terminal only, if not given.",
    ),
    click.option(
        "--log-format", type=FORMATS, default="text", help="How standard error is written."
    ),
    click.option(
        "--format", type=FORMATS, default="text", help="How the closing summary is written."
    ),
)


def choice(words: dict[str, Any]) -> Choice:
    """Take what was selected out of a command's words."""
    from pipeline.lifecycle import Status
    from pipeline.planning import Choice

    retry = frozenset({Status.FAILED}) if words.pop("retry_failed") else frozenset()
    return Choice(
        only=words.pop("only"),
        tags=words.pop("tag"),
        force=words.pop("force"),
        retry=retry,
        limit=words.pop("limit"),
    )


def run_options(words: dict[str, Any], **more: Any) -> RunOptions:
    """Return what `run` or `retry` was asked for. `settings` names further ones of the spec's."""
    from pipeline.commands.run import RunOptions

    settings = (
        "concurrency",
        "rate",
        "max_cost",
        "deadline",
        "patience",
        *more.pop("settings", ()),
    )
    return RunOptions(
        source=words["spec"],
        settings={name: words.get(name) for name in settings},
        output=words["output"],
        sandbox=words["sandbox"],
        faults=words["fault"],
        key_file=words["api_key_file"],
        quiet=words["quiet"],
        verbose=words["verbose"],
        progress=words["progress"],
        log_format=words["log_format"],
        format=words["format"],
        **more,
    )
