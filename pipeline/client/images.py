"""Result images: opened from whatever host serves them, without the key, within limits."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, cast
from urllib.parse import urljoin, urlsplit

import httpx

from pipeline import schema
from pipeline.api import Download
from pipeline.client import address, refusals
from pipeline.client.foreign import FOREIGN, translate
from pipeline.client.pools import Pools
from pipeline.client.text import Censor
from pipeline.client.transport import Sealed, length
from pipeline.errors import FetchError, Gone, NotAnImage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from types import TracebackType

    from pipeline.clock import Clock
    from pipeline.errors import ApiError

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({401, 403, 404, 410})
"""What hosts of signed urls answer when a url has expired, is spoilt, or never was."""
_MAX_URL = 16_384
_PLAIN = Censor()
_CHECK = "Check the network; the image stays where it is and is fetched later, for free."
_ALLOW = "Run again later: the image is fetched again, for free."


class Hosts:
    """Fetches result images from whatever host serves them. Implements `pipeline.api.Source`.

    It has never heard of the key.
    """

    def __init__(
        self,
        *,
        timeouts: Mapping[str, float],
        connections: int,
        clock: Clock,
        environ: Mapping[str, str],
        max_seconds: float | None = None,
    ) -> None:
        """Prepare, with the arguments of `Client`; nothing is opened yet.

        One image may take `max_seconds`, by default `result.max_seconds` of the API's file.
        Raises `InputError` for proxies and certificates that cannot be used.
        """
        for one in ("http://images.invalid", "https://images.invalid"):
            address.proxy(one, environ)  # a wrong one is told now, not by the first image
        self.pools = Pools(timeouts=timeouts, connections=connections, environ=environ)
        self.clock = clock
        self.headers = [
            ("User-Agent", address.agent()),
            ("Accept-Encoding", "identity"),
            ("Accept", "image/*, */*;q=0.5"),
        ]
        self.max_redirects: int = schema.api("result", "max_redirects")
        most: float = schema.api("result", "max_seconds")
        self.limit = timedelta(seconds=most if max_seconds is None else max_seconds)

    def fetch(self, url: str) -> AbstractAsyncContextManager[Download]:
        """Open a result image, following redirects to http(s) only.

        Entering raises `Gone` when the url is expired or unknown, another `FetchError` when it
        cannot be followed, and what heals (`Unavailable`, `RateLimited`, `Cut`, …) as a call of
        the API does. The chunks raise the same, and `TimedOut` when the image takes too long.
        """
        return Opened(self, url)

    async def close(self) -> None:
        """Let go of every connection."""
        await self.pools.close()


class Opened(AbstractAsyncContextManager[Download]):
    """One image on its way. A class, since a generator would cost a tenth of a small image."""

    def __init__(self, hosts: Hosts, url: str) -> None:
        self._hosts = hosts
        self._url = url
        self._host = ""
        self._stream: httpx.AsyncByteStream | None = None
        self._chunks: AsyncGenerator[bytes, None] | None = None

    async def __aenter__(self) -> Download:
        """Send the request and follow redirects. Raises what `Hosts.fetch` says."""
        hosts, url = self._hosts, self._url
        for _ in range(hosts.max_redirects + 1):
            self._check(url)
            response = await self._get(url)
            headers = response.headers
            if response.status_code == 200 and "content-encoding" not in headers:
                self._chunks = self._read()
                return Download(length(headers), self._chunks)
            await self._close()
            location = headers.get("location", "")
            if response.status_code not in _REDIRECTS or not location:
                raise self._refusal(response)
            try:
                url = urljoin(url, location)
            except ValueError as error:
                raise FetchError("the image's url leads to one that is none") from error
        raise FetchError(f"the image's url leads through more than {hosts.max_redirects} redirects")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the connection, read to its end or not."""
        if self._chunks is not None:
            await self._chunks.aclose()
        await self._close()

    def _check(self, url: str) -> None:
        """Raise `FetchError` unless `url` is http(s) to a host."""
        try:
            parts = urlsplit(url)
            self._host = parts.hostname or ""
            usable = bool(self._host) and parts.port != 0 and len(url) <= _MAX_URL
        except ValueError:
            usable, parts = False, urlsplit("")
        if not usable:
            raise FetchError("the image's url is none")
        if parts.scheme not in ("http", "https"):
            shown = _PLAIN.plain(parts.scheme, 20)
            raise FetchError(f"the image's url is of the kind {shown!r}, not http or https")

    async def _get(self, url: str) -> httpx.Response:
        hosts = self._hosts
        try:
            request = Sealed("GET", url, hosts.headers, limit=hosts.limit)
            response = await hosts.pools.lead("images", url).handle_async_request(request)
        except httpx.InvalidURL as error:
            raise FetchError(f"the image's url is none: {_PLAIN.plain(error, 80)}") from error
        except FOREIGN as error:
            raise self._translated(error) from error
        self._stream = cast("httpx.AsyncByteStream", response.stream)
        return response

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            async for chunk in self._stream:  # type: ignore[union-attr] # opened before
                yield chunk
        except FOREIGN as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> ApiError:
        return translate(error, self._host, _PLAIN, check=_CHECK, allow=_ALLOW)

    def _refusal(self, response: httpx.Response) -> ApiError:
        status, host = response.status_code, self._host
        if status in _GONE:
            return Gone(f"the image's url at {host} has expired or is unknown ({status})")
        if status == 200:
            return NotAnImage(f"{host} sent the image in an encoding that was not asked for")
        if status in (408, 425, 429) or status >= 500:
            wait = refusals.retry_after(response.headers, self._hosts.clock.now())
            return refusals.trouble(f"{host} did not give the image", status, wait)
        return FetchError(f"{host} did not give the image ({status})", code=status)
