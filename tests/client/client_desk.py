"""A server that answers with exactly the bytes a test wants, over real sockets, and a client."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pipeline.client import Client, Hosts
from pipeline.clock import SystemClock

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

KEY = "sk-secret-key-0123456789"
TIMES = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}


class Fixed(SystemClock):
    """The present is always the same second."""

    def now(self) -> float:
        return 1_784_000_000.0


class Wired:
    """One connection of a client, as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> tuple[str, dict[str, str], bytes]:
        """Read one whole request: its first line, its headers in lower case, its body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])
        }
        return (
            head[0],
            headers,
            await self.reader.readexactly(int(headers.get("content-length", 0))),
        )

    def send(self, data: bytes) -> None:
        self.writer.write(data)


class Server:
    """Serves every connection by `script`, and remembers every request it read."""

    def __init__(self, script: Callable[[Wired], Awaitable[None]]) -> None:
        self._script = script
        self._open: set[asyncio.StreamWriter] = set()
        self.connections = 0
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            await self._script(Wired(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        host, port = server.sockets[0].getsockname()[:2]
        self.url = f"{'https' if tls else 'http'}://{host}:{port}"
        try:
            yield self
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()
            await asyncio.sleep(0)  # the aborted ones are closed by now


def answer(
    body: bytes | object, status: int = 200, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the bytes of a whole answer; what is not bytes becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Length": str(len(data)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + data


SETTINGS: dict[str, Any] = {
    "timeouts": TIMES,
    "connections": 4,
    "clock": Fixed(),
    "environ": {},
}


def client(url: str, **changes: Any) -> Client:
    settings = {**SETTINGS, **changes}
    return Client(url, settings.pop("key", KEY), **settings)


def hosts(**changes: Any) -> Hosts:
    return Hosts(**{**SETTINGS, **changes})


async def take(source: Hosts, url: str) -> tuple[int | None, bytes]:
    """Fetch one image: its announced size, and all of it."""
    async with source.fetch(url) as download:
        return download.size, b"".join([chunk async for chunk in download.chunks])


def ask(
    work: Callable[[Client], Awaitable[Any]],
    script: Callable[[Wired], Awaitable[None]],
    **changes: Any,
) -> Any:
    """Run `work` with a client against a server that follows `script`."""

    async def scene() -> Any:
        async with Server(script).running() as server:
            api = client(server.url, **changes)
            try:
                return await work(api)
            finally:
                await api.close()

    return asyncio.run(scene())


def ask_hosts(
    work: Callable[[Hosts, str], Awaitable[Any]],
    script: Callable[[Wired], Awaitable[None]],
    **changes: Any,
) -> Any:
    """Run `work` with hosts of images, one of which follows `script` at the address it is given."""

    async def scene() -> Any:
        async with Server(script).running() as server:
            source = hosts(**changes)
            try:
                return await work(source, server.url)
            finally:
                await source.close()

    return asyncio.run(scene())


def tell(*answers: bytes, seen: list[Any] | None = None) -> Callable[[Wired], Awaitable[None]]:
    """Return a script: one answer after the other, the last one for ever."""
    left = list(answers)

    async def script(wired: Wired) -> None:
        while True:
            request = await wired.request()
            if seen is not None:
                seen.append(request)
            wired.send(left.pop(0) if len(left) > 1 else left[0])
            await wired.writer.drain()

    return script
