"""The same script as `bare_aiohttp.py`, written with httpx.

python bare_httpx.py BASE_URL ROWS_CSV FOLDER CONNECTIONS
"""

from __future__ import annotations

import asyncio
import csv
import sys
from pathlib import Path

import httpx


async def main(base: str, rows: Path, folder: Path, connections: int) -> None:
    """Make every row's image, `connections` at once."""
    folder.mkdir(parents=True, exist_ok=True)
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    headers = {"Authorization": "Bearer sk-benchmark"}
    with rows.open(newline="", encoding="utf-8") as file:
        todo = iter(csv.DictReader(file))
        async with httpx.AsyncClient(
            base_url=base, limits=limits, headers=headers, timeout=60
        ) as client:

            async def worker() -> None:
                for row in todo:
                    await make(client, row, folder)

            async with asyncio.TaskGroup() as group:
                for _ in range(connections):
                    group.create_task(worker())


async def make(client: httpx.AsyncClient, row: dict[str, str], folder: Path) -> None:
    """Submit one row, ask once, download."""
    body = {
        "model": "gemini-3.1-flash-lite-image",
        "prompt": f"Studio photo of {row['title']}",
        "size": "1:1",
        "resolution": "1K",
        "n": 1,
    }
    response = await client.post("/v1/images/generations", json=body)
    task_id = response.raise_for_status().json()["data"][0]["task_id"]
    response = await client.get(f"/v1/tasks/{task_id}")
    task = response.raise_for_status().json()["data"]
    if task["status"] != "completed":
        raise RuntimeError(f"{task_id} is {task['status']}")
    response = await client.get(task["result"]["images"][0]["url"][0])
    (folder / f"{row['sku']}.jpg").write_bytes(response.raise_for_status().content)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
