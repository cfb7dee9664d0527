"""One run at a time for a spec: an operating-system lock that dies with its process."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.errors import DiskError, LockHeld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def held(path: Path, now: float) -> Iterator[None]:
    """Hold the lock file at `path` for as long as the context lasts.

    Raises `LockHeld`, naming the holder, when another process has it. The file stays: what
    matters is the lock on it, which the kernel lets go of when the process ends in any way.
    """
    descriptor = _locked(path)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_who(now)).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int:
    """Open and lock the file that stands at `path` once it is locked: another run that ends may
    remove the one that was opened."""
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise _taken(path) from None
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DiskError(
            f"cannot write {path}: {error.strerror}",
            fix="Mend the permissions, or choose another folder with --output.",
        ) from error


def holder(path: Path) -> str:
    """Say who holds the lock at `path` now, `""` when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _told(path)
    finally:
        os.close(descriptor)
    return ""


def _who(now: float) -> dict[str, object]:
    since = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _told(path: Path) -> str:
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']}, since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that did not say who it is"


def _taken(path: Path) -> LockHeld:
    return LockHeld(
        f"another run holds this spec: {_told(path)}",
        why="Two runs of one spec could pay for the same picture.",
        fix="Wait for it, or stop it. The lock goes with its process; nothing needs deleting.",
    )
