"""The paid call: what happens to a submit, from its key to its task, faults included."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pipeline import schema
from pipeline.sandbox import answers
from pipeline.sandbox.answers import Denied, HangUp, Nonsense
from pipeline.sandbox.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.sandbox.checks import Checks
    from pipeline.sandbox.world import World

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FAILURES = {
    "en": "The image was blocked by the safety filter. Please change the prompt.",
    "zh": "图像生成失败：内容未通过安全审核，请修改提示词后重试",
}
BROKEN = (500, 502, 503, 504)


def broken(world: World) -> Denied:
    """Return one of the 5xx, thrown for."""
    status = world.dice.choice(BROKEN)
    return Denied(status, f"the service is temporarily unavailable ({status})")


class Submissions:
    """Accepts, refuses, replays; `accepted` is told of every new task."""

    def __init__(self, world: World, checks: Checks, accepted: Callable[[Task], None]) -> None:
        self._world = world
        self._checks = checks
        self._accepted = accepted
        self._processing: set[str] = set()

    async def submit(self, raw: bytes, key: str) -> tuple[Task, bool]:
        """Return the task and whether it is a replay of an earlier answer for this key.

        Raises `Denied`, `HangUp` or `Nonsense`. Only a new task is billed, at most once.
        """
        self._check_key(key)
        if key and key in self._processing:
            raise self._busy_key()
        self._processing.add(key)
        try:
            await self._delay()
            return self._decide(raw, key)
        finally:
            self._processing.discard(key)

    async def _delay(self) -> None:
        if seconds := self._world.drawn(self._world.faults.latency):
            await self._world.clock.sleep(seconds)

    def _check_key(self, key: str) -> None:
        longest = schema.api("idempotency", "max_length")
        if key and not (len(key) <= longest and all("!" <= letter <= "~" for letter in key)):
            raise Denied(400, f"Idempotency-Key must be 1 to {longest} visible ASCII characters")
        if key and self._world.happens(self._world.faults.unavailable):
            raise Denied(
                503,
                "idempotency is temporarily unavailable; the request was not executed",
                code="idempotency_unavailable",
                headers={"Retry-After": "1"},
            )

    def _decide(self, raw: bytes, key: str) -> tuple[Task, bool]:
        digest = hashlib.sha256(raw).hexdigest()
        task = self._remembered(key)
        replayed = task is not None
        if task is None:
            task = self._accept(self._checks.body(raw), key, digest)
        elif task.digest != digest:
            raise Denied(
                409,
                "this Idempotency-Key was used with another request body",
                code="idempotency_key_reused",
            )
        self._mishap(task, key)
        return task, replayed

    def _remembered(self, key: str) -> Task | None:
        task = self._world.ledger.by_key(key) if key else None
        life = self._world.faults.key_ttl
        if life is None:
            life = schema.api("idempotency", "trusted_seconds")
        if task is None or self._world.clock.now() - task.accepted_at > life:
            return None
        return task

    def _mishap(self, task: Task, key: str) -> None:
        """Spoil the answer to a task that exists and is billed."""
        world, faults = self._world, self._world.faults
        if task.indeterminate:
            raise Denied(
                409,
                "the result of the first request with this key cannot be determined",
                code="idempotency_result_indeterminate",
            )
        if key and world.happens(faults.in_progress):
            raise self._busy_key()
        if world.happens(faults.cut_after):
            raise HangUp
        if world.happens(faults.error_after):
            raise broken(world)
        if world.happens(faults.rubbish):
            raise Nonsense(answers.rubbish(world.dice.random()))

    @staticmethod
    def _busy_key() -> Denied:
        return Denied(
            409,
            "a request with this key is still being processed",
            code="idempotency_in_progress",
            headers={"Retry-After": "1"},
        )

    # ── a new task ──────────────────────────────────────────────────────────────────────────

    def _accept(self, body: Mapping[str, Any], key: str, digest: str) -> Task:
        world, faults = self._world, self._world.faults
        if world.happens(faults.build_request_failed):
            raise Denied(500, "build_request_failed: invalid parameter")
        task = self._task(dict(body), key, digest)
        if faults.balance is not None and task.reserved > faults.balance - world.ledger.billed:
            raise Denied(402, "the account balance is not sufficient")
        if faults.running is not None and world.ledger.running >= faults.running:
            world.ledger.requests["refused_429"] += 1
            headers = answers.retry_after(1, world.clock.now(), faults)
            raise Denied(429, "too many tasks are running", headers=headers)
        world.ledger.accept(task)
        self._accepted(task)
        return task

    def _task(self, body: dict[str, Any], key: str, digest: str) -> Task:
        world, faults = self._world, self._world.faults
        number, images = world.ledger.count + 1, body.get("n", 1)
        fails = number <= faults.fail_first or world.happens(faults.fail)
        delivered = images
        if images > 1 and world.happens(faults.partial):
            delivered = world.dice.randint(1, images - 1)
        return Task(
            id=self._new_id(),
            number=number,
            key=key,
            digest=digest,
            accepted_at=world.clock.now(),
            seconds=world.drawn(faults.task_seconds),
            price=self._checks.price(body),
            images=images,
            delivered=0 if fails else delivered,
            failure=_FAILURES[faults.language] if fails else "",
            forgotten=world.happens(faults.forget),
            indeterminate=bool(key) and world.happens(faults.indeterminate),
            callback_lost=world.happens(faults.callback_lost),
            body=body,
        )

    def _new_id(self) -> str:
        # Dice with the same seed after a restart throw the same ids again.
        while True:
            bits = self._world.dice.getrandbits(130)
            letters = "".join(_BASE32[bits >> shift & 31] for shift in range(0, 130, 5))
            if self._world.ledger.task(f"task_{letters}") is None:
                return f"task_{letters}"
