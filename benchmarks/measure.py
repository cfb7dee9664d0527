"""A program measured from outside: wall seconds, processor seconds, peak memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

TOOL = str(Path(sys.executable).with_name("banana-batch"))
"""The program under test: the one installed beside the interpreter that runs the benchmark."""

_PACKAGES = ("banana-batch", "aiohttp", "httpx", "pyreqwest", "uvloop", "Pillow")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a program took: seconds, and bytes of its largest process."""

    wall: float
    cpu: float
    peak: int


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    well: Container[int] = (0,),
) -> tuple[Cost, str]:
    """Run a program to its end; returns its cost, that of its children included, and its output.

    Raises `RuntimeError` with what it said when its exit code is none of `well`. The peak is honest
    while the caller is small: a new process begins with its parent's pages.
    """
    with (cwd / "stdout").open("w+") as out, (cwd / "stderr").open("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env={**_usual(), **(environ or {})},
            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
        if process.returncode not in well:
            err.seek(0)
            said += err.read()
            raise RuntimeError(f"{command} ended with {process.returncode}:\n{said[-4000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024), said


def _usual() -> dict[str, str]:
    """Return the environment, without what keeps Python from remembering what it compiled."""
    return {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}


def machine() -> list[str]:
    """Describe the machine and the versions, a line each."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    memory = _read("/proc/meminfo").split()
    gigabytes = f", {int(memory[1]) / 1e6:.0f} GB of memory" if len(memory) > 1 else ""
    return [
        f"{os.cpu_count()} cores of {cpu}{gigabytes}",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        f"load before the start {os.getloadavg()[0]:.2f}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    ]


def first_line(command: Sequence[str]) -> str:
    """Return what a program says of its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"{command[0]}: not installed"
    return (done.stdout or done.stderr).strip().splitlines()[0]


def verdict(what: str, figure: str, target: str, *, reached: bool) -> int:
    """Print one figure beside its target; returns the exit code, 1 when it is missed."""
    print(f"{what}: {figure} (target: {target}) {'ok' if reached else 'MISSED'}")
    return 0 if reached else 1


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
