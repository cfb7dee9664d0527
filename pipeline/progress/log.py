"""Every event as one line of JSON: on a stream, and in the file `run.log`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from pipeline import schema
from pipeline.events import Ended
from pipeline.progress.beat import Beat
from pipeline.progress.record import Hide, line, unchanged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.clock import Clock
    from pipeline.events import Event

_FLUSH = 1.0
"""Seconds that an event may wait in memory before it is in the file."""
_BATCH = 1 << 16
"""Bytes of waiting lines that are written at once, whatever the time."""


class JsonLines:
    """Writes every event as one JSON object a line, times in UTC. Harmless on a terminal."""

    def __init__(self, stream: TextIO, *, clock: Clock, hide: Hide = unchanged) -> None:
        self._stream = stream
        self._hide = hide
        self._beat = Beat(stream.flush, clock, 0.1)

    def __call__(self, event: Event) -> None:
        """Raises `OSError` or `ValueError` when the stream is gone."""
        self._stream.write(line(event, self._hide))
        if isinstance(event, Ended):
            self._beat.stop()
            self._stream.flush()
        else:
            self._beat.touch()

    def close(self) -> None:
        """Flush the stream; it stays open."""
        self._beat.stop()
        self._stream.flush()


class Log:
    """Appends every event to a file that only its owner can read.

    The file and one predecessor (`run.log.1`) together stay below twice the limit of
    `schemas/limits.json`. Nothing here ever raises: progress must not kill a run. When the disk
    refuses, `note` is called once with the reason and lines are dropped until it accepts again.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        hide: Hide = unchanged,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._hide = hide
        self._note = note
        self._most: int = schema.document("limits")["log"]["max_bytes"]
        self._file = -1
        self._size = 0
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._torn = False
        self._noted = False
        self._beat = Beat(self.flush, clock, _FLUSH)

    def __call__(self, event: Event) -> None:
        """Remember the event; it is in the file within a second, at once when the run ends."""
        text = line(event, self._hide).encode()
        self._waiting.append(text)
        self._bytes += len(text)
        if isinstance(event, Ended):
            self.close()
        elif self._bytes >= _BATCH:
            self._beat.now()
        else:
            self._beat.touch()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        batch, self._waiting, self._bytes = b"".join(self._waiting), [], 0
        try:
            self._make_room(len(batch))
            self._append(batch)
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Write what waits and let go of the file. A later event opens it again."""
        self._beat.stop()
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _make_room(self, more: int) -> None:
        if self._file < 0:
            self._open()
        if self._size and self._size + more > self._most:
            os.close(self._file)
            self._file = -1
            self._path.replace(f"{self._path}.1")
            self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._file).st_size

    def _append(self, batch: bytes) -> None:
        view = memoryview(b"\n" + batch if self._torn else batch)
        while view:
            written = os.write(self._file, view)
            self._size += written
            view = view[written:]
            self._torn = bool(view)

    def _give_up(self, error: OSError) -> None:
        if not self._noted:
            self._noted = True
            self._note(f"{self._path} cannot be written ({error.strerror}); the run goes on")
