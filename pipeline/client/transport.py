"""httpx's transport over reqwest, whose connections, TLS and HTTP run outside the interpreter.

One request in, one answer out, in httpx's words. What counts is whether a request may have left:
reqwest's Python classes do not tell (a connection that broke after the request was read is a
`ConnectError` to them, too), but the chain of causes beneath does. Only where it says that the
connection itself was never made, an error here says so; whatever is not understood may have left.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import certifi
import httpx
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import (
    BodyDecodeError,
    BuilderError,
    DecodeError,
    DetailedPyreqwestError,
    PoolTimeoutError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.proxy import ProxyBuilder

from pipeline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Mapping, Sequence
    from datetime import timedelta

    from pyreqwest.client import Client
    from pyreqwest.request import StreamRequest
    from pyreqwest.response import Response

Answer = TypeVar("Answer")

_PIECE = 1 << 18
"""Bytes read ahead and handed over at once: a usual image comes in one piece."""
_HEARD = (
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "location",
    "retry-after",
    "idempotency-replayed",
)
_DIGITS = 18
_NOT_CONNECTED = "client error (Connect)"
"""hyper's word, in the chain of causes, for a connection that was never made."""
_BEFORE_TLS = ("tcp connect error", "dns error", "tunnel error")
"""What may stand below that, when the connection did not come as far as its handshake."""


class Insecure(httpx.ConnectError):
    """The host was reached, but could not prove who it is, or does not speak TLS."""


class Sealed(httpx.Request):
    """A request put together from finished parts; httpx's constructor would parse them all again.

    Holds what the transport below reads, as reqwest wants it: a url as text, headers as pairs.
    `limit` bounds the whole exchange, from the first moment to the last byte of the answer.
    """

    def __init__(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        content: bytes | AsyncIterable[bytes] = b"",
        limit: timedelta | None = None,
    ) -> None:
        self.method = method
        self.url = url  # type: ignore[assignment] # see above
        self.headers = headers  # type: ignore[assignment] # see above
        self.body = content
        self.limit = limit


class Reqwest(httpx.AsyncBaseTransport):
    """A pool of connections. Follows nothing, keeps no cookies, inflates nothing, asks no proxy
    but the one it was given.

    It never sends a request twice, but for one that a kept-alive connection closed on before its
    first byte was written.
    """

    def __init__(self, client: Client, *, proxied: bool) -> None:
        self._client = client
        self._proxied = proxied

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a `Sealed`; returns once the head of the answer is there.

        Of its headers only those that somebody here reads are in it.

        Raises `httpx.ConnectError`, `ConnectTimeout`, `PoolTimeout`, `ProxyError`, `InvalidURL`
        or `UnsupportedProtocol` for what was never sent; `ReadTimeout`, `RemoteProtocolError` or
        `ReadError` for what may have been.
        """
        try:
            opened = self._prepared(cast("Sealed", request))
        except (BuilderError, ValueError) as error:
            raise _never_built(error) from error
        try:
            response = await _heeding(opened.__aenter__())
        except PyreqwestError as error:
            raise _explained(error, proxied=self._proxied) from error
        headers = {name: said for name in _HEARD if (said := _header(response, name)) is not None}
        stream = Stream(opened, headers, response)
        return httpx.Response(response.status, headers=headers, stream=stream)

    def _prepared(self, request: Sealed) -> StreamRequest:
        builder = self._client.request(request.method, str(request.url))
        builder = builder.headers(request.headers)
        if isinstance(request.body, bytes):
            if request.body:
                builder = builder.body_bytes(request.body)
        else:
            builder = builder.body_stream(request.body)
        if request.limit is not None:
            builder = builder.timeout(request.limit)
        return builder.streamed_read_buffer_limit(_PIECE).build_streamed()

    async def aclose(self) -> None:
        """Close every connection."""
        with suppress(PyreqwestError):  # what was to come of them has come
            await self._client.close()


async def _heeding(call: Awaitable[Answer]) -> Answer:
    """Await `call`, and lose no cancellation that comes at the very moment when its end does.

    Reqwest gives the answer then, or its error, and who cancelled would wait for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        return await call
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


