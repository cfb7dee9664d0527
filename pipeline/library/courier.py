"""A run in a thread of its own, so that it works wherever it is called from.

A run has its own event loop. A thread gives it one in a plain script, in a notebook whose loop
runs already, and beside the coroutines of somebody else's program. Events come back to the
caller: what listens to them needs no locks.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from pipeline.errors import Exit, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.brake import Brake
    from pipeline.commands.run import Finish
    from pipeline.events import Event, Listener

    Work = Callable[[Listener, "Hand"], Finish]
    Heard = Callable[[Event], None]

_WAITING = 10_000
"""Events that may wait for a slow listener before the run waits for it too."""


class Withdrawn(Trouble):
    """The program that called for the run does not want it any more."""

    exit = Exit.INTERRUPTED

    def __init__(self) -> None:
        super().__init__(
            "stopped by the program that runs it",
            why="Nothing is lost: tasks under way are collected by the next run.",
            fix="Run again to go on.",
        )


class Hand:
    """Pulls a run's brake from another thread, now or as soon as there is one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._brake: Brake | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = False

    def hold(self, brake: Brake) -> None:
        """Take the brake; called in the run's own event loop."""
        with self._lock:
            self._brake, self._loop = brake, asyncio.get_running_loop()
            if self._wanted:
                brake.pull(Withdrawn())

    def pull(self) -> None:
        """Stop the run well: answers under way are saved, the manifest is written."""
        with self._lock:
            self._wanted = True
            if self._loop is not None and self._brake is not None:
                with suppress(RuntimeError):  # its loop has ended: the run is over already
                    self._loop.call_soon_threadsafe(self._brake.pull, Withdrawn())


def _start(work: Work, emit: Listener, hand: Hand, over: Callable[[], None]) -> Future[Finish]:
    future: Future[Finish] = Future()
    future.set_running_or_notify_cancel()

    def body() -> None:
        try:
            finish = work(emit, hand)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            future.set_exception(error)
        else:
            future.set_result(finish)
        finally:
            over()

    # Whoever insists on leaving is not held back: what is on disk is enough for the next run.
    threading.Thread(target=body, name="banana-batch", daemon=True).start()
    return future


def carry(work: Work, heard: Heard | None) -> Finish:
    """Do `work` in a thread and return what it returns, calling `heard` in this one.

    An exception in this thread (Ctrl-C, or one of `heard`) stops the run well and is raised once
    it has ended; a second one is raised at once.
    """
    hand = Hand()
    events: queue.Queue[Event | None] = queue.Queue(_WAITING)
    emit = events.put if heard else _ignore
    future = _start(work, emit, hand, lambda: events.put(None))
    try:
        while (event := events.get()) is not None:
            if heard:
                heard(event)
    except BaseException:
        hand.pull()
        while events.get() is not None:
            pass
        raise
    return future.result()


async def carry_async(work: Work, heard: Heard | None) -> Finish:
    """Do the same while other coroutines go on; `heard` is called in the event loop.

    Cancelling stops the run well and ends once it has ended; cancelling again leaves at once.
    """
    loop, hand = asyncio.get_running_loop(), Hand()
    wrong: list[BaseException] = []

    def hear(event: Event) -> None:
        try:
            if heard and not wrong:
                heard(event)
        except BaseException as error:  # noqa: BLE001 - raised below, once the run has ended
            wrong.append(error)
            hand.pull()

    def emit(event: Event) -> None:
        with suppress(RuntimeError):  # the caller's loop is gone: nobody listens any more
            loop.call_soon_threadsafe(hear, event)

    future = asyncio.wrap_future(
        _start(work, emit if heard else _ignore, hand, lambda: None), loop=loop
    )
    try:
        finish = await asyncio.shield(future)
    except asyncio.CancelledError:
        hand.pull()
        with suppress(Trouble):
            await asyncio.shield(future)
        raise
    if wrong:
        raise wrong[0]
    return finish


def _ignore(_event: Event) -> None:
    """Hear nothing."""
