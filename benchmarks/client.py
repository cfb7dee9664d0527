"""How much the client costs: whole calls a second, next to bare aiohttp in the same run.

Both keep 64 jobs in flight against nginx, each a submit, a look and a download that is thrown
away: no state, no files, no checks. Run it on an otherwise idle machine:

    python benchmarks/client.py [JOBS]
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import uvloop
from stand_in import Missing, serving

from pipeline import schema
from pipeline.client import Client, Hosts
from pipeline.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

IN_FLIGHT = 64
ROUNDS = 3
BODY = json.dumps({"model": "m", "prompt": "A cyberpunk city at night", "size": "16:9"}).encode()


async def crowd(life: Callable[[int], Awaitable[None]], jobs: int) -> tuple[float, float]:
    """Run `jobs` lives, 64 at once; return lives a second, and processor seconds a life."""
    numbers = iter(range(jobs))

    async def worker() -> None:
        for number in numbers:
            await life(number)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return jobs / (time.perf_counter() - wall), (time.process_time() - cpu) / jobs


async def ours(base: str, jobs: int) -> tuple[float, float]:
    """Measure the client."""
    settings: dict[str, Any] = {
        "timeouts": schema.defaults("run")["timeouts"],
        "connections": IN_FLIGHT,
        "clock": SystemClock(),
        "environ": {},
    }
    client, hosts = Client(base, "sk-benchmark-key", **settings), Hosts(**settings)

    async def life(number: int) -> None:
        accepted = await client.submit(BODY, f"key-{number}")
        task = await client.look(accepted.task_id)
        async with hosts.fetch(task.results[0].url) as download:
            async for _ in download.chunks:
                pass

    try:
        return await crowd(life, jobs)
    finally:
        await client.close()
        await hosts.close()


async def bare(base: str, jobs: int) -> tuple[float, float]:
    """Measure aiohttp by itself: no checks, no error handling."""
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT * 2)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def life(number: int) -> None:
            url, key = f"{base}/v1/images/generations", {"Idempotency-Key": f"key-{number}"}
            async with session.post(url, data=BODY, headers=key) as response:
                document: Any = await response.json()
            task_id = document["data"][0]["task_id"]
            async with session.get(f"{base}/v1/tasks/{task_id}?language=en") as response:
                document = await response.json()
            async with session.get(document["data"]["result"]["images"][0]["url"][0]) as response:
                await response.read()

        return await crowd(life, jobs)


def main(jobs: int) -> None:
    """Print the best of some rounds of each, and the ratio."""
    figures: dict[str, list[tuple[float, float]]] = {"client": [], "bare aiohttp": []}
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as stand_in:
        for _ in range(ROUNDS):
            figures["client"].append(uvloop.run(ours(stand_in.plain, jobs)))
            figures["bare aiohttp"].append(asyncio.run(bare(stand_in.plain, jobs)))
    best = {name: max(rounds) for name, rounds in figures.items()}
    for name, (rate, cpu) in best.items():
        print(f"{name:14} {rate:7,.0f} jobs/s, {cpu * 1e3:.2f} ms of processor a job")
    print(f"ratio          {best['client'][0] / best['bare aiohttp'][0]:7.2f}")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
    except Missing as missing:
        sys.exit(str(missing))
