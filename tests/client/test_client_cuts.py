"""What is known of a request when the connection fails, at every moment it can, on real sockets.

Taken for never sent, a cut would be paid twice; taken for a cut, a dead host would hold jobs.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from client_desk import KEY, TIMES, Server, Wired, answer, ask, client, tell
from pyreqwest import exceptions as reqwest

from pipeline import errors
from pipeline.client import foreign, transport
from pipeline.client.text import Censor
from pipeline.lifecycle import Submit

if TYPE_CHECKING:
    from pipeline.client import Client

PEM = Path(__file__).with_name("localhost.pem")
SHORT = {**TIMES, "read": 0.05}
ACCEPTED = answer({"data": [{"task_id": "t1"}]})


async def submit(api: Client) -> Any:
    return await api.submit(b"{}", "k")


def outcome(url: str, **changes: Any) -> errors.ApiError:
    """Submit to `url`, which cannot succeed."""

    async def scene() -> None:
        api = client(url, **changes)
        try:
            await submit(api)
        finally:
            await api.close()

    with pytest.raises(errors.ApiError) as caught:
        asyncio.run(scene())
    return caught.value


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_refused_connection_was_never_sent() -> None:
    error = outcome(f"http://127.0.0.1:{closed_port()}")
    assert error.submit is Submit.NEVER_SENT
    assert "cannot reach 127.0.0.1" in error.summary


def test_a_host_without_a_name_was_never_reached() -> None:
    assert outcome("https://nowhere.invalid").submit is Submit.NEVER_SENT


def test_tls_with_a_server_that_speaks_none_was_never_sent() -> None:
    async def plain(wired: Wired) -> None:
        wired.send(b"HTTP/1.1 400 this is plain http\r\n\r\n")
        await wired.writer.drain()
        await wired.reader.read()

    async def scene() -> None:
        async with Server(plain).running() as server:
            api = client(server.url.replace("http:", "https:"))
            try:
                await submit(api)
            finally:
                await api.close()

    with pytest.raises(errors.Unreachable, match="secure connection"):
        asyncio.run(scene())


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_of_ones_own_is_trusted_only_when_named(trusted: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)

    async def scene() -> Any:
        async with Server(tell(ACCEPTED)).running(context) as server:
            api = client(server.url, environ={"SSL_CERT_FILE": str(PEM)} if trusted else {})
            try:
                return await submit(api)
            finally:
                await api.close()

    if trusted:
        assert asyncio.run(scene()).task_id == "t1"
    else:
        with pytest.raises(errors.Unreachable, match="secure connection"):
            asyncio.run(scene())


def cut(script: Any, **changes: Any) -> errors.ApiError:
    with pytest.raises(errors.ApiError) as caught:
        ask(submit, script, **changes)
    return caught.value


async def accept_and_close(wired: Wired) -> None:
    return


async def read_and_close(wired: Wired) -> None:
    await wired.request()


async def reset(wired: Wired) -> None:
    await wired.request()
    wired.writer.transport.abort()


async def half_headers(wired: Wired) -> None:
    await wired.request()
    wired.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def half_body(wired: Wired) -> None:
    await wired.request()
    wired.send(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"data"')


@pytest.mark.parametrize(
    "script", [accept_and_close, read_and_close, reset, half_headers, half_body]
)
def test_a_connection_that_breaks_once_it_stood_may_have_been_executed(script: Any) -> None:
    error = cut(script)
    assert isinstance(error, errors.Cut)
    assert error.submit is Submit.CUT


async def silence(wired: Wired) -> None:
    await wired.request()
    await wired.reader.read()


async def silence_in_the_body(wired: Wired) -> None:
    await wired.request()
    wired.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    await wired.reader.read()


@pytest.mark.parametrize("script", [silence, silence_in_the_body])
def test_silence_after_sending_is_a_time_out_that_may_have_been_executed(script: Any) -> None:
    assert cut(script, timeouts=SHORT).submit is Submit.TIMED_OUT


def test_an_answer_that_never_ends_its_dripping_is_a_time_out() -> None:
    async def drip(wired: Wired) -> None:
        await wired.request()
        wired.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        for _ in range(9999):
            wired.send(b" ")
            await asyncio.sleep(0.01)

    times = {"connect": 1.0, "pool": 0.05, "write": 0.05, "read": 0.1}
    assert cut(drip, timeouts=times).submit is Submit.TIMED_OUT


def test_a_peer_that_reads_nothing_of_a_large_body_is_a_time_out() -> None:
    async def deaf(wired: Wired) -> None:
        wired.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(5)

    times = {"connect": 1.0, "pool": 0.05, "write": 0.05, "read": 1.0}
    with pytest.raises(errors.TimedOut):
        ask(lambda api: api.submit(b"x" * (16 << 20), "k"), deaf, timeouts=times)


def test_what_is_no_http_is_rubbish() -> None:
    async def babble(wired: Wired) -> None:
        await wired.request()
        wired.send(f"SSH-2.0 {KEY}\r\n\r\n".encode())
        await wired.writer.drain()

    error = cut(babble)
    assert error.submit is Submit.RUBBISH
    assert KEY not in error.summary


def test_a_request_that_got_no_connection_in_time_was_never_sent() -> None:
    async def both(api: Client) -> Any:
        first = asyncio.ensure_future(submit(api))
        await asyncio.sleep(0)
        try:
            return await submit(api)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    times = {**TIMES, "pool": 0.05}
    with pytest.raises(errors.Unreachable, match="in time"):
        ask(both, silence, connections=1, timeouts=times)


def test_a_post_is_never_repeated_by_the_library() -> None:
    """A kept-alive connection that the server closes is where libraries like to try again."""
    seen: list[Any] = []

    async def once_then_close(wired: Wired) -> None:
        seen.append(await wired.request())
        wired.send(ACCEPTED)
        await wired.writer.drain()
        seen.append(await wired.request())

    async def twice(api: Client) -> None:
        await submit(api)
        await submit(api)

    with pytest.raises(errors.Cut) as caught:
        ask(twice, once_then_close)
    assert caught.value.submit is Submit.CUT
    assert len(seen) == 2


def test_connections_are_used_again() -> None:
    async def scene() -> int:
        async with Server(tell(ACCEPTED)).running() as server:
            api = client(server.url)
            for _ in range(5):
                await submit(api)
            await api.close()
            return server.connections

    assert asyncio.run(scene()) == 1


# ── nothing foreign gets through ────────────────────────────────────────────────────────────


def children(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*(children(one) for one in kind.__subclasses__()))


OURS_TO_MAKE = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)
NETWORK = ("httpx", "pipeline", "ssl", "socket", "builtins")
KINDS = {
    one
    for top in OURS_TO_MAKE
    for one in children(top)
    if one.__module__.partition(".")[0] in NETWORK
}


@pytest.mark.parametrize("kind", sorted(KINDS, key=repr), ids=lambda kind: kind.__name__)
def test_no_error_of_the_libraries_is_missed(kind: type[Exception]) -> None:
    bare = {"__init__": lambda _: None, "__str__": lambda _: "x"}
    error = type(kind.__name__, (kind,), bare)()
    assert isinstance(error, foreign.FOREIGN)
    assert isinstance(foreign.translate(error, "host", Censor(KEY)), errors.ApiError)


def told(kind: type[reqwest.PyreqwestError], *causes: str) -> reqwest.PyreqwestError:
    """Return an error as reqwest raises it, with the chain of causes that it gives."""
    error = kind.__new__(kind)
    error.message = "x"
    error.details = {"causes": [{"message": one} for one in causes]}  # type: ignore[attr-defined]
    return error


REQWEST = sorted(
    (one for one in children(reqwest.PyreqwestError) if one.__module__.startswith("pyreqwest")),
    key=repr,
)
SENT = ("error sending request", "client error (SendRequest)", "connection reset")
UNSENT = ("error sending request", "client error (Connect)", "tcp connect error", "refused")


@pytest.mark.parametrize("chain", [(), SENT], ids=["unexplained", "sent"])
@pytest.mark.parametrize("kind", REQWEST, ids=lambda kind: kind.__name__)
def test_only_a_connection_that_was_never_made_counts_as_never_sent(
    kind: type[reqwest.PyreqwestError], chain: tuple[str, ...]
) -> None:
    found = foreign.translate(transport._explained(told(kind, *chain)), "host", Censor(KEY))
    unsent = isinstance(found, errors.Unreachable)
    assert unsent is (kind is reqwest.PoolTimeoutError)


@pytest.mark.parametrize(
    "kind", [reqwest.ConnectError, reqwest.ConnectTimeoutError, reqwest.RequestError]
)
def test_a_connection_that_was_never_made_is_known_by_its_causes(
    kind: type[reqwest.PyreqwestError],
) -> None:
    found = foreign.translate(transport._explained(told(kind, *UNSENT)), "host", Censor(KEY))
    assert isinstance(found, errors.Unreachable)


@pytest.mark.parametrize(
    ("below", "advice"),
    [
        ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("tunnel error: proxy authorization required", "HTTPS_PROXY"),
        ("tcp connect error", "HTTPS_PROXY"),
    ],
)
def test_behind_a_proxy_the_advice_is_for_what_is_in_the_way(below: str, advice: str) -> None:
    error = told(reqwest.ConnectError, "error sending request", UNSENT[1], below)
    found = transport._explained(error, proxied=True)
    assert advice in foreign.translate(found, "host", Censor(KEY)).fix


@pytest.mark.parametrize("value", ["图片.jpg".encode(), b"\xff\xfe"])
def test_a_header_that_is_no_text_says_nothing_and_harms_nothing(value: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=" + value
    said = head + b"\r\nRetry-After: " + value + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY)
    assert ask(submit, tell(said + BODY)).task_id == "t1"


BODY = b'{"data":[{"task_id":"t1"}]}'


@pytest.mark.parametrize("length", ["3", "9" * 19, "9" * 5000])
def test_a_body_in_chunks_ends_where_they_end_whatever_length_is_announced(length: str) -> None:
    """A header must not cut off an answer that is the only one."""
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n"
    chunks = f"{len(BODY):x}\r\n{BODY.decode()}\r\n0\r\n\r\n"
    assert ask(submit, tell(f"{head}{chunks}".encode())).task_id == "t1"


def test_a_machine_without_certificates_can_still_be_set_up(tmp_path: Path) -> None:
    """In a process of its own: what the system's certificates are is found out once."""
    program = (
        "from datetime import timedelta\n"
        "from pipeline.client.transport import pool\n"
        "second = timedelta(seconds=1)\n"
        "pool(proxy='', roots=[], connections=1, connect=second, wait=second, silence=None,"
        " keep=second)\n"
    )
    nowhere = {"SSL_CERT_FILE": str(tmp_path / "none"), "SSL_CERT_DIR": str(tmp_path / "none")}
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **nowhere, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
