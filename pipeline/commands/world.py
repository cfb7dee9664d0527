"""Everything of the outside that a command may touch, passed in."""

from __future__ import annotations

import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import __version__

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from typing import BinaryIO, TextIO

    from pipeline.clock import Clock


@dataclass(frozen=True, slots=True)
class World:
    """The environment, the streams, the clock and the dice of one invocation."""

    environ: Mapping[str, str]
    cwd: Path
    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    clock: Clock
    dice: random.Random


def bug_report(said: str, environ: Mapping[str, str], cwd: Path) -> Path:
    """Write a report about an error of ours, with the key taken out; returns where it is."""
    key = environ.get("APIMART_API_KEY", "")
    if len(key) >= 8:
        said = said.replace(key, "[key]")
    head = (
        f"banana-batch {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    )
    try:
        handle, path = tempfile.mkstemp(".txt", "banana-batch-report-", cwd)
    except OSError:
        handle, path = tempfile.mkstemp(".txt", "banana-batch-report-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{head}\n{said}")
    return Path(path)
