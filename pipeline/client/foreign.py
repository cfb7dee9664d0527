"""The one place where errors of the libraries below become errors of ours.

What matters is whether the request may have left. The transport's own map cannot tell: it turns
every broken connection, also one that broke after the request was read, into
`httpx.ConnectTimeout`. So the aiohttp error behind an httpx error (its `__cause__`) decides.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError

from pipeline.errors import ApiError, Cut, Rubbish, TimedOut, Unreachable

if TYPE_CHECKING:
    from pipeline.client.text import Censor

FOREIGN: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpx.CookieConflict,
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,  # TimeoutError, ConnectionError, ssl.SSLError and socket.gaierror among them
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
    UnicodeError,
    RecursionError,
)
"""Everything the network libraries may raise that is no mistake of ours."""

_NEVER_SENT: tuple[type[Exception], ...] = (
    aiohttp.ClientConnectorError,  # refused, no such host, TLS failed, no proxy
    aiohttp.ConnectionTimeoutError,  # no connection in time, or none free in the pool
    aiohttp.ClientHttpProxyError,  # the proxy would not open a tunnel
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_TOO_LATE: tuple[type[Exception], ...] = (
    aiohttp.ServerTimeoutError,
    httpx.TimeoutException,
    TimeoutError,
)
_NONSENSE: tuple[type[Exception], ...] = (
    aiohttp.ClientResponseError,
    HttpProcessingError,
    httpx.RemoteProtocolError,
    httpx.DecodingError,
    UnicodeError,
    RecursionError,
)


def translate(error: Exception, host: str, censor: Censor) -> ApiError:
    """Return what `error` means for us: never sent, too late, cut, or nonsense."""
    real = _real(error)
    told = real.os_error if isinstance(real, aiohttp.ClientConnectorError) else real
    said = censor.plain(str(told) or type(real).__name__, 200)
    if isinstance(real, _NEVER_SENT):
        return _unreachable(real, host, said)
    if isinstance(real, _TOO_LATE):
        return TimedOut(
            f"{host} did not answer in time",
            why="The request left; whether it was executed is unknown.",
            fix="Run again later, or allow more time with `run: {timeouts: {read: …}}`.",
        )
    if isinstance(real, _NONSENSE):
        return Rubbish(
            f"{host} answered with something that is not HTTP: {said}",
            why="A proxy or another service may be in the way.",
        )
    return Cut(
        f"the connection to {host} broke before the answer was complete: {said}",
        why="The request left; whether it was executed is unknown.",
    )


def _real(error: Exception) -> Exception:
    """Return the error that tells the truth: aiohttp's, where the transport hid it."""
    cause = error.__cause__
    if isinstance(error, httpx.HTTPError) and isinstance(cause, aiohttp.ClientError):
        return cause
    return error


def _unreachable(real: Exception, host: str, said: str) -> Unreachable:
    if isinstance(real, aiohttp.ConnectionTimeoutError | httpx.TimeoutException):
        return Unreachable(
            f"no connection to {host} in time",
            why="Nothing was sent.",
            fix="Check the network; a run goes on by itself once the host answers.",
        )
    cause = real.__cause__
    if isinstance(real, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return Unreachable(
            f"the secure connection to {host} failed: {said}",
            why="Nothing was sent: the host could not prove who it is.",
            fix="Behind a company proxy, name its certificates in SSL_CERT_FILE.",
        )
    if isinstance(real, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return Unreachable(
            f"the proxy does not lead to {host}: {said}",
            why="Nothing was sent.",
            fix="Check HTTPS_PROXY, or name the host in NO_PROXY.",
        )
    return Unreachable(
        f"cannot reach {host}: {said}",
        why="Nothing was sent.",
        fix="Check the network and APIMART_BASE_URL.",
    )
