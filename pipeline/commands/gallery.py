"""`gallery`: one page to look at the results."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pipeline.commands import account, batch
from pipeline.commands.ending import publish_gallery
from pipeline.errors import Exit, InputError
from pipeline.lock import holder

if TYPE_CHECKING:
    from pipeline.commands.world import World

_WATCH_EVERY = 5.0
"""Seconds between two writings of `--watch`."""


def gallery(
    world: World,
    source: str,
    *,
    watch: bool = False,
    sandbox: bool = False,
    output: str | None = None,
) -> int:
    """Write the gallery from the state file and say where it is; returns the exit code."""
    opened = batch.opened(world, source, sandbox=sandbox, output=output)
    if not opened.state.is_file():
        raise InputError(
            f"{source} was not run yet: there is nothing to look at",
            fix=f"Run it first:\n  banana-batch run {source}",
        )
    host = account.host(world.environ, opened.home)
    world.stdout.write(f"{opened.folder / 'gallery.html'}\n")
    world.stdout.flush()
    while watch and holder(opened.lock):
        publish_gallery(opened, host, live=True)
        asyncio.run(world.clock.sleep(_WATCH_EVERY))
    publish_gallery(opened, host)
    return Exit.DONE
