"""The other side as the rest of the program sees it: Protocols and the plain answers they give.

`Api` is the API: `client.Client` speaks it over HTTP, `retry.Patient` wraps it with manners, tests
hand in their own. `Source` is any host that serves images, and `Porter` brings them home from
there. Facts of the wire format are in `client`; what an answer means for money is in `lifecycle`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pipeline.model import Image
    from pipeline.money import Money


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submit was accepted. `replayed` when the API had seen the key before."""

    task_id: str
    replayed: bool = False


class Phase(StrEnum):
    """What a task is doing. Any word that the API has never used before means running."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """One image of a finished task. `expires_at` is seconds since 1970 UTC, 0 when not told."""

    url: str
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Task:
    """One look at a task.

    `cost` is what was charged, None while unknown. `progress` is 0 to 100. `created`,
    `completed` are seconds since 1970 UTC and `estimated`, `actual` seconds; 0 when not told.
    """

    id: str
    phase: Phase
    progress: float = 0.0
    created: float = 0.0
    completed: float = 0.0
    estimated: float = 0.0
    actual: float = 0.0
    cost: Money | None = None
    results: tuple[Result, ...] = ()
    error_type: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A reference image that the API holds for us at `url` for about 72 hours."""

    url: str
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class Balance:
    """The account's money. `remaining` is None when the account is unlimited."""

    remaining: Money | None
    used: Money | None


@dataclass(frozen=True, slots=True)
class Download:
    """An image on its way: `size` is the announced length in bytes, None when not announced."""

    size: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Parcel:
    """An image to bring home: from `url` to `images/<stem>.<ext>`.

    `name` names its part file; no two under way share one. `facts` are what is written into and
    beside it.
    """

    url: str
    name: str
    stem: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Brought:
    """An image on disk, whole and checked. `seconds` is how long its host took to answer."""

    image: Image
    seconds: float


class Api(Protocol):
    """The calls a run makes. Every one raises only `errors.ApiError` and its children."""

    async def submit(self, body: bytes, key: str) -> Accepted:
        """Send `body`, unchanged, under the idempotency key `key`."""
        ...

    async def look(self, task_id: str) -> Task:
        """Ask for a task's state. Raises `UnknownTask` when the API does not know it."""
        ...

    async def upload(self, path: Path, media_type: str) -> Uploaded:
        """Send a reference image. The file is read as a stream and never changed."""
        ...

    async def balance(self) -> Balance:
        """Ask how much money the account has."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class Source(Protocol):
    """Hosts of result images. The key is never sent there; only http(s) is followed."""

    def fetch(self, url: str) -> AbstractAsyncContextManager[Download]:
        """Open a result image. Raises `Gone` when the url is expired or unknown."""
        ...


class Porter(Protocol):
    """Brings images home."""

    async def bring(self, parcel: Parcel) -> Brought:
        """Return once the image is in its place.

        Raises `Gone` when the url is expired or unknown, `NotAnImage` when what came is none,
        other `ApiError`s for trouble on the way, `DiskError` when the disk does not take it.
        """
        ...
