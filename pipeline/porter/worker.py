"""The second process: fetches what it is told to, until nobody tells it anything any more."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from pipeline.api import Parcel
from pipeline.client import Hosts
from pipeline.clock import SystemClock
from pipeline.download import Shelf
from pipeline.errors import Trouble
from pipeline.porter.hands import Hands
from pipeline.porter.lines import Lines, confessed, told
from pipeline.porter.outfit import Outfit

if TYPE_CHECKING:
    from pipeline.api import Porter


class Worker:
    """Hears of parcels and answers each one: brought, gone wrong, or a bug of ours."""

    def __init__(self) -> None:
        """Know nobody yet: the outfit is the first thing that comes."""
        self._porter: Porter | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Event()
        self._lines = Lines(self._hear, self._alone.set)

    async def work(self, end: socket.socket) -> None:
        """Serve one end of the sockets until the other one is gone."""
        await asyncio.get_running_loop().create_connection(lambda: self._lines, sock=end)
        await self._alone.wait()

    def _hear(self, message: Any) -> None:
        if self._porter is None:
            self._porter = _porter(Outfit(**message))
            return
        number, *parcel = message
        task = asyncio.ensure_future(self._answer(self._porter, number, Parcel(*parcel)))
        self._under_way.add(task)
        task.add_done_callback(partial(self._done, number))

    async def _answer(self, porter: Porter, number: int, parcel: Parcel) -> None:
        try:
            brought = await porter.bring(parcel)
        except Trouble as error:
            self._lines.send([number, "failed", confessed(error)])
        else:
            self._lines.send([number, "brought", told(brought)])

    def _done(self, number: int, task: asyncio.Task[None]) -> None:
        """Have a bug of ours raised where it is reported: in the first process."""
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._lines.send([number, "bug", "".join(traceback.format_exception(error))])


async def _serve(end: socket.socket) -> None:
    await Worker().work(end)


def _porter(outfit: Outfit) -> Hands:
    clock = SystemClock()
    hosts = Hosts(
        timeouts=outfit.timeouts,
        connections=outfit.connections,
        clock=clock,
        environ=os.environ,
    )
    shelf = Shelf(Path(outfit.folder), thorough=outfit.thorough, threads=0)
    return Hands(hosts, shelf, clock, embed=outfit.embed, sidecar=outfit.sidecar)


def main() -> None:
    """Serve the socket on standard input. Whoever holds the other end decides how long.

    Signals that are sent to a whole service or session are for the first process to act on.
    """
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as end:
        uvloop.run(_serve(end))
