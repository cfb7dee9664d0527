"""The two manifest files of a run, replaced whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from pipeline.errors import DiskError
from pipeline.manifest import document, table
from pipeline.manifest.rows import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pipeline.model import About, Record

CSV = "manifest.csv"
JSON = "manifest.json"


def publish(folder: Path, about: About, records: Callable[[], Iterable[Record]]) -> None:
    """Write `manifest.csv` and `manifest.json` in `folder` in one pass over the records.

    A reader sees the old file or the new one, complete and on disk, never a part; what goes wrong
    leaves the old files and no part file. Memory does not grow with the records. Raises
    `DiskError` when a file cannot be written, and whatever `records` raises.
    """
    parts = {name: folder / f".{name}.{os.getpid()}.part" for name in (CSV, JSON)}
    try:
        _sweep(folder)
        with _open(parts[CSV]) as csv, _open(parts[JSON]) as json:
            _write(about, records(), csv, json)
            for stream in (csv, json):
                stream.flush()
                os.fsync(stream.fileno())
        for name, part in parts.items():
            part.replace(folder / name)
        _sync(folder)
    except OSError as error:
        raise DiskError(
            f"the manifest in {folder} cannot be written: {error.strerror or error}",
            why="The images and the state file are untouched; only the list of them is old.",
            fix="Make room or mend the permissions, then run the same command again.",
        ) from error
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _write(about: About, records: Iterable[Record], csv: TextIO, json: TextIO) -> None:
    csv.write(table.heading(COLUMNS))
    json.write(document.opening(about))
    comma = ""
    for jobs in document.entries(records):
        csv.write("".join([table.lines(told, COLUMNS) for told in jobs]))
        json.write(comma + document.entry(jobs))
        comma = ","
    json.write(document.CLOSING)


def _open(part: Path) -> TextIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    return open(
        part,
        "w",
        encoding="utf-8",
        errors="backslashreplace",  # a spec's path may hold bytes that are no text
        newline="",
        opener=lambda path, _: os.open(path, flags, 0o666),
    )


def _sweep(folder: Path) -> None:
    """Remove the part files of processes that were killed while they wrote."""
    for name in (CSV, JSON):
        for part in folder.glob(f".{name}.*.part"):
            owner = part.name.split(".")[-2]
            if owner.isdecimal() and not _alive(int(owner)):
                part.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
