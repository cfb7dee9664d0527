"""The sandbox in a process of its own, and what its ledger says afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from measure import TOOL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def sandbox(*faults: str, remember: Path | None = None) -> Iterator[str]:
    """Serve the stand-in API with these faults and no others; yields its address.

    Its ledger is kept in the file `remember`, when one is named.
    """
    words = [TOOL, "sandbox", "--port", "0", *(["--ledger", str(remember)] if remember else [])]
    for fault in ("plain=true", *faults):
        words += ["--fault", fault]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        said = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://[\d.]+:\d+", said)
        if found is None:
            raise SystemExit(f"the sandbox did not start: {said!r}")
        yield found.group()
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def ledger(url: str) -> dict[str, Any]:
    """Return the sandbox's book: every task, and how many requests of each kind came."""
    with urlopen(f"{url}/_sandbox/ledger") as answer:
        book: dict[str, Any] = json.load(answer)
    return book


def environ(url: str) -> dict[str, str]:
    """Return an environment in which a run asks the sandbox, and no spec file is overruled."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BANANA_")}
    return {**kept, "APIMART_BASE_URL": url, "APIMART_API_KEY": "sk-benchmark"}


def write_spec(folder: Path, jobs: int) -> None:
    """Write a spec that asks for so many images, each of its own prompt."""
    lines = ["version: 1", "name: bench", 'defaults: {size: "1:1"}', "entries:"]
    lines += [f"  - {{id: e{n:05}, prompt: picture number {n}}}" for n in range(jobs)]
    (folder / "spec.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
