"""The network part of one run: the real API or the sandbox, its manners, and the signals."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline import schema
from pipeline.brake import Brake
from pipeline.client import Client, Hosts
from pipeline.commands.account import Account
from pipeline.commands.ending import Interrupted, publish_manifest
from pipeline.commands.learned import Learned
from pipeline.commands.provenance import facts_of
from pipeline.commands.refresh import Refresh
from pipeline.engine import Bell, Orders, Parts, drive
from pipeline.errors import Trouble
from pipeline.events import Noted
from pipeline.porter import Crew, Hands, Outfit
from pipeline.retry import Backoff, Careful, Looks, Manners, Pace, Patient
from pipeline.state import Book

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeline.api import Api, Porter
    from pipeline.commands.batch import Batch
    from pipeline.download import Shelf
    from pipeline.events import Listener
    from pipeline.model import RunSettings
    from pipeline.money import Money
    from pipeline.state import Store

_SPARE_CONNECTIONS = 8
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Session:
    """Works on what is staged, from the first connection to the last."""

    def __init__(
        self,
        opened: Batch,
        settings: RunSettings,
        store: Store,
        shelf: Shelf,
        account: Account,
        emit: Listener,
        *,
        stops: Callable[[Brake], None],
        faults: Sequence[str],
        todo: int,
        to_pay: Money,
        agreed: frozenset[int],
    ) -> None:
        """Prepare; nothing is opened before `work`. `todo` jobs will cost `to_pay`, by the plan.

        `stops` is given the brake before anything starts: whoever may stop the run pulls it.
        """
        self._batch = opened
        self._world = opened.world
        self._settings = settings
        self._store = store
        self._shelf = shelf
        self._account = account
        self._emit = emit
        self._stops = stops
        self._faults = faults
        self._todo = todo
        self._to_pay = to_pay
        self._agreed = agreed

    async def work(self) -> BaseException | str | None:
        """Drive every selected job; returns what stopped the run early, None when nothing did."""
        brake = Brake(self._world.clock)
        self._stops(brake)
        async with AsyncExitStack() as stack:
            address = self._account
            if self._batch.sandbox:
                address = Account(await self._stand_in(stack), self._account.key)
            client = self._client(address)
            stack.push_async_callback(client.close)
            porter = await self._porter(stack)
            try:
                bell = await self._bell(stack)
                await self._drive(client, porter, brake, bell)
            except Trouble as error:
                brake.pull(error)
        return brake.cause

    async def _stand_in(self, stack: AsyncExitStack) -> str:
        """Serve the sandbox and return its address, the same as in the last run where it can be.

        The urls that an earlier rehearsal was given lead there.
        """
        from pipeline import sandbox  # here, because what serves it is slow to load

        before = self._store.fact("sandbox port")
        for port in (int(before or 0), 0):
            serving = sandbox.serve(
                sandbox.faults(self._faults),
                clock=self._world.clock,
                dice=self._world.dice,
                ledger=self._batch.folder / "sandbox.jsonl",
                models=self._batch.spec.known_models(),
                port=port,
            )
            try:
                served = await stack.enter_async_context(serving)
                break
            except OSError:  # somebody else has the port by now
                if not port:
                    raise
        self._store.keep_fact("sandbox port", str(urlsplit(served.url).port))
        return served.url

    async def _bell(self, stack: AsyncExitStack) -> Bell:
        """Open our callback receiver, when one is wanted; its secret stays the same for a spec."""
        settings = self._settings.webhook
        if settings is None:
            return Bell()
        from pipeline.webhook import Doorbell  # here, because what serves it is slow to load

        secret = self._store.fact("doorbell") or secrets.token_hex(32)
        self._store.keep_fact("doorbell", secret)
        doorbell = Doorbell(settings, secret.encode(), lambda number, hint: bell.ring(number, hint))
        bell = Bell(doorbell.address)
        await doorbell.start()
        stack.push_async_callback(doorbell.stop)
        return bell

    def _client(self, address: Account) -> Client:
        return Client(
            address.host,
            address.key,
            timeouts=self._settings.timeouts,
            connections=self._settings.concurrency + _SPARE_CONNECTIONS,
            clock=self._world.clock,
            environ=self._world.environ,
        )

    async def _porter(self, stack: AsyncExitStack) -> Porter:
        """Return who brings the images: a second process, when there are enough to be worth it."""
        world, output = self._world, self._batch.spec.output
        settings = self._settings
        outfit = Outfit(
            folder=str(self._batch.folder.absolute()),
            timeouts=settings.timeouts,
            connections=settings.concurrency + _SPARE_CONNECTIONS,
            thorough=settings.verify,
            embed=output.metadata == "embed",
            sidecar=output.sidecar,
        )
        hosts = Hosts(
            timeouts=outfit.timeouts,
            connections=outfit.connections,
            clock=world.clock,
            environ=world.environ,
        )
        stack.push_async_callback(hosts.close)
        hands = Hands(hosts, self._shelf, world.clock, embed=outfit.embed, sidecar=outfit.sidecar)
        wanted = settings.wait and settings.download and not getattr(sys, "frozen", False)
        if not wanted or self._todo < schema.document("limits")["porter"]["least_jobs"]:
            return hands
        limit = 2 * schema.api("result", "max_seconds")  # it gives an image up before that
        crew = Crew(outfit, hands, world.environ, limit=limit, ended=self._crew_ended)
        stack.push_async_callback(crew.close)
        await crew.start()
        return crew

    def _crew_ended(self, last_words: str) -> None:
        message = "the process that fetches images has ended; they are fetched without it"
        self._emit(Noted(self._world.clock.now(), "info", message, {"last_words": last_words}))

    async def _drive(self, client: Api, porter: Porter, brake: Brake, bell: Bell) -> None:
        world, settings = self._world, self._settings
        book = Book(self._batch.state)
        refresh = Refresh(
            lambda: publish_manifest(self._batch, self._account.host), world.clock, self._emit
        )
        learned = Learned(self._store, self._account)
        looks = Looks(learned.durations())
        backoff = Backoff(world.dice)
        pace = Pace(
            clock=world.clock,
            brake=brake,
            listener=self._emit,
            rate=settings.rate,
            memory=learned.pace(),
        )
        images_pace = Pace(clock=world.clock, brake=brake, listener=self._emit)
        manners = Manners(pace, backoff, world.clock, brake, self._emit)
        patient = Patient(client, manners)
        careful = Careful(porter, replace(manners, pace=images_pace))
        parts = Parts(
            api=patient,
            porter=careful,
            store=self._store,
            book=book,
            shelf=self._shelf,
            clock=world.clock,
            brake=brake,
            emit=refresh.listen,
            timing=looks,
            delays=backoff.delay,
            quiet_for=lambda: world.clock.monotonic() - patient.last_answer,
            facts=facts_of(self._batch),
            bell=bell,
        )
        try:
            await drive(parts, self._orders())
        finally:
            await refresh.close()
            book.close()
            learned.keep(looks, pace)

    def _orders(self) -> Orders:
        settings = self._settings
        return Orders(
            host=self._account.host,
            account=self._account.mark,
            concurrency=settings.concurrency,
            patience=settings.patience,
            deadline=settings.deadline,
            max_cost=settings.max_cost,
            task_retries=settings.task_retries,
            wait=settings.wait,
            download=settings.download,
            check_balance=settings.check_balance,
            to_pay=self._to_pay,
            agreed=self._agreed,
        )


def check_receiver(settings: RunSettings, account: Account, *, rehearsal: bool) -> None:
    """Raise `InputError` when a receiver is wanted that the API would refuse to call."""
    if settings.webhook is not None:
        from pipeline.webhook import check_public

        local = rehearsal or urlsplit(account.host).hostname in _LOOPBACK
        check_public(settings.webhook.public_url, api_is_local=local)


def stop_on_signals(brake: Brake) -> None:
    """First signal: stop well. Second one: leave at once; what is on disk is enough."""
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if brake.pulled and isinstance(brake.cause, Interrupted):
            os._exit(128 + number)
        brake.pull(Interrupted(number))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
