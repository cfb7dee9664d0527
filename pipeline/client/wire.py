"""The pools of connections, and one exchange over them: time-outs, size limits, nothing else.

The API and the hosts of images have a pool each, so that downloads never wait for polls, and the
two share neither connections nor cookies.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from multidict import CIMultiDict

from pipeline import schema
from pipeline.client import address
from pipeline.client.foreign import FOREIGN, translate
from pipeline.errors import Rubbish

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from pipeline.client.text import Censor

Headers = CIMultiDict[str]
_AHEAD = 1 << 18
"""Bytes that a connection may read ahead: a usual image comes whole, without being held back."""
_WHOLE_ANSWER = 1.5
"""How many read time-outs a whole answer may take: an endless drip of bytes ends there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the API. The names of `headers` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Sealed(httpx.Request):
    """A request put together from finished parts; httpx's constructor would parse them all again.

    Holds what the aiohttp transport reads, as aiohttp wants it: a url as text and aiohttp's own
    kind of headers are taken as they are, httpx's own kinds are converted piece by piece.
    """

    def __init__(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        content: bytes | Body,
        extensions: dict[str, Any],
    ) -> None:
        self.method = method
        self.url = url  # type: ignore[assignment] # see above
        self.headers = headers  # type: ignore[assignment] # see above
        self.extensions = extensions
        if isinstance(content, bytes):
            self._content = content
        else:
            self.stream = content


class Body(httpx.AsyncByteStream):
    """A body sent piece by piece: no copy is made, and a peer that stops reading is noticed."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], *, write: float, read: float) -> None:
        """Allow `write` seconds for each piece, and then `read` for the answer."""
        self._pieces = pieces
        self._write = write
        self._read = read
        self.limit: asyncio.Timeout | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces; each one that the peer takes gives it more time."""
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                self._allow(self._write)
                yield piece
        self._allow(self._write + self._read)

    def _allow(self, seconds: float) -> None:
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + seconds)


class Wire:
    """Every connection there is. Opened when first needed, inside the running loop."""

    def __init__(
        self,
        *,
        host: str,
        censor: Censor,
        timeouts: Mapping[str, float],
        connections: int,
        environ: Mapping[str, str],
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._host = host
        self._censor = censor
        self._environ = environ
        self._connections = connections
        self._fixed = transport
        self._opened: dict[tuple[str, str, bool], httpx.AsyncBaseTransport] = {}
        self._context: ssl.SSLContext | None = None
        if any(environ.get(name) for name in address.CERTIFICATE_VARIABLES):
            self._certificates()  # wrong ones are the user's to mend before anything is sent
        self._keepalive: float = schema.api("connection", "keepalive_seconds")
        self._max_answer: int = schema.api("result", "max_answer_bytes")
        self._extensions: dict[str, Any] = {"timeout": dict(timeouts)}
        self._starting = timeouts["pool"]
        self._writing = timeouts["write"]
        self._reading = timeouts["read"] * _WHOLE_ANSWER
        self._api: httpx.AsyncBaseTransport | None = None

    def _certificates(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = address.certificates(self._environ)
        return self._context

    def pool(self, kind: str, url: str) -> httpx.AsyncBaseTransport:
        """Return the pool that leads to `url`: of `kind`, directly or through a proxy."""
        if self._fixed is not None:
            return self._fixed
        proxy = address.proxy(url, self._environ)
        secure = url.startswith("https:") or proxy.startswith("https:")
        key = (kind, proxy, secure)
        if key not in self._opened:
            self._opened[key] = self._open(proxy, secure=secure)
        return self._opened[key]

    def _open(self, proxy: str, *, secure: bool) -> httpx.AsyncBaseTransport:
        # Reading the certificates is slow, and plain http needs none: an empty context trusts
        # nobody. Given no context at all, the transport would read them.
        context = self._certificates() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

        def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, keepalive_timeout=self._keepalive, ssl=context
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                proxy=proxy or None,
                read_bufsize=_AHEAD,
            )

        return AiohttpTransport(verify=context, client=session)

    def request(
        self, method: str, url: str, headers: Headers, content: bytes | Body = b""
    ) -> httpx.Request:
        """Return a request that a transport of ours, or the one passed in, can send.

        `headers` may be shared between requests when `content` is bytes.
        """
        if self._fixed is None:
            return Sealed(
                method, url, headers=headers, content=content, extensions=self._extensions
            )
        return httpx.Request(
            method, url, headers=list(headers.items()), content=content, extensions=self._extensions
        )

    async def exchange(
        self, method: str, url: str, headers: Headers, content: bytes | Body = b""
    ) -> Answer:
        """Send one request to the API and return its whole answer.

        Follows nothing, retries nothing. Raises `ApiError`: never sent, too late, cut, or an
        answer larger than the limit.
        """
        if self._api is None:
            self._api = self.pool("api", url)
        request = self.request(method, url, headers, content)
        try:
            async with asyncio.timeout(self._starting + self._writing + self._reading) as limit:
                if isinstance(content, Body):
                    content.limit = limit
                response = await self._api.handle_async_request(request)
                body = await self._read(response)
        except FOREIGN as error:
            raise translate(error, self._host, self._censor) from error
        finally:
            if isinstance(content, Body):
                content.limit = None
        headers_ = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers.raw
        }
        encoding = headers_.get("content-encoding", "identity")
        if encoding != "identity":
            body = self._inflate(body, encoding)
        return Answer(response.status_code, headers_, body)

    async def _read(self, response: httpx.Response) -> bytes:
        stream = cast("httpx.AsyncByteStream", response.stream)
        chunks, total = [], 0
        try:
            async for chunk in stream:
                chunks.append(chunk)
                total += len(chunk)
                if total > self._max_answer:
                    raise Rubbish(f"{self._host} answered with more than {self._max_answer} bytes")
        finally:
            await stream.aclose()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def body(self, pieces: AsyncGenerator[bytes, None]) -> Body:
        """Return a body that is sent as a stream. Its headers must tell its length."""
        return Body(pieces, write=self._writing, read=self._reading)

    def _inflate(self, body: bytes, encoding: str) -> bytes:
        """Undo a compression that was not asked for, up to the limit and no further."""
        if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
            raise Rubbish(f"{self._host} answered in an encoding that was not asked for")
        inflater = zlib.decompressobj(wbits=47)  # zlib or gzip, by its own header
        try:
            plain = inflater.decompress(body, self._max_answer + 1)
        except zlib.error as error:
            raise Rubbish(f"{self._host} answered with damaged compressed data") from error
        if len(plain) > self._max_answer:
            raise Rubbish(f"{self._host} answered with more than {self._max_answer} bytes")
        return plain

    async def close(self) -> None:
        """Close every connection."""
        for transport in (*self._opened.values(), *([self._fixed] if self._fixed else [])):
            await transport.aclose()
        self._opened.clear()
        self._api = None
