"""A bench to try the sandbox on: over real sockets, with a clock of our own."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from PIL import Image

from pipeline.sandbox import Sandbox, faults, serve

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "gemini-3.1-flash-lite-image"
KEY = {"Authorization": "Bearer sk-test"}


class Clock:
    """Stands still until somebody sleeps, which takes no time."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)


class Reply:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def task_id(self) -> str:
        return self.json["data"][0]["task_id"]


class Bench:
    def __init__(self, sandbox: Sandbox, http: aiohttp.ClientSession, clock: Clock) -> None:
        self.sandbox = sandbox
        self.http = http
        self.clock = clock

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        options.setdefault("headers", KEY)
        url = path if "://" in path else self.sandbox.url + path
        async with self.http.request(method, url, **options) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def submit(
        self, key: str = "", headers: Any = None, base: str = "", **fields: Any
    ) -> Reply:
        body = {"model": MODEL, "prompt": "a red mug", **fields}
        headers = {**KEY, **(headers or {})}
        if key:
            headers["Idempotency-Key"] = key
        data = BytesIO(json.dumps(body).encode())
        return await self.call("POST", f"{base}/v1/images/generations", data=data, headers=headers)

    async def look(self, task_id: str) -> Any:
        return (await self.call("GET", f"/v1/tasks/{task_id}?language=en")).json["data"]

    async def urls(self, **fields: Any) -> list[str]:
        task = await self.look((await self.submit(**fields)).task_id)
        return [url for image in task["result"]["images"] for url in image["url"]]

    async def fetch(self, url: str, **options: Any) -> Reply:
        return await self.call("GET", url, headers=options.pop("headers", {}), **options)

    async def upload(self, contents: bytes, name: str = "file") -> Reply:
        form = aiohttp.FormData()
        form.add_field(name, BytesIO(contents), filename="mug.png")
        return await self.call("POST", "/v1/uploads/images", data=form)

    @property
    def requests(self) -> dict[str, int]:
        return self.sandbox.ledger.report()["requests"]


Scenario = Callable[[Bench], Awaitable[None]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def play(clock: Clock) -> Callable[..., None]:
    """Run a scenario against a sandbox with the faults that the words ask for."""

    async def run(scenario: Scenario, words: tuple[str, ...], options: dict[str, Any]) -> None:
        dice = random.Random(options.pop("seed", 7))
        async with (
            serve(faults(words), clock=clock, dice=dice, **options) as sandbox,
            aiohttp.ClientSession() as http,
        ):
            await scenario(Bench(sandbox, http, clock))

    def play(scenario: Scenario, *words: str, ledger: Path | None = None, **options: Any) -> None:
        asyncio.run(run(scenario, words, {"ledger": ledger, **options}))

    return play


@pytest.fixture
def picture() -> bytes:
    """A small PNG."""
    file = BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(file, "png")
    return file.getvalue()
