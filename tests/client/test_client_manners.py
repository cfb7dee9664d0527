"""A good citizen: says who it is, uses its connections again, goes the way it is told to go."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from client_desk import KEY, Server, answer, client, hosts, take, tell

from pipeline import __version__, errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pipeline.client import Client

PEM = Path(__file__).with_name("localhost.pem")
AGENT = f"banana-batch/{__version__}"
ACCEPTED = {"data": [{"task_id": "t1"}]}
DONE = {"data": {"id": "t1", "status": "completed"}}
UPLOADED = {"url": "https://up.example/1.png"}


@pytest.fixture
def calls(tmp_path: Path) -> dict[str, tuple[object, Callable[[Client], Awaitable[Any]]]]:
    """Every kind of request, with the answer that it wants."""
    picture = tmp_path / "mug.png"
    picture.write_bytes(b"\x89PNG")
    return {
        "submit": (ACCEPTED, lambda api: api.submit(b"{}", "k")),
        "look": (DONE, lambda api: api.look("t1")),
        "upload": (UPLOADED, lambda api: api.upload(picture, "image/png")),
        "balance": ({"remain_balance": 5}, lambda api: api.balance()),
    }


@pytest.mark.parametrize("name", ["submit", "look", "upload", "balance"])
def test_every_request_says_the_version(calls: Any, name: str) -> None:
    said, call = calls[name]
    seen: list[Any] = []

    async def scene() -> None:
        async with Server(tell(answer(said), seen=seen)).running() as server:
            api = client(server.url)
            try:
                await call(api)
            finally:
                await api.close()

    asyncio.run(scene())
    assert [headers["user-agent"] for _, headers, _ in seen] == [AGENT]


def test_fetching_an_image_says_the_version_too() -> None:
    seen: list[Any] = []

    async def scene() -> None:
        async with Server(tell(answer(b"image"), seen=seen)).running() as server:
            source = hosts()
            try:
                await take(source, f"{server.url}/i.png")
            finally:
                await source.close()

    asyncio.run(scene())
    assert [headers["user-agent"] for _, headers, _ in seen] == [AGENT]


def test_calls_share_connections_and_uploads_have_their_own(calls: Any) -> None:
    async def scene() -> int:
        answers = [answer(calls[name][0]) for name in calls] * 4
        async with Server(Turns(answers)).running() as server:
            api = client(server.url)
            try:
                for _ in range(4):
                    for name in calls:
                        await calls[name][1](api)
            finally:
                await api.close()
            return server.connections

    assert asyncio.run(scene()) == 2


class Turns:
    """Answers request after request in this order, whichever connection asks."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = iter(answers)

    async def __call__(self, wired: Any) -> None:
        while True:
            await wired.request()
            wired.send(next(self._answers))
            await wired.writer.drain()


def test_never_more_connections_than_allowed() -> None:
    async def scene() -> int:
        async with Server(tell(answer(ACCEPTED))).running() as server:
            api = client(server.url, connections=3)
            try:
                await asyncio.gather(*(api.submit(b"{}", f"k{n}") for n in range(30)))
            finally:
                await api.close()
            return server.connections

    assert asyncio.run(scene()) <= 3


def test_the_api_is_asked_through_the_proxy_of_the_environment() -> None:
    seen: list[Any] = []

    async def scene() -> None:
        async with Server(tell(answer(ACCEPTED), seen=seen)).running() as proxy:
            api = client("http://api.test", environ={"HTTP_PROXY": proxy.url})
            try:
                await api.submit(b"{}", "k")
            finally:
                await api.close()

    asyncio.run(scene())
    line, headers, _ = seen[0]
    assert line == "POST http://api.test/v1/images/generations HTTP/1.1"
    assert headers["authorization"] == f"Bearer {KEY}"


def test_a_tunnel_of_the_proxy_carries_no_key() -> None:
    seen: list[Any] = []

    async def scene() -> None:
        async with Server(tell(answer(b"", 403), seen=seen)).running() as proxy:
            api = client("https://api.test", environ={"https_proxy": proxy.url})
            try:
                with pytest.raises(errors.Unreachable):
                    await api.submit(b"{}", "k")
            finally:
                await api.close()

    asyncio.run(scene())
    line, headers, body = seen[0]
    assert line == "CONNECT api.test:443 HTTP/1.1"
    assert KEY not in str(headers)
    assert body == b""


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_images_too_are_fetched_from_hosts_that_a_named_certificate_vouches_for(
    variable: str,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)

    async def scene() -> bytes:
        async with Server(tell(answer(b"image"))).running(context) as server:
            source = hosts(environ={variable: str(PEM)})
            try:
                return (await take(source, f"{server.url}/i.png"))[1]
            finally:
                await source.close()

    assert asyncio.run(scene()) == b"image"
