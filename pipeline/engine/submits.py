"""The lane where money is spent: intent on disk, one request, and what became of it.

What each outcome means is `lifecycle.SUBMIT_OUTCOMES`; this file only carries it out.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from pipeline import schema
from pipeline.api import Phase
from pipeline.brake import Halted
from pipeline.engine.budget import BudgetReached
from pipeline.engine.references import ReferenceChanged
from pipeline.errors import AccountError, ApiError, BalanceEmpty, Indeterminate, Refused
from pipeline.lifecycle import SUBMIT_OUTCOMES, Status, Step
from pipeline.money import NOTHING

if TYPE_CHECKING:
    from pipeline.engine.bell import Bell
    from pipeline.engine.desk import Desk
    from pipeline.engine.references import References
    from pipeline.model import Record


_CLOCK_SLACK = 3600.0
"""Seconds by which the clock may have been set back without making a key's age unknown."""

_CLOCK_STEP = 2.0
"""Seconds by which a task may seem older than the request that made it."""


class Submits:
    """Sends jobs. Each call of `one` leaves its job at a status that is true."""

    def __init__(self, desk: Desk, references: References, state_id: str, bell: Bell) -> None:
        """Send what is on the desk. Keys are made from `state_id`, the state file's own name."""
        self._bell = bell
        self._pausing: dict[int, asyncio.Event] = {}
        bell.hear(self._wake)
        self._desk = desk
        self._journal = desk.journal
        self._budget = desk.budget
        self._work = desk.work
        self._references = references
        self._state_id = state_id
        self._trust: float = schema.api("idempotency", "trusted_seconds")
        self._attempts: int = schema.api("backoff", "attempts")
        self._longest_pause: float = schema.api("pace", "max_retry_after_seconds")

    async def one(self, record: Record) -> None:
        """Bring one job from `pending` or `submitting` as far as the API's answer takes it."""
        try:
            if record.status is Status.SUBMITTING:
                if self._may_go_again(record, doubtful=True) and self._ours(record):
                    await self._budget.reserve(record.number, record.estimate)
                    await self._send_again(record)
            else:
                await self._budget.reserve(record.number, record.estimate)
                await self._send(await self._intend(record), doubtful=False)
        except BudgetReached as error:
            self._work.close(error)
            self._work.settle(record, left=True)
        except (Refused, AccountError) as error:
            self._not_sent(record, error)
        except Halted:
            self._budget.settle(record.number, NOTHING, record.estimate)
            self._work.settle(record, left=True)

    async def _send_again(self, record: Record) -> None:
        """Send a request of an earlier run once more, after its wait for money."""
        if self._may_go_again(record, doubtful=True):
            record = await self._journal.write(record, Step.RESEND, sends=record.sends + 1)
            await self._send(record, doubtful=True)

    def _may_go_again(self, record: Record, *, doubtful: bool) -> bool:
        """Whether the job's key is still trusted; a job whose key is not is settled here.

        Asked before every further send: a wait may be long, and a machine may sleep.
        """
        age = self._journal.now() - record.intended_at
        if -_CLOCK_SLACK <= age <= self._trust:
            return True
        if age > self._trust and doubtful:
            self._hold(
                record, "key_expired", "its outcome is unknown and its key is over a day old"
            )
            return False
        if age < 0:
            self._journal.note(
                "warning",
                f"{record.entry_id} was sent at a time that is yet to come, so nobody can tell"
                " how old its key is; set the clock and run again",
            )
        self._leave(record, doubtful=doubtful)
        return False

    def _ours(self, record: Record) -> bool:
        """Whether the request went where this run sends; one that did not is left."""
        if self._desk.owns(record):
            return True
        self._journal.note(
            "warning",
            f"{record.entry_id} was sent with another key or host and its outcome is unknown;"
            " run with those to settle it",
        )
        self._work.settle(record, left=True)
        return False

    async def _intend(self, record: Record) -> Record:
        """Put the request and its key on disk. Waits out what heals while references upload."""
        for tries in itertools.count(1):
            try:
                extras = await self._references.extras(record)
                break
            except (Refused, AccountError):
                raise
            except ApiError as error:
                if tries >= self._attempts:
                    self._journal.note("warning", f"{record.entry_id}: {error.summary}")
                    raise Halted from error
                await self._pause(error, tries, record.number)
        attempt = record.attempt if record.key else record.attempt + 1
        return await self._journal.write(
            record,
            Step.INTEND,
            attempt=attempt,
            sends=record.sends + 1,
            key=f"bb-{self._state_id}-{record.number}-{record.fingerprint[:12]}-{attempt}",
            extras=extras,
            host=self._desk.host,
            account=self._desk.account,
            intended_at=self._journal.now(),
            error_type="",
            error_message="",
        )

    async def _send(self, record: Record, *, doubtful: bool) -> None:
        """Send until an outcome says what became of it. `doubtful`: an earlier send may live."""
        try:
            body = self._references.body(record)
        except Refused as error:
            self._hold(record, "body_lost", error.summary)
            return
        self._bell.expect(record.number)
        for tries in itertools.count(1):
            try:
                accepted = await self._desk.api.submit(body, record.key)
            except Halted:
                self._leave(record, doubtful=doubtful)
                return
            except ApiError as error:
                doubtful = doubtful or SUBMIT_OUTCOMES[error.submit].maybe_paid
                if doubtful and await self._recovered(record):
                    return
                if not await self._goes_on(record, error, tries, doubtful=doubtful):
                    return
                if doubtful and await self._recovered(record):
                    return
                if not self._may_go_again(record, doubtful=doubtful):
                    return
                record = await self._journal.write(record, Step.RESEND, sends=record.sends + 1)
            else:
                await self._accept(record, Step.ACCEPT, accepted.task_id)
                return

    async def _accept(self, record: Record, step: Step, task_id: str) -> None:
        now = self._journal.now()
        record = await self._journal.write(record, step, task_id=task_id, submitted_at=now)
        self._work.route(record)

    async def _goes_on(
        self, record: Record, error: ApiError, tries: int, *, doubtful: bool
    ) -> bool:
        """Say whether the same request goes out again, after the pause that this takes."""
        if SUBMIT_OUTCOMES[error.submit].step in (Step.REFUSE, Step.DOUBT):
            self._end(record, error, doubtful=doubtful)
            return False
        if isinstance(error, AccountError):
            self._stop(error)
            self._leave(record, doubtful=doubtful)
            return False
        try:
            self._check_patience(record, tries, doubtful=doubtful)
            await self._pause(error, tries, record.number)
        except Halted:
            self._leave(record, doubtful=doubtful)
            return False
        return True

    def _stop(self, error: AccountError) -> None:
        """Send nothing more. What is paid for still comes home, unless the key itself is bad."""
        if isinstance(error, BalanceEmpty):
            self._work.close(error)
        else:
            self._desk.brake.pull(error)

    async def _recovered(self, record: Record) -> bool:
        """Whether a callback named the task of a submit whose answer was lost, and it is there."""
        hint = self._bell.hint(record.number)
        if not hint:
            return False
        try:
            task = await self._desk.api.look(hint)
        except Halted:
            return False
        except ApiError:
            self._bell.answered(record.number)
            return False
        if task.phase is Phase.FAILED or 0 < task.created < record.intended_at - _CLOCK_STEP:
            self._bell.answered(record.number)  # a late callback of an earlier attempt
            return False
        await self._accept(record, Step.RECOVER, hint)
        return True

    def _wake(self, number: int) -> None:
        """A callback has come for a job: no need to wait before the next try."""
        if number in self._pausing:
            self._pausing[number].set()

    def _check_patience(self, record: Record, tries: int, *, doubtful: bool) -> None:
        """Raise `Halted` when this job was tried often enough for one run."""
        if not doubtful or tries < self._attempts:
            return
        self._journal.note(
            "warning",
            f"{record.entry_id}: no clear answer after {tries} tries; the next run asks again"
            " with the same key",
        )
        raise Halted

    async def _pause(self, error: ApiError, tries: int, number: int) -> None:
        """Wait before the next try, or until a callback comes for the job of that number.

        Raises `Halted` when the run stops, or must stop.
        """
        if self._desk.weary(error):
            raise Halted
        asked = min(error.retry_after or 0.0, self._longest_pause)
        seconds = max(asked, self._desk.delays(tries))
        rung = self._pausing[number] = asyncio.Event()
        try:
            await self._desk.brake.rest(seconds, unless=rung)
        finally:
            del self._pausing[number]

    def _leave(self, record: Record, *, doubtful: bool) -> None:
        """Leave the job to a later run, `pending` again when it was certainly not executed."""
        if not doubtful:
            self._budget.settle(record.number, NOTHING, record.estimate)
            record = self._journal.post(record, Step.WITHDRAW)
        self._work.settle(record, left=True)

    def _end(self, record: Record, error: ApiError, *, doubtful: bool = False) -> None:
        """Write down that the API refused the job, or that nobody can tell what became of it.

        A refusal says nothing of an earlier send of the same request that may have been executed.
        """
        if SUBMIT_OUTCOMES[error.submit].step is Step.DOUBT:
            kind = error.kind or (
                "indeterminate" if isinstance(error, Indeterminate) else "key_reused"
            )
            self._hold(record, kind, error.summary)
            return
        if doubtful:
            self._hold(record, error.kind or "refused_later", error.summary)
            return
        self._budget.settle(record.number, NOTHING, record.estimate)
        record = self._journal.post(
            record,
            Step.REFUSE,
            error_type=error.kind or "refused",
            error_message=error.summary,
            completed_at=self._journal.now(),
        )
        self._work.route(record)

    def _hold(self, record: Record, kind: str, message: str) -> None:
        self._budget.settle(record.number, None, record.estimate)
        record = self._journal.post(record, Step.DOUBT, error_type=kind, error_message=message)
        self._work.route(record)

    def _not_sent(self, record: Record, error: ApiError) -> None:
        """The references of a job stand in its way: nothing of it was sent."""
        self._budget.settle(record.number, NOTHING, record.estimate)
        if isinstance(error, AccountError):
            self._stop(error)
        elif isinstance(error, ReferenceChanged):
            self._journal.note("warning", f"{record.entry_id}: {error.summary}")
        else:
            self._end(record, error)
            return
        self._work.settle(record, left=True)
