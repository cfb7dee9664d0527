"""`sandbox`: serve the stand-in API alone, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from pipeline import sandbox as stand_in
from pipeline import schema
from pipeline.errors import Exit, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.commands.world import World


def sandbox(
    world: World, *, host: str, port: int, faults: Sequence[str], ledger: Path | None
) -> int:
    """Serve until a signal comes; returns the exit code. Raises `InputError` for a taken port."""
    asyncio.run(_serve(world, host, port, stand_in.faults(faults), ledger))
    return Exit.DONE


async def _serve(
    world: World, host: str, port: int, faults: stand_in.Faults, ledger: Path | None
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = stand_in.Sandbox(
        faults,
        clock=world.clock,
        dice=world.dice,
        ledger=ledger,
        models=schema.models(*schema.model_folders(world.environ, world.cwd)),
    )
    try:
        url = await server.start(host, port)
    except OSError as error:
        raise InputError(
            f"cannot serve on {host}:{port}: {error.strerror or error}",
            fix="Choose another port with --port, or 0 for any.",
        ) from error
    try:
        world.stderr.write(f"{stand_in.BANNER}\n")
        world.stdout.write(
            f"Serving on {url}. In another terminal:\n"
            f"  export APIMART_BASE_URL={url} APIMART_API_KEY=anything\n"
            "  banana-batch run SPEC\n"
        )
        world.stdout.flush()
        await stop.wait()
    finally:
        await server.stop()
