"""The doorbell: our own callback receiver. A ring makes us look sooner; it is never believed.

[public] The platform POSTs to `webhook + "/callback"` when a task has finished, unsigned, perhaps
twice. So the address of each job holds a token that only this run can make, and all that is taken
from a callback is which job to look at and, for a submit whose answer was lost, a task id to try.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

from pipeline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.model import WebhookSettings

_PATH = re.compile(r"/([0-9]{1,18})-([A-Za-z0-9_-]{43})/callback", re.ASCII)
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_LARGEST = 64 * 1024
_PORTS = (80, 443)
_LINGERING = 1.0
"""Seconds for which the rest of a body turned away is read, so that the answer gets through."""
_PATIENCE_AT_END = 0.05
"""Seconds for answers under way; to aiohttp, 0 would mean for ever."""
_SILENT = logging.Logger("doorbell")
"""Strangers must not be able to fill a terminal or a log."""
_SILENT.addHandler(logging.NullHandler())


class Doorbell:
    """Listens for callbacks and rings for the job whose address was called.

    `ring(number, hint)` is called for every right callback, duplicates included; `hint` is the
    task id that the body names, `""` when it names none. It must be quick and expect lies.

    Whoever does not know an address can do nothing but be turned away: at most `callers`
    connections are open at once, none for longer than `lifetime` seconds, and a body must be
    there within `patience` seconds.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        secret: bytes,
        ring: Callable[[int, str], None],
        *,
        patience: float = 5.0,
        lifetime: float = 15.0,
        callers: int = 256,
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._ring = ring
        self._patience = patience
        self._lifetime = lifetime
        self._callers = callers
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._open = 0

    def address(self, number: int) -> str:
        """Return the `webhook` of the job of that number: unguessable, the same every time.

        Without a public url it leads straight to where it listens now.
        """
        base = self._settings.public_url or self.url
        return f"{base.rstrip('/')}/{number}-{self._token(number)}"

    def _token(self, number: int) -> str:
        proof = hmac.digest(self._secret, str(number).encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(proof).rstrip(b"=").decode()

    @property
    def url(self) -> str:
        """Where it listens now, as a base url; `""` when it does not."""
        if self._listener is None or not self._listener.sockets:
            return ""
        host, port = self._listener.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises `InputError` when the address cannot be listened on."""
        host, _, port = self._settings.listen.rpartition(":")
        host = host.strip("[]")
        self._http = web.Server(self._answer)
        try:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(self._caller, host, int(port))
        except (OSError, ValueError, OverflowError) as error:
            raise InputError(
                f"callbacks cannot be received at {self._settings.listen}: {error}",
                why="Our receiver listens there for the platform's callbacks.",
                fix="Choose another address or port with --listen HOST:PORT.",
            ) from error

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._http is not None:
            await self._http.shutdown(_PATIENCE_AT_END)
            self._http = None

    # ── callers ─────────────────────────────────────────────────────────────────────────────

    def _caller(self) -> asyncio.Protocol:
        """Take one connection, or none when too many are open."""
        if self._http is None or self._open >= self._callers:
            return _Closed()
        self._open += 1
        return _Caller(self._http, self._lifetime, self._left)

    def _left(self) -> None:
        self._open -= 1

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        number = self._number(request)
        if number is None:
            return _turned_away(404)
        if (request.content_length or 0) > _LARGEST:
            return _turned_away(413)
        try:
            async with asyncio.timeout(self._patience):
                body = await request.content.read(_LARGEST + 1)
                while len(body) <= _LARGEST and (more := await request.content.read(_LARGEST)):
                    body += more
        except TimeoutError:
            return _turned_away(408)
        except web.RequestPayloadError:
            return _turned_away(400)
        if len(body) > _LARGEST:
            return _turned_away(413)
        try:
            callback = json.loads(body)
        except (ValueError, RecursionError):
            return _turned_away(400)
        self._ring(number, _hint(callback))
        return web.Response(text="ok")

    def _number(self, request: web.BaseRequest) -> int | None:
        """Return the job that the path proves, whatever a proxy put before it."""
        found = _PATH.fullmatch("/" + "/".join(request.path.rsplit("/", 2)[-2:]))
        if request.method != "POST" or found is None:
            return None
        number = int(found[1])
        return number if hmac.compare_digest(found[2], self._token(number)) else None


class _Caller(web.RequestHandler):
    """One connection, for a limited time: whoever sends nothing, or slowly, holds a place too."""

    __slots__ = ("_left", "_lifetime", "_timer")

    def __init__(self, server: web.Server, lifetime: float, left: Callable[[], None]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # how aiohttp is told to keep no such log
            logger=_SILENT,
            lingering_time=_LINGERING,
        )
        self._lifetime = lifetime
        self._left = left
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if isinstance(transport, asyncio.Transport):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._lifetime, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._left()
        super().connection_lost(exc)


class _Closed(asyncio.Protocol):
    """One caller too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _turned_away(status: int) -> web.Response:
    answer = web.Response(status=status)
    answer.force_close()
    return answer


def _hint(callback: Any) -> str:
    """Return the task id in a body like that of the task call, `""` when it has none."""
    data = callback.get("data", callback) if isinstance(callback, dict) else None
    found = (data.get("id") or data.get("task_id")) if isinstance(data, dict) else None
    return found if isinstance(found, str) and _TASK_ID.fullmatch(found) else ""


# ── the public address ──────────────────────────────────────────────────────────────────────


def check_public(url: str, *, api_is_local: bool) -> None:
    """Raise `InputError` when the platform would refuse to call `url`, with the reason.

    [public] It calls public http(s) addresses on port 80 or 443. An API on a loopback address
    (`api_is_local`: the sandbox) calls anywhere, and needs no `url` at all: `""`.
    """
    if not url:
        if api_is_local:
            return
        raise InputError(
            "--listen needs --public-url",
            why="The platform can only call an address on the open internet.",
            fix="Say which one leads to --listen, through a reverse proxy or a tunnel:\n"
            "  --public-url https://hooks.example.com/banana",
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(url, "it is not a well-formed address") from None
    if parts.scheme not in ("http", "https"):
        raise _refused(url, "only http:// and https:// are called")
    if not host or parts.query or parts.fragment or parts.username is not None:
        raise _refused(url, "it must be a host and a path: /callback is appended to it")
    if api_is_local:
        return
    if port is not None and port not in _PORTS:
        raise _refused(url, f"port {port} is not called, only 80 and 443")
    if reason := _not_public(host.rstrip(".")):
        raise _refused(url, reason)


def _not_public(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host == "localhost" or host.endswith(".localhost"):
            return f"{host} is this machine, and the platform cannot reach it"
        # Numbers that are no usual address (127.1, 2130706433, 0x7f.1) are a loopback in disguise.
        if re.fullmatch(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", host):
            return f"{host} is not an address in its usual form"
        return "" if "." in host else f"{host} is a name of a local network only"
    mapped = getattr(address, "ipv4_mapped", None)
    if (mapped or address).is_global and not address.is_multicast:
        return ""
    return f"{host} is a private or local address, and the platform cannot reach it"


def _refused(url: str, reason: str) -> InputError:
    return InputError(
        f"the platform would not call back {url}",
        why=f"{reason[0].upper()}{reason[1:]}.",
        fix="Give --public-url a public address on port 80 or 443 that leads to --listen,\n"
        "through a reverse proxy or a tunnel: https://hooks.example.com/banana",
    )
