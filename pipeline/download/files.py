"""Files written whole or not at all, and what the disk says when it does not take them."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from pipeline.errors import DiskError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def written(file: Path, data: bytes) -> None:
    """Write `data` to `file`, new or emptied first. Raises `OSError`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def hash_of(file: Path) -> str:
    """Return the SHA-256 of a file's contents, in hexadecimal; `""` when it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn what the disk reports into `DiskError`."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"cannot write {path}: {error.strerror or error}",
            why="What was paid for must have a place to go.",
            fix="Make room, or mend the permissions, then run again: it goes on from here.",
        ) from error


@contextmanager
def whole(path: Path) -> Iterator[TextIO]:
    """Give a stream whose text stands at `path` once the block has ended, whole or not at all.

    Raises `DiskError` when the disk does not take it; nothing is left behind then.
    """
    part = path.with_name(f".{path.name}.part")
    with disk(path):
        try:
            with part.open("w", encoding="utf-8", newline="") as stream:
                yield stream
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