class Stream(httpx.AsyncByteStream):
    """The body of an answer, piece by piece."""

    def __init__(
        self, opened: StreamRequest, headers: Mapping[str, str], response: Response
    ) -> None:
        self._opened = opened
        self._reader = response.body_reader
        announced = length(headers)
        self._left = -1 if announced is None else announced

    def __aiter__(self) -> Stream:
        """Return itself: there is one body, and it comes once."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece. Raises the errors of `handle_async_request`."""
        if not self._left:
            raise StopAsyncIteration
        try:
            piece = await _heeding(self._reader.read(_PIECE))
        except PyreqwestError as error:
            raise _explained(error) from error
        if piece is None:
            raise StopAsyncIteration
        if self._left > 0:
            self._left = max(self._left - len(piece), 0)
        return bytes(piece)

    async def aclose(self) -> None:
        """Let go of the connection: kept alive when the body was read to its end."""
        with suppress(PyreqwestError):  # what was wanted of it was read
            await self._opened.__aexit__(None, None, None)


def _header(response: Response, name: str) -> str | None:
    """Return a header, None when it is not there or its bytes are no text: then it says nothing."""
    try:
        return response.get_header(name)
    except ValueError:
        return None


def length(headers: Mapping[str, str]) -> int | None:
    """Return the length in bytes that an answer announces, None when it does not, or cannot.

    A body in chunks ends where they end (RFC 9112, 6.3), whatever a header says besides.
    """
    said = headers.get("content-length", "")
    if "transfer-encoding" in headers or len(said) > _DIGITS or not said.isascii():
        return None
    return int(said) if said.isdigit() else None


def pool(
    *,
    proxy: str,
    roots: Sequence[bytes],
    connections: int,
    connect: timedelta,
    wait: timedelta,
    silence: timedelta | None,
    keep: timedelta,
) -> Reqwest:
    """Open a pool. Servers are checked against `roots`, in PEM, and the system's certificates, or
    what SSL_CERT_FILE and SSL_CERT_DIR of this process name in their place.

    `connect` is how long a connection may take, `wait` how long a free one is waited for, `keep`
    how long an idle one is kept. `silence` bounds the wait for an answer and for each piece of
    it; None when a request has its own limit. Raises `InputError` for what cannot be used.
    """

    def built(vouching: Sequence[bytes]) -> Reqwest:
        builder = (
            ClientBuilder()
            .no_proxy()
            .follow_redirects(enable=False)
            .referer(enable=False)
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            .max_connections(connections)
            .pool_max_idle_per_host(connections)
            .connect_timeout(connect)
            .pool_timeout(wait)
            .pool_idle_timeout(keep)
        )
        if proxy:
            builder = builder.proxy(ProxyBuilder.all(proxy))
        if silence is not None:
            builder = builder.read_timeout(silence)
        for root in vouching:
            builder = builder.add_root_certificate_pem(root)
        return Reqwest(builder.build(), proxied=bool(proxy))

    try:
        return built(roots)
    except BuilderError:  # the system has no certificates at all; httpx brings some
        bundle = Path(certifi.where()).read_bytes()
    try:
        return built([*roots, bundle])
    except BuilderError as error:
        raise InputError(
            f"no connection can be set up: {(_chain(error) or [str(error)])[-1]}",
            why="Without certificates no server can be told from an impostor.",
            fix="Mend SSL_CERT_FILE, SSL_CERT_DIR or REQUESTS_CA_BUNDLE.",
        ) from error


def usable_proxy(url: str) -> bool:
    """Say whether a proxy's address can be used as one."""
    try:
        ProxyBuilder.all(url)
    except (PyreqwestError, ValueError):
        return False
    return True


def _chain(error: PyreqwestError) -> list[str]:
    """Return what the layers below said, the outermost first."""
    causes: Any = error.details.get("causes") if isinstance(error, DetailedPyreqwestError) else ()
    return [str(cause["message"]) for cause in causes or ()]


def _never_built(error: Exception) -> httpx.InvalidURL:
    said = _chain(error) if isinstance(error, PyreqwestError) else [str(error)]
    return httpx.InvalidURL(said[-1] if said else "the request cannot be built")


def _explained(error: PyreqwestError, *, proxied: bool = False) -> httpx.TransportError:
    """Return httpx's word for what happened: above all, whether the request may have left."""
    chain = _chain(error)
    said = chain[-1] if chain else str(error.message)
    if isinstance(error, PoolTimeoutError):
        return httpx.PoolTimeout(said)
    if _NOT_CONNECTED in chain:
        if isinstance(error, RequestTimeoutError):
            return httpx.ConnectTimeout(said)
        below = chain[chain.index(_NOT_CONNECTED) + 1 :]
        if below and not below[0].startswith(_BEFORE_TLS):
            return Insecure(said)
        return httpx.ProxyError(said) if proxied else httpx.ConnectError(said)
    if isinstance(error, RequestTimeoutError):
        return httpx.ReadTimeout(said)
    if isinstance(error, DecodeError) and not isinstance(error, BodyDecodeError):
        return httpx.RemoteProtocolError(said)
    return httpx.ReadError(said)
