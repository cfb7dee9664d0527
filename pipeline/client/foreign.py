"""The one place where errors of the libraries below become errors of ours.

What matters is whether the request may have left; `transport` has found that out, and says it by
the class of httpx's that it raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from pipeline.client.transport import Insecure
from pipeline.errors import ApiError, Cut, Rubbish, TimedOut, Unreachable

if TYPE_CHECKING:
    from pipeline.client.text import Censor

FOREIGN: tuple[type[Exception], ...] = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpx.CookieConflict,
    OSError,  # a TimeoutError of our own clock among them
)
"""Everything that may come out of a transport that is no mistake of ours."""

_NEVER_SENT: tuple[type[Exception], ...] = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_TOO_LATE: tuple[type[Exception], ...] = (httpx.TimeoutException, TimeoutError)
_NONSENSE: tuple[type[Exception], ...] = (httpx.RemoteProtocolError, httpx.DecodingError)


_NAME = "Behind a company proxy, name its certificates in SSL_CERT_FILE."
_LEAF = (
    "The server shows the certificate of an authority as its own. Make it one that is signed by"
    " that authority, or one that is none:\n  openssl req -x509 … -addext"
    " basicConstraints=critical,CA:FALSE"
)
_CHECK = "Check the network and APIMART_BASE_URL."
_ALLOW = "Run again later, or allow more time with `run: {timeouts: {read: …}}`."


def translate(
    error: Exception, host: str, censor: Censor, *, check: str = _CHECK, allow: str = _ALLOW
) -> ApiError:
    """Return what `error` means for us: never sent, too late, cut, or nonsense.

    `check` and `allow` are the advice for a host that is not there and for one that is slow.
    """
    said = censor.plain(str(error) or type(error).__name__, 200)
    if isinstance(error, _NEVER_SENT):
        return _unreachable(error, host, said, check)
    if isinstance(error, _TOO_LATE):
        return TimedOut(
            f"{host} did not answer in time",
            why="The request left; whether it was executed is unknown.",
            fix=allow,
        )
    if isinstance(error, _NONSENSE):
        return Rubbish(
            f"{host} answered with something that is not HTTP: {said}",
            why="A proxy or another service may be in the way.",
        )
    return Cut(
        f"the connection to {host} broke before the answer was complete: {said}",
        why="The request left; whether it was executed is unknown.",
    )


def _unreachable(error: Exception, host: str, said: str, check: str) -> Unreachable:
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(
            f"no connection to {host} in time",
            why="Nothing was sent.",
            fix="Check the network; a run goes on by itself once the host answers.",
        )
    if isinstance(error, Insecure):
        return Unreachable(
            f"the secure connection to {host} failed: {said}",
            why="Nothing was sent: the host could not prove who it is.",
            fix=_LEAF if "CaUsedAsEndEntity" in said else _NAME,
        )
    if isinstance(error, httpx.ProxyError):
        return Unreachable(
            f"the proxy does not lead to {host}: {said}",
            why="Nothing was sent.",
            fix="Check HTTPS_PROXY, or name the host in NO_PROXY.",
        )
    return Unreachable(
        f"cannot reach {host}: {said}",
        why="Nothing was sent.",
        fix=check,
    )
