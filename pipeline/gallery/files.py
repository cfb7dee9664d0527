"""Paths as links, and files that appear whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from pipeline.errors import DiskError

if TYPE_CHECKING:
    from pathlib import Path


def link(path: Path | str, start: Path | None = None) -> str:
    """Return a relative url for a file: every byte that a url reads otherwise is escaped.

    With `start`, `path` is made relative to that folder first.
    """
    if start is not None:
        path = os.path.relpath(path, start)
    return quote(os.fsencode(path), safe="/")


def replace(path: Path, data: bytes) -> None:
    """Publish `data` under `path` in one step: a reader sees the old file or the whole new one.

    Raises `DiskError` when it cannot be written; the old file is then as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise DiskError(
            f"{path} cannot be written: {error.strerror or error}",
            why="The gallery is a file in the output folder.",
            fix="Make room, or mend the folder's permissions, and write it again.",
        ) from error
