"""Many coroutines' changes in few transactions, written by one thread off the event loop."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from typing import TYPE_CHECKING

from pipeline.state.guard import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.clock import Clock
    from pipeline.state.store import Change, Store

_SYNC_EVERY = 1.0
"""Seconds. A killed process loses nothing; a power cut loses at most the last of these."""

_Work = tuple["Change | Callable[[], None]", "asyncio.Future[None] | None"]


class Scribe:
    """Writes changes in the order given, grouped: whatever waits goes into the next commit.

    What one turn of the event loop brings is handed over together: each time the thread is woken,
    the two compete for the interpreter. While it is open, the store belongs to its thread.
    """

    def __init__(
        self, store: Store, clock: Clock, *, failed: Callable[[BaseException], None]
    ) -> None:
        """Start the thread. `failed` is called on the loop when a write did not succeed."""
        self._store = store
        self._clock = clock
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[list[_Work] | None] = queue.SimpleQueue()
        self._turn: list[_Work] = []
        self._broken: BaseException | None = None
        self._synced = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)
        self._thread.start()

    async def write(self, one: Change) -> None:
        """Return when the change is on disk. Raises `DiskError` when it could not be."""
        await self._put(one)

    async def call(self, work: Callable[[], None]) -> None:
        """Run `work` (a method of the store) in its turn among the changes."""
        await self._put(work)

    def post(self, one: Change) -> None:
        """Write the change in its turn, without waiting for it; `close` waits for all."""
        self._add((one, None))

    async def _put(self, work: Change | Callable[[], None]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._add((work, done))
        await done

    def _add(self, work: _Work) -> None:
        if not self._turn:
            self._loop.call_soon(self._hand_over)
        self._turn.append(work)

    def _hand_over(self) -> None:
        if self._turn:
            self._queue.put(self._turn)
            self._turn = []

    async def close(self) -> None:
        """Return when everything is on disk. Raises what a write failed with."""
        self._hand_over()
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        if self._broken is not None:
            raise self._broken

    def _run(self) -> None:
        going = True
        while going:
            turns = [self._queue.get()]
            while not self._queue.empty():
                turns.append(self._queue.get_nowait())
            going = None not in turns
            work = [one for turn in turns if turn is not None for one in turn]
            if work:
                self._settle(work, self._commit(work))

    def _commit(self, work: list[_Work]) -> BaseException | None:
        """Write one batch; changes that follow each other share a transaction."""
        if self._broken is not None:
            return self._broken
        try:
            changes: list[Change] = []
            for one, _ in work:
                if callable(one):
                    self._flush(changes)
                    one()
                else:
                    changes.append(one)
            self._flush(changes)
            self._sync()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, raised there
            self._broken = error
        return self._broken

    def _flush(self, changes: list[Change]) -> None:
        if changes:
            self._store.write(changes)
            changes.clear()

    def _sync(self) -> None:
        now = self._clock.monotonic()
        if now - self._synced < _SYNC_EVERY:
            return
        self._synced = now
        with translated(self._store.path):
            log = os.open(f"{self._store.path}-wal", os.O_RDONLY)
            try:
                os.fsync(log)
            finally:
                os.close(log)

    def _settle(self, work: list[_Work], error: BaseException | None) -> None:
        waiting = [done for _, done in work if done is not None]
        self._loop.call_soon_threadsafe(self._wake, waiting, error)

    def _wake(self, waiting: list[asyncio.Future[None]], error: BaseException | None) -> None:
        for done in waiting:
            if done.done():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
        if error is not None:
            self._failed(error)
