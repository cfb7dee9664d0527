"""The pools of connections: one for calls, one for uploads, one for the hosts of images.

So downloads never wait for polls, and the key's connections lead nowhere else.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

from pipeline import schema
from pipeline.client import address
from pipeline.client.transport import pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

Kind = Literal["calls", "uploads", "images"]


class Pools:
    """Every connection there is. Opened when first needed, inside the running loop."""

    def __init__(
        self, *, timeouts: Mapping[str, float], connections: int, environ: Mapping[str, str]
    ) -> None:
        """Allow so many connections in each pool; `timeouts` are seconds by phase.

        Proxies and certificates come from `environ`. Raises `InputError` for certificates that
        cannot be used: they are the user's to mend before anything is sent.
        """
        self._connections = connections
        self._opened: dict[tuple[Kind, str], httpx.AsyncBaseTransport] = {}
        # The way to a host is worked out once; hosts of images are many, in the worst case.
        self._proxy = lru_cache(maxsize=256)(partial(address.proxy, environ=environ))
        self._roots = address.certificates(environ)
        self._keep = timedelta(seconds=schema.api("connection", "keepalive_seconds"))
        self._connect = timedelta(seconds=timeouts["connect"])
        self._silence = timedelta(seconds=timeouts["read"])
        self._wait = timedelta(seconds=timeouts["pool"])

    def lead(self, kind: Kind, url: str) -> httpx.AsyncBaseTransport:
        """Return the pool of `kind` that leads to `url`, directly or through a proxy."""
        proxy = self._proxy("/".join(url.split("/", 3)[:3]))
        key = (kind, proxy)
        if key not in self._opened:
            self._opened[key] = pool(
                proxy=proxy,
                roots=self._roots,
                connections=self._connections,
                connect=self._connect,
                wait=self._wait,
                # It would count while a body is still on its way out.
                silence=None if kind == "uploads" else self._silence,
                keep=self._keep,
            )
        return self._opened[key]

    async def close(self) -> None:
        """Close every connection."""
        for transport in self._opened.values():
            await transport.aclose()
        self._opened.clear()
