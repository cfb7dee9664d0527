"""The pools of connections, and one exchange over them: time-outs, size limits, nothing else.

The API and the hosts of images have a pool each, so that downloads never wait for polls, and the
two share neither connections nor cookies.
"""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from pipeline import schema
from pipeline.client import address
from pipeline.client.foreign import translated
from pipeline.errors import Rubbish

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    from pipeline.client.text import Censor

Headers = list[tuple[str, str]]
_IDLE_MARGIN = 1.5
"""How much longer than its parts a whole exchange may take, so that their time-outs come first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the API. `headers` are looked up in lower case."""

    status: int
    headers: httpx.Headers
    body: bytes


class Sealed(httpx.Request):
    """A request put together from finished parts; httpx's constructor would parse them all again.

    Holds what a transport reads: method, url, headers, content or stream, and extensions.
    """

    def __init__(
        self,
        method: str,
        url: httpx.URL,
        headers: Headers,
        content: bytes | httpx.AsyncByteStream,
        extensions: dict[str, Any],
    ) -> None:
        self.method = method
        self.url = url
        self.headers = httpx.Headers(headers)
        self.extensions = extensions
        if isinstance(content, bytes):
            self._content = content
            self.stream = httpx.ByteStream(content)
        else:
            self.stream = content


class Body(httpx.AsyncByteStream):
    """A body sent piece by piece, so that a stalled peer is noticed and no copy is made."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self.limit: asyncio.Timeout | None = None
        self.patience = 0.0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces; each one that the peer takes gives it more time."""
        async for piece in self._pieces:
            if self.limit is not None and not self.limit.expired():
                self.limit.reschedule(asyncio.get_running_loop().time() + self.patience)
            yield piece


class Wire:
    """Every connection there is. Opened when first needed, inside the running loop."""

    def __init__(
        self,
        *,
        censor: Censor,
        timeouts: Mapping[str, float],
        connections: int,
        environ: Mapping[str, str],
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._censor = censor
        self._environ = environ
        self._connections = connections
        self._fixed = transport
        self._opened: dict[tuple[str, str], httpx.AsyncBaseTransport] = {}
        self._context: ssl.SSLContext | None = None
        if any(environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")):
            self._certificates()  # wrong ones are the user's to mend before anything is sent
        self._keepalive: float = schema.api("connection", "keepalive_seconds")
        self._max_answer: int = schema.api("result", "max_answer_bytes")
        self.extensions: dict[str, Any] = {"timeout": dict(timeouts)}
        self._sending = timeouts["pool"] + timeouts["write"]
        self._reading = timeouts["read"] * _IDLE_MARGIN
        self._api: httpx.AsyncBaseTransport | None = None

    def _certificates(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = address.certificates(self._environ)
        return self._context

    def pool(self, kind: str, url: httpx.URL) -> httpx.AsyncBaseTransport:
        """Return the pool that leads to `url`: of `kind`, directly or through a proxy."""
        if self._fixed is not None:
            return self._fixed
        proxy = address.proxy(url, self._environ)
        if url.scheme == "https" or proxy.startswith("https"):
            kind += " over tls"
        if (kind, proxy) not in self._opened:
            self._opened[kind, proxy] = self._open(proxy, secure="tls" in kind)
        return self._opened[kind, proxy]

    def _open(self, proxy: str, *, secure: bool) -> httpx.AsyncBaseTransport:
        # A context is slow to build, and the transport would build its own when given none.
        context = self._certificates() if secure else httpx.create_ssl_context(verify=False)

        def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, keepalive_timeout=self._keepalive, ssl=context
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                proxy=proxy or None,
            )

        return AiohttpTransport(verify=context, client=session)

    async def exchange(
        self, method: str, url: httpx.URL, headers: Headers, content: bytes | Body = b""
    ) -> Answer:
        """Send one request to the API and return its whole answer.

        Follows nothing, retries nothing. Raises `ApiError`: never sent, too late, cut, or an
        answer larger than the limit.
        """
        if self._api is None:
            self._api = self.pool("api", url)
        with translated(url.host, self._censor):
            async with asyncio.timeout(self._sending + self._reading) as limit:
                if isinstance(content, Body):
                    content.limit, content.patience = limit, self._sending + self._reading
                request = Sealed(method, url, headers, content, self.extensions)
                response = await self._api.handle_async_request(request)
                try:
                    body = await self._read(response, url.host)
                finally:
                    await response.stream.aclose()  # type: ignore[union-attr] # always async here
        return Answer(response.status_code, response.headers, body)

    async def _read(self, response: httpx.Response, host: str) -> bytes:
        chunks, total = [], 0
        async for chunk in response.stream:  # type: ignore[union-attr] # always async here
            chunks.append(chunk)
            total += len(chunk)
            if total > self._max_answer:
                raise Rubbish(f"{host} answered with more than {self._max_answer} bytes")
        body = b"".join(chunks)
        encoding = response.headers.get("content-encoding", "identity")
        return body if encoding == "identity" else self._inflate(body, encoding, host)

    def _inflate(self, body: bytes, encoding: str, host: str) -> bytes:
        """Undo a compression that was not asked for, up to the limit and no further."""
        if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
            raise Rubbish(f"{host} answered in an encoding that was not asked for")
        inflater = zlib.decompressobj(wbits=47)  # zlib or gzip, by its own header
        try:
            plain = inflater.decompress(body, self._max_answer + 1)
        except zlib.error as error:
            raise Rubbish(f"{host} answered with damaged compressed data") from error
        if len(plain) > self._max_answer:
            raise Rubbish(f"{host} answered with more than {self._max_answer} bytes")
        return plain

    async def close(self) -> None:
        """Close every connection."""
        for transport in (*self._opened.values(), *([self._fixed] if self._fixed else [])):
            await transport.aclose()
        self._opened.clear()
        self._api = None
