"""One question to the API, for commands that want one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import uvloop

from pipeline import schema
from pipeline.client import Client
from pipeline.commands import account

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pipeline.commands.world import World

Answer = TypeVar("Answer")


def ask(
    world: World, question: Callable[[Client], Awaitable[Answer]], key_file: Path | None
) -> Answer:
    """Ask, once and without manners: whoever asks waits for the answer and can ask again.

    Raises `InputError` without a key, and what `question` raises.
    """
    found = account.need(account.find(world.environ, world.cwd, key_file))

    async def asked() -> Answer:
        client = Client(
            found.host,
            found.key,
            timeouts=schema.defaults("run")["timeouts"],
            connections=1,
            clock=world.clock,
            environ=world.environ,
        )
        try:
            return await question(client)
        finally:
            await client.close()

    return uvloop.run(asked())
