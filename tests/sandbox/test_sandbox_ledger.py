"""The ledger: what was accepted and billed is known after any death of the sandbox."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import stat
import subprocess
import sys

import pytest

from pipeline.clock import SystemClock
from pipeline.errors import InputError
from pipeline.sandbox import Faults, Ledger, Sandbox


def test_tasks_keys_and_uploads_outlive_the_process(play, tmp_path, picture):
    path = tmp_path / "deep" / "ledger.jsonl"
    known = {}

    async def before(bench):
        known["upload"] = (await bench.upload(picture)).json["url"]
        known["task"] = (await bench.submit(key="k", image_urls=[known["upload"]])).task_id
        known["entries"] = bench.sandbox.ledger.entries

    async def after(bench):
        assert bench.sandbox.ledger.entries == known["entries"]
        replay = await bench.submit(key="k", image_urls=[known["upload"]])
        assert replay.task_id == known["task"]
        assert (await bench.look(known["task"]))["status"] == "completed"
        upload = bench.sandbox.url + "/uploads/" + known["upload"].rpartition("/")[2]
        assert (await bench.fetch(upload)).body == picture
        assert (await bench.submit()).task_id != known["task"]

    play(before, ledger=path)
    play(after, ledger=path)


def test_a_task_is_on_disk_when_its_answer_arrives(play, tmp_path):
    path = tmp_path / "ledger.jsonl"

    async def scenario(bench):
        task_id = (await bench.submit(key="k")).task_id
        [line] = path.read_text().splitlines()
        assert json.loads(line)["task"]["id"] == task_id

    play(scenario, ledger=path)


PROGRAM = """
import asyncio, random, sys
from pathlib import Path
from pipeline.clock import SystemClock
from pipeline.sandbox import Faults, Sandbox

async def main():
    path, dice = Path(sys.argv[1]), random.Random(1)
    sandbox = Sandbox(Faults(), clock=SystemClock(), dice=dice, ledger=path)
    print(await sandbox.start(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_killed_sandbox_knows_its_tasks_when_it_starts_again(play, tmp_path, clock):
    clock.time = SystemClock().now()
    path = tmp_path / "ledger.jsonl"
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True
    )
    known = {}
    try:
        url = server.stdout.readline().strip()

        async def elsewhere(bench):
            known["task"] = (await bench.submit(key="k", base=url)).task_id

        play(elsewhere)
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        server.stdout.close()

    async def after(bench):
        assert (await bench.submit(key="k")).task_id == known["task"]
        assert len(bench.sandbox.ledger.entries) == 1

    play(after, ledger=path)


def test_a_line_torn_by_a_kill_was_never_accepted(play, tmp_path):
    path = tmp_path / "ledger.jsonl"

    async def once(bench):
        await bench.submit(key="k")

    async def twice(bench):
        assert len(bench.sandbox.ledger.entries) == 1
        await bench.submit(key="l")

    play(once, ledger=path)
    with path.open("ab") as file:
        file.write(b'{"task":{"id":"task_')
    play(twice, ledger=path)
    assert len(Ledger(SystemClock(), path).entries) == 2


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "shopping.txt"
    path.write_text("milk\n")
    with pytest.raises(InputError, match=r"shopping\.txt:1"):
        Ledger(SystemClock(), path)
    assert path.read_text() == "milk\n"


def test_the_ledger_is_its_owners_only(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(SystemClock(), path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_leaked_key_is_remembered_and_the_key_itself_is_not(play, tmp_path):
    path = tmp_path / "ledger.jsonl"

    async def leak(bench):
        [url] = await bench.urls()
        await bench.fetch(url, headers={"Authorization": "Bearer sk-secret"})

    async def after(bench):
        assert bench.requests["leaked_keys"] == 1

    play(leak, ledger=path)
    play(after, ledger=path)
    assert "sk-secret" not in path.read_text()


def test_billing_follows_the_tasks(play, clock):
    async def scenario(bench):
        ledger = bench.sandbox.ledger
        await bench.submit(n=2)
        assert ledger.running == 1
        reserved = ledger.billed
        assert reserved == ledger.entries[0].billed > 0
        clock.time += 10
        assert ledger.running == 0
        assert ledger.billed == ledger.entries[0].billed == 0

    play(scenario, "task_seconds=10", "fail=1")


def test_a_port_that_is_taken_is_said_so(play):
    async def scenario(bench):
        other = Sandbox(Faults(), clock=SystemClock(), dice=random.Random(1))
        with pytest.raises(InputError, match="cannot listen"):
            await other.start(port=int(bench.sandbox.url.rpartition(":")[2]))

    play(scenario)


def test_stopping_twice_is_harmless():
    async def scenario():
        sandbox = Sandbox(Faults(), clock=SystemClock(), dice=random.Random(1))
        await sandbox.start()
        await sandbox.stop()
        await sandbox.stop()

    asyncio.run(scenario())
