"""How much the client costs: whole calls a second, next to bare aiohttp in the same run.

A local server answers submit, look and image at once, in a process of its own; both sides keep
64 jobs in flight, each a submit, a look and a download. Run it on an otherwise idle machine:

    python benchmarks/client.py [JOBS]
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from pipeline import schema
from pipeline.client import Client
from pipeline.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

IN_FLIGHT = 64
ROUNDS = 3
BODY = json.dumps({"model": "m", "prompt": "A cyberpunk city at night", "size": "16:9"}).encode()
IMAGE = bytes(30_000)


def serve(started: Connection) -> None:
    """Serve the three calls until the process is ended."""

    async def submit(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"code": 200, "data": [{"status": "submitted", "task_id": "t1"}]})

    async def look(request: web.Request) -> web.Response:
        image = {"url": [f"http://{request.host}/i.png"], "expires_at": 1763174708}
        data = {"id": "t1", "status": "completed", "cost": 0.0336, "result": {"images": [image]}}
        return web.json_response({"code": 200, "data": data})

    async def image(_: web.Request) -> web.Response:
        return web.Response(body=IMAGE, content_type="image/png")

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/images/generations", submit)
        app.router.add_get("/v1/tasks/{id}", look)
        app.router.add_get("/i.png", image)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        started.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


async def crowd(life: Callable[[int], Awaitable[None]], jobs: int) -> float:
    """Run `jobs` lives, 64 at once; return lives a second."""
    numbers = iter(range(jobs))

    async def worker() -> None:
        for number in numbers:
            await life(number)

    start = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return jobs / (time.perf_counter() - start)


async def ours(base: str, jobs: int) -> float:
    """Measure the client."""
    client = Client(
        base,
        "sk-benchmark-key",
        timeouts=schema.defaults("run")["timeouts"],
        connections=IN_FLIGHT,
        clock=SystemClock(),
        environ={},
    )

    async def life(number: int) -> None:
        accepted = await client.submit(BODY, f"key-{number}")
        task = await client.look(accepted.task_id)
        async with client.fetch(task.results[0].url) as download:
            async for _ in download.chunks:
                pass

    try:
        return await crowd(life, jobs)
    finally:
        await client.close()


async def bare(base: str, jobs: int) -> float:
    """Measure aiohttp by itself: no checks, no error handling."""
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=IN_FLIGHT * 2), headers=headers
    ) as session:

        async def life(number: int) -> None:
            async with session.post(
                f"{base}/v1/images/generations",
                data=BODY,
                headers={"Idempotency-Key": f"key-{number}"},
            ) as response:
                document: Any = await response.json()
            task_id = document["data"][0]["task_id"]
            async with session.get(f"{base}/v1/tasks/{task_id}?language=en") as response:
                document = await response.json()
            url = document["data"]["result"]["images"][0]["url"][0]
            async with session.get(url) as response:
                async for _ in response.content.iter_chunked(1 << 16):
                    pass

        return await crowd(life, jobs)


def main() -> None:
    """Print the best of some rounds of each, and the ratio."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    near, far = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(far,), daemon=True)
    server.start()
    base = f"http://127.0.0.1:{near.recv()}"
    figures: dict[str, list[float]] = {"client": [], "bare aiohttp": []}
    for _ in range(ROUNDS):
        figures["client"].append(asyncio.run(ours(base, jobs)))
        figures["bare aiohttp"].append(asyncio.run(bare(base, jobs)))
    server.terminate()
    server.join()
    best = {name: max(rounds) for name, rounds in figures.items()}
    for name, rate in best.items():
        print(f"{name:14} {rate:7.0f} jobs/s ({rate * 3:.0f} requests/s)")
    print(f"ratio          {best['client'] / best['bare aiohttp']:7.2f}")


if __name__ == "__main__":
    main()
