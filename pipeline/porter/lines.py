"""Messages between the two processes: one JSON value a line, over a pair of sockets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from pipeline import errors
from pipeline.api import Brought
from pipeline.download import EXTENSIONS
from pipeline.errors import ApiError, Trouble
from pipeline.model import Image

if TYPE_CHECKING:
    from collections.abc import Callable

_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class Lines(asyncio.Protocol):
    """One end. Messages of one turn of the loop leave together."""

    def __init__(self, hear: Callable[[Any], None], lost: Callable[[], None]) -> None:
        """Call `hear` with every message, and `lost` once when the other end is gone."""
        self._hear = hear
        self._lost = lost
        self._rest = b""
        self._waiting: list[str] = []
        self._transport: asyncio.WriteTransport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the other end."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Hear every whole line."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._hear(json.loads(line))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        """Say that the other process has ended, or let go."""
        self._transport = None
        self._lost()

    def send(self, message: Any) -> None:
        """Have a message sent, unless the other end is gone."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(_ENCODE(message))

    def _flush(self) -> None:
        if self._transport is not None and self._waiting:
            self._waiting.append("")
            self._transport.write("\n".join(self._waiting).encode("ascii"))
            self._waiting.clear()

    def close(self) -> None:
        """Let go."""
        if self._transport is not None:
            self._transport.close()


# ── what is said of a parcel ────────────────────────────────────────────────────────────────


def told(brought: Brought) -> list[Any]:
    """Return the facts of an image that is home, as JSON has them."""
    one = brought.image
    return [one.file, one.bytes, one.sha256, one.width, one.height, one.format, brought.seconds]


def brought(facts: list[Any], stem: str) -> Brought:
    """Return what `told` was given, for an image that was to go to `stem`."""
    file, size, sha256, width, height, form, seconds = facts
    if file != f"images/{stem}.{EXTENSIONS.get(form)}":
        raise RuntimeError(f"an image went to {file!r} instead of {stem!r}")
    return Brought(
        Image(0, "", file=file, bytes=size, sha256=sha256, width=width, height=height, format=form),
        seconds,
    )


def confessed(error: Trouble) -> list[Any]:
    """Return an error as JSON has it."""
    words: dict[str, Any] = {"why": error.why, "fix": error.fix}
    if isinstance(error, ApiError):
        words |= {"kind": error.kind, "code": error.code, "retry_after": error.retry_after}
    return [type(error).__name__, error.summary, words]


def error(said: list[Any]) -> Trouble:
    """Return the error that `confessed` was given."""
    name, summary, words = said
    kind = getattr(errors, name)
    if not issubclass(kind, Trouble):
        raise TypeError(f"{name} is no error of ours")
    found: Trouble = kind(summary, **words)
    return found
