"""The sandbox itself: HTTP in, HTTP out. What each call means is in the rooms beside this one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader, web

from pipeline import schema
from pipeline.errors import InputError, Trouble
from pipeline.sandbox import answers
from pipeline.sandbox.answers import Denied, HangUp, Nonsense
from pipeline.sandbox.callbacks import Callbacks
from pipeline.sandbox.checks import Checks, upload_type
from pipeline.sandbox.files import Files
from pipeline.sandbox.ledger import Ledger, Upload
from pipeline.sandbox.limits import RateLimit
from pipeline.sandbox.submissions import Submissions, broken
from pipeline.sandbox.world import World

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.clock import Clock
    from pipeline.model import Model
    from pipeline.sandbox.faults import Faults
    from pipeline.sandbox.tasks import Task

BANNER = """\
This is a stand-in for the API: it speaks its wire format and draws pictures of its own.
It checks requests, keys and balances, honours Idempotency-Key and keeps a ledger.
What it does not imitate: real pictures (it writes the prompt on a background), the content
policy, real prices (they are nominal, from the model files), queues, rate limits or failures
unless they are asked for. Where the API silently ignores or downgrades, it answers 400."""

_Call = Callable[[web.Request], Awaitable[web.StreamResponse]]
_REFUSALS = {
    401: "the API key is not valid",
    402: "the account balance is not sufficient",
    403: "this key has no permission to do this",
}
_PATIENCE_AT_END = 0.05
_CHUNK = 65536


class Sandbox:
    """A stand-in for the API on a local port.

    `keys` are the accepted API keys, None for any that is not empty. `ledger` names the file
    that outlives the process. `models` are those it answers for, None for those that ship.
    `faults` may be replaced while it runs.
    """

    def __init__(
        self,
        faults: Faults,
        *,
        clock: Clock,
        dice: random.Random,
        ledger: Path | None = None,
        keys: frozenset[str] | None = None,
        models: Mapping[str, Model] | None = None,
    ) -> None:
        self.ledger = Ledger(clock, ledger)
        self._world = World(faults, clock, dice, self.ledger)
        self._keys = keys
        self._limit = RateLimit()
        checks = Checks(lambda url: self._files.alive(url), models)
        self._checks = checks
        self._files = Files(self._world, checks.models)
        self._callbacks = Callbacks(self._world, self._told)
        self._submissions = Submissions(self._world, checks, self._callbacks.schedule)
        self._runner: web.AppRunner | None = None
        self._request_number = 0

    @property
    def faults(self) -> Faults:
        """How the sandbox behaves now."""
        return self._world.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._world.faults = faults

    @property
    def url(self) -> str:
        """The base url, `""` before `start`."""
        return self._world.url

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve, on a free port when `port` is 0; returns the base url.

        Raises `InputError` when the address cannot be listened on.
        """
        # Faults cut and break connections on purpose; the server's own log has no news to tell.
        silent = logging.Logger("sandbox")
        silent.addHandler(logging.NullHandler())
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            logger=silent,
            shutdown_timeout=_PATIENCE_AT_END,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self.stop()
            raise InputError(
                f"the sandbox cannot listen on {host}:{port}: {error.strerror}",
                fix="Stop what listens there, or choose another port.",
            ) from error
        port = self._runner.addresses[0][1]
        reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - read, not bound
        self._world.url = f"http://{reachable}:{port}"
        for task in self.ledger.tasks():
            if not task.finished(self._world.clock.now()):
                self._callbacks.schedule(task)
        return self._world.url

    async def stop(self) -> None:
        """Stop serving: connections are closed, whatever they were about."""
        await self._callbacks.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._files.close()
        self.ledger.close()

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=self._checks.largest_body())
        call, balance = self._call, self._call(self._balance, "balance")
        app.router.add_post("/v1/images/generations", call(self._submit, "submit"))
        app.router.add_get("/v1/tasks/{id}", call(self._look, "task"))
        app.router.add_post("/v1/uploads/images", call(self._upload, "upload"))
        app.router.add_get("/v1/balance", balance)
        app.router.add_get("/v1/user/balance", balance)
        app.router.add_get("/v1/models", call(self._models, "models"))
        app.router.add_get("/v1/model-schema", call(self._model_schema, "models"))
        app.router.add_get(r"/files/{expires:\d{1,18}}/{name}", _cuttable(self._files.result))
        app.router.add_get("/uploads/{name}", _cuttable(self._files.upload))
        app.router.add_get("/_sandbox/ledger", self._book)
        return app

    # ── what holds for every call ───────────────────────────────────────────────────────────

    def _call(self, handle: Callable[[web.Request], Awaitable[web.Response]], name: str) -> _Call:
        """Wrap one call of the API: counted, authorized, limited, and spoiled as asked."""

        async def call(request: web.Request) -> web.StreamResponse:
            self._request_number += 1
            self.ledger.requests[name] += 1
            try:
                self._authorize(request)
                self._slow_down(name)
                self._spoil()
                return await handle(request)
            except Denied as denied:
                return self._denial(denied, balance=name == "balance")
            except Nonsense as nonsense:
                return _json(nonsense.body)
            except web.HTTPRequestEntityTooLarge:
                return self._denial(Denied(413, "the request is too large"), balance=False)
            except Trouble as trouble:
                return self._denial(Denied(500, trouble.summary), balance=False)

        return _cuttable(call)

    def _authorize(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        known = bool(key.strip()) if self._keys is None else key in self._keys
        if scheme.lower() != "bearer" or not known:
            raise Denied(401, _REFUSALS[401])
        faults = self.faults
        if faults.refuse_with and self.ledger.count >= faults.refuse_after:
            raise Denied(faults.refuse_with, _REFUSALS[faults.refuse_with])

    def _slow_down(self, name: str) -> None:
        faults, clock = self.faults, self._world.clock
        if faults.rate is None or (name != "submit" and faults.rate_scope == "submit"):
            return
        wait = self._limit.wait(faults.rate, faults.rate_kind, clock.monotonic())
        if wait > 0:
            self.ledger.requests["refused_429"] += 1
            headers = answers.retry_after(wait, clock.now(), faults)
            raise Denied(429, "too many requests, please try again later", headers=headers)

    def _spoil(self) -> None:
        if self._world.happens(self.faults.cut_before):
            raise HangUp
        if self._world.happens(self.faults.error):
            raise broken(self._world)

    def _denial(self, denied: Denied, *, balance: bool) -> web.Response:
        if balance:  # [public]: a failure of this call comes as a 200
            return _json(answers.as_json({"success": False, "message": denied.message}))
        body = answers.error(denied, self.faults, self._request_id)
        return _json(body, denied.status, denied.headers)

    @property
    def _request_id(self) -> str:
        return answers.request_id(self._request_number)

    async def _delay(self) -> None:
        if seconds := self._world.drawn(self.faults.latency):
            await self._world.clock.sleep(seconds)

    # ── the calls ───────────────────────────────────────────────────────────────────────────

    async def _submit(self, request: web.Request) -> web.Response:
        raw = await request.read()
        key = request.headers.get(schema.api("idempotency", "header"), "")
        task, replayed = await self._submissions.submit(raw, key)
        versioned = "X-APIMart-Response-Version" in request.headers
        body = answers.accepted(task, versioned=versioned, request_id=self._request_id)
        return _json(body, 200, {"Idempotency-Replayed": "true"} if replayed else {})

    async def _look(self, request: web.Request) -> web.Response:
        await self._delay()
        task = self.ledger.task(request.match_info["id"])
        if task is None or task.forgotten:
            raise Denied(404, "the task does not exist")
        return _json(self._seen(task, f"http://{request.host}"))

    def _seen(self, task: Task, base: str) -> bytes:
        return answers.look(task, self._world.clock.now(), self.faults, base)

    def _told(self, task: Task) -> bytes:
        return self._seen(task, self.url)

    async def _upload(self, request: web.Request) -> web.Response:
        await self._delay()
        filename, contents = await _file_field(request)
        kind = upload_type(contents)
        upload = Upload(
            name=f"{self._world.dice.getrandbits(96):024x}.{kind.removeprefix('image/')}",
            filename=filename,
            content_type=kind,
            bytes=len(contents),
            created_at=self._world.clock.now(),
        )
        self.ledger.keep(upload, contents)
        answer = {
            "url": f"http://{request.host}/uploads/{upload.name}",
            "filename": upload.filename,
            "content_type": upload.content_type,
            "bytes": upload.bytes,
            "created_at": int(upload.created_at),
        }
        return _json(answers.as_json(answer))

    async def _balance(self, _: web.Request) -> web.Response:
        await self._delay()
        return _json(answers.balance(self.faults, self.ledger.billed))

    async def _models(self, _: web.Request) -> web.Response:
        listed = [{"id": name, "object": "model"} for name in self._checks.models]
        return _json(answers.as_json({"object": "list", "data": listed}))

    async def _model_schema(self, request: web.Request) -> web.Response:
        name = request.query.get("model", "")
        data = {"model": name, "input_schema": self._checks.input_schema(name)}
        return _json(answers.as_json({"code": 200, "data": data}))

    async def _book(self, _: web.Request) -> web.Response:
        return _json(answers.as_json(self.ledger.report()))


@asynccontextmanager
async def serve(
    faults: Faults,
    *,
    clock: Clock,
    dice: random.Random,
    ledger: Path | None = None,
    keys: frozenset[str] | None = None,
    models: Mapping[str, Model] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[Sandbox]:
    """Run a sandbox for as long as the block lasts; its address is `sandbox.url`."""
    sandbox = Sandbox(faults, clock=clock, dice=dice, ledger=ledger, keys=keys, models=models)
    await sandbox.start(host, port)
    try:
        yield sandbox
    finally:
        await sandbox.stop()


def _json(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def _cuttable(handle: _Call) -> _Call:
    """Wrap a handler so that `HangUp` cuts its connection."""

    async def call(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except HangUp:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

    return call


async def _file_field(request: web.Request) -> tuple[str, bytes]:
    """Return name and contents of the form's `file`, no more of it in memory than is allowed."""
    most: int = schema.api("upload", "max_bytes")
    if not request.content_type.startswith("multipart/"):
        raise Denied(400, "the request must be multipart/form-data")
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name == "file":
                contents = bytearray()
                while chunk := await part.read_chunk(_CHUNK):
                    contents += chunk
                    if len(contents) > most:
                        raise Denied(413, f"the file is larger than {most} bytes")
                return part.filename or "file", bytes(contents)
    except (ValueError, AssertionError) as error:
        raise Denied(400, f"the form cannot be read: {error}") from None
    raise Denied(400, "the form has no field named 'file'")
