"""Every step of every job passes here: to disk first, then to the listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.events import Noted, Stepped
from pipeline.state import change

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.clock import Clock
    from pipeline.events import Listener
    from pipeline.lifecycle import Step
    from pipeline.model import Record
    from pipeline.state import Change, Scribe, Store


class Journal:
    """Writes steps and tells them. `finished` counts the jobs that got their images."""

    def __init__(self, scribe: Scribe, store: Store, clock: Clock, emit: Listener) -> None:
        """Write through `scribe`, the only user of `store` from now on."""
        self._scribe = scribe
        self._store = store
        self._clock = clock
        self._emit = emit

    def now(self) -> float:
        """Return seconds since 1970 UTC."""
        return self._clock.now()

    async def write(self, record: Record, step: Step, **fields: Any) -> Record:
        """Take a step; returns the new record once it is on disk."""
        one = change(record, step, self.now(), **fields)
        await self._scribe.write(one)
        self._tell(one)
        return one.after

    def post(self, record: Record, step: Step, *, again: bool = False, **fields: Any) -> Record:
        """Take a step that nothing has to wait for; later steps are written after it.

        `again` tells the listeners of a failure that the job is tried once more.
        """
        one = change(record, step, self.now(), **fields)
        self.put(one, again=again)
        return one.after

    def put(self, one: Change, *, again: bool = False) -> None:
        """Post a change that was made elsewhere."""
        self._scribe.post(one)
        self._tell(one, again=again)

    async def keep(self, work: Callable[[Store], None]) -> None:
        """Have the store keep something that is no step; returns once it is on disk."""
        await self._scribe.call(lambda: work(self._store))

    def note(self, level: str, message: str, **details: str) -> None:
        """Tell the listeners something a user may want to know."""
        self._emit(Noted(self.now(), level, message, details))

    def _tell(self, one: Change, *, again: bool = False) -> None:
        job = one.after
        self._emit(
            Stepped(
                at=one.at,
                number=job.number,
                entry_id=job.entry_id,
                image_index=job.image_index,
                images=job.images,
                step=one.step,
                before=one.before.status,
                status=job.status,
                task_id=job.task_id or one.before.task_id,
                cost=job.cost,
                error_type=job.error_type,
                error_message=job.error_message,
                again=again,
            )
        )
