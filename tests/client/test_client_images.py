"""Result images: fetched from any host, never with the key, never further than allowed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from client_desk import (
    KEY,
    TIMES,
    Server,
    Wired,
    answer,
    ask_hosts,
    client,
    hosts,
    take,
    tell,
)

from pipeline import errors

if TYPE_CHECKING:
    from pipeline.client import Hosts

PICTURE = b"\x89PNG" + bytes(range(256)) * 2000


def fetch(*answers: bytes, seen: list[Any] | None = None, path: str = "/i.png") -> Any:
    return ask_hosts(lambda source, base: take(source, base + path), tell(*answers, seen=seen))


def test_an_image_comes_whole_with_its_announced_size() -> None:
    assert fetch(answer(PICTURE)) == (len(PICTURE), PICTURE)


def test_an_image_of_unknown_size_has_none() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert fetch(chunked) == (None, b"abc")


def test_the_key_is_never_sent_for_an_image_not_even_to_the_apis_own_host() -> None:
    seen: list[Any] = []
    moved = answer(b"", 302, {"Location": "/other.png", "Set-Cookie": "session=1"})
    fetch(moved, answer(PICTURE), seen=seen)
    assert [line.split()[1] for line, _, _ in seen] == ["/i.png", "/other.png"]
    for _, headers, _ in seen:
        assert "authorization" not in headers
        assert "cookie" not in headers
        assert KEY not in str(headers)


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://a/b",
        "gopher://a",
        "data:image/png;base64,AA",
        "https://",
        "//[",
    ],
)
def test_a_redirect_to_anything_but_http_is_refused(location: str) -> None:
    with pytest.raises(errors.FetchError):
        fetch(answer(b"", 302, {"Location": location}), answer(PICTURE))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "", "nonsense", "http://", "http://[", "https://a:99999/"]
)
def test_a_url_that_cannot_be_asked_for_is_refused(url: str) -> None:
    with pytest.raises(errors.FetchError):
        ask_hosts(lambda source, base: take(source, url), tell(answer(PICTURE)))


def test_redirects_in_a_circle_end() -> None:
    seen: list[Any] = []
    with pytest.raises(errors.FetchError, match="more than 5 redirects"):
        fetch(answer(b"", 302, {"Location": "/i.png"}), seen=seen)
    assert len(seen) == 6


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_expired_or_unknown_url_is_gone(status: int) -> None:
    with pytest.raises(errors.Gone):
        fetch(answer(b"<Error>AccessDenied</Error>", status))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, errors.RateLimited),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
        (408, errors.Unavailable),
        (400, errors.FetchError),
        (204, errors.FetchError),
        (304, errors.FetchError),
        (402, errors.FetchError),
    ],
)
def test_another_status_says_whether_waiting_helps(
    status: int, kind: type[errors.ApiError]
) -> None:
    with pytest.raises(errors.ApiError) as caught:
        fetch(answer(b"", status, {"Retry-After": "3"}))
    assert type(caught.value) is kind
    assert caught.value.heals is (kind is not errors.FetchError)
    assert not isinstance(caught.value, errors.AccountError)


def test_an_image_in_an_encoding_nobody_asked_for_is_none() -> None:
    with pytest.raises(errors.NotAnImage):
        fetch(answer(b"x", headers={"Content-Encoding": "gzip"}))


def test_an_image_that_breaks_off_is_a_cut() -> None:
    async def half(wired: Wired) -> None:
        await wired.request()
        wired.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc")

    with pytest.raises(errors.Cut):
        ask_hosts(lambda source, base: take(source, base + "/i"), half)


def test_a_silent_host_is_a_time_out() -> None:
    async def silence(wired: Wired) -> None:
        await wired.request()
        wired.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc")
        await wired.reader.read()

    with pytest.raises(errors.TimedOut):
        ask_hosts(
            lambda source, base: take(source, base + "/i"),
            silence,
            timeouts={**TIMES, "read": 0.05},
        )


def test_an_image_that_takes_for_ever_is_given_up_however_it_drips() -> None:
    async def drip(wired: Wired) -> None:
        await wired.request()
        wired.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        while True:
            wired.send(b"x")
            await wired.writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(errors.TimedOut, match="in time") as caught:
        ask_hosts(lambda source, base: take(source, base + "/i"), drip, max_seconds=0.1)
    assert "timeouts" not in caught.value.fix


def test_leaving_an_image_half_read_leaves_the_client_usable() -> None:
    async def twice(source: Hosts, base: str) -> Any:
        async with source.fetch(base + "/i") as download:
            await anext(aiter(download.chunks))
        return await take(source, base + "/i")

    assert ask_hosts(twice, tell(answer(PICTURE)), connections=1) == (len(PICTURE), PICTURE)


def test_an_error_of_the_reader_passes_through_untouched() -> None:
    async def fail(source: Hosts, base: str) -> None:
        async with source.fetch(base + "/i"):
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        ask_hosts(fail, tell(answer(PICTURE)))


def test_images_go_through_the_proxy_that_the_api_may_not_need() -> None:
    seen: list[Any] = []

    async def scene() -> Any:
        async with Server(tell(answer(PICTURE), seen=seen)).running() as proxy:
            credentials = proxy.url.replace("//", "//user:pass@")
            source = hosts(environ={"HTTP_PROXY": credentials})
            try:
                return await take(source, "http://images.test/i.png")
            finally:
                await source.close()

    assert asyncio.run(scene()) == (len(PICTURE), PICTURE)
    line, headers, _ = seen[0]
    assert line == "GET http://images.test/i.png HTTP/1.1"
    assert headers["proxy-authorization"].startswith("Basic ")


def test_a_proxy_that_opens_no_tunnel_means_never_sent() -> None:
    async def scene() -> Any:
        async with Server(tell(answer(b"", 403))).running() as proxy:
            api = client("https://api.test", environ={"HTTPS_PROXY": proxy.url})
            try:
                return await api.submit(b"{}", "k")
            finally:
                await api.close()

    with pytest.raises(errors.Unreachable, match="proxy"):
        asyncio.run(scene())
