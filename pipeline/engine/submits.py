"""The lane where money is spent: intent on disk, one request, and what became of it.

What each outcome means is `lifecycle.SUBMIT_OUTCOMES`; this file only carries it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import schema
from pipeline.brake import Halted
from pipeline.engine.budget import BudgetReached
from pipeline.engine.references import ReferenceChanged
from pipeline.errors import AccountError, ApiError, Indeterminate, Refused
from pipeline.lifecycle import SUBMIT_OUTCOMES, Status, Step
from pipeline.money import NOTHING

if TYPE_CHECKING:
    from pipeline.engine.desk import Desk
    from pipeline.engine.references import References
    from pipeline.model import Record


class Submits:
    """Sends jobs. Each call of `one` leaves its job at a status that is true."""

    def __init__(self, desk: Desk, references: References, state_id: str) -> None:
        """Send what is on the desk. Keys are made from `state_id`, the state file's own name."""
        self._desk = desk
        self._journal = desk.journal
        self._budget = desk.budget
        self._work = desk.work
        self._references = references
        self._state_id = state_id
        self._trust: float = schema.api("idempotency", "trusted_seconds")
        self._attempts: int = schema.api("backoff", "attempts")

    async def one(self, record: Record) -> None:
        """Bring one job from `pending` or `submitting` as far as the API's answer takes it."""
        try:
            if record.status is Status.SUBMITTING:
                if self._settled_elsewhere(record):
                    return
                await self._budget.reserve(record.number, record.estimate)
                record = await self._journal.write(record, Step.RESEND, sends=record.sends + 1)
                await self._send(record, doubtful=True)
            else:
                await self._budget.reserve(record.number, record.estimate)
                await self._send(await self._intend(record), doubtful=False)
        except BudgetReached as error:
            self._desk.brake.pull(error)
            self._work.settle(record, left=True)
        except (Refused, AccountError) as error:
            self._not_sent(record, error)
        except Halted:
            self._budget.settle(record.number, NOTHING, record.estimate)
            self._work.settle(record, left=True)

    def _settled_elsewhere(self, record: Record) -> bool:
        """Whether a job whose outcome is unknown must not be sent again by this run."""
        if self._journal.now() - record.intended_at > self._trust:
            self._hold(
                record, "key_expired", "its outcome is unknown and its key is over a day old"
            )
            return True
        if not self._desk.owns(record):
            self._journal.note(
                "warning",
                f"{record.entry_id} was sent with another key or host and its outcome is unknown;"
                " run with those to settle it",
            )
            self._work.settle(record, left=True)
            return True
        return False

    async def _intend(self, record: Record) -> Record:
        """Put the request and its key on disk. Waits out what heals while references upload."""
        tries = 0
        while True:
            try:
                extras = await self._references.extras(record)
                break
            except (Refused, AccountError):
                raise
            except ApiError as error:
                await self._pause(error, tries)
                tries += 1
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
        body = self._references.body(record)
        tries = 0
        while True:
            try:
                accepted = await self._desk.api.submit(body, record.key)
            except Halted:
                self._leave(record, doubtful=doubtful)
                return
            except ApiError as error:
                outcome = SUBMIT_OUTCOMES[error.submit]
                doubtful = doubtful or outcome.maybe_paid
                if outcome.step in (Step.REFUSE, Step.DOUBT):
                    self._end(record, error)
                    return
                if isinstance(error, AccountError):
                    self._desk.brake.pull(error)
                    self._leave(record, doubtful=doubtful)
                    return
                tries += 1
                try:
                    self._check_patience(record, tries, doubtful=doubtful)
                    await self._pause(error, tries)
                except Halted:
                    self._leave(record, doubtful=doubtful)
                    return
                record = await self._journal.write(record, Step.RESEND, sends=record.sends + 1)
            else:
                record = await self._journal.write(
                    record,
                    Step.ACCEPT,
                    task_id=accepted.task_id,
                    submitted_at=self._journal.now(),
                )
                self._work.route(record)
                return

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

    async def _pause(self, error: ApiError, tries: int) -> None:
        """Wait before the next try. Raises `Halted` when the run stops, or must stop."""
        if self._desk.weary(error):
            raise Halted
        await self._desk.brake.rest(max(error.retry_after or 0.0, self._desk.delays(tries)))

    def _leave(self, record: Record, *, doubtful: bool) -> None:
        """Leave the job to a later run, `pending` again when it was certainly not executed."""
        if not doubtful:
            self._budget.settle(record.number, NOTHING, record.estimate)
            record = self._journal.post(record, Step.WITHDRAW)
        self._work.settle(record, left=True)

    def _end(self, record: Record, error: ApiError) -> None:
        """Write down that the API refused the job, or that nobody can tell what became of it."""
        if SUBMIT_OUTCOMES[error.submit].step is Step.DOUBT:
            kind = error.kind or (
                "indeterminate" if isinstance(error, Indeterminate) else "key_reused"
            )
            self._hold(record, kind, error.summary)
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
            self._desk.brake.pull(error)
        elif isinstance(error, ReferenceChanged):
            self._journal.note("warning", f"{record.entry_id}: {error.summary}")
        else:
            self._end(record, error)
            return
        self._work.settle(record, left=True)
