"""The doorbell: it rings for whoever knows a job's address, and for nobody else."""

from __future__ import annotations

import asyncio
import json
import random

import aiohttp
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import InputError
from pipeline.model import WebhookSettings
from pipeline.sandbox import faults, serve
from pipeline.webhook import Doorbell, check_public

PUBLIC = "https://hooks.example.com/banana"
BODY = {"code": 200, "data": {"id": "task_01ABC", "status": "completed"}}


class Bench:
    bell: Doorbell
    http: aiohttp.ClientSession

    def __init__(self) -> None:
        self.rung: list[tuple[int, str]] = []
        self.ringing = asyncio.Event()

    def ring(self, number: int, hint: str) -> None:
        self.rung.append((number, hint))
        self.ringing.set()

    def url(self, number: int) -> str:
        """Where a proxy that keeps the whole path would bring a callback for the job."""
        return self.bell.url + self.bell.address(number).removeprefix("https://hooks.example.com")

    async def post(self, url: str, body: object = BODY, **options) -> int:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(url, data=data, **options) as answer:
            await answer.read()
            return answer.status

    async def raw(self, request: bytes) -> bytes:
        """Send bytes and return everything that comes until the connection is closed."""
        host, port = self.bell.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


def play(scenario, **limits) -> None:
    async def run() -> None:
        bench = Bench()
        settings = WebhookSettings(listen="127.0.0.1:0", public_url=PUBLIC)
        bench.bell = Doorbell(settings, b"secret", bench.ring, **limits)
        await bench.bell.start()
        try:
            async with aiohttp.ClientSession() as bench.http:
                await scenario(bench)
        finally:
            await bench.bell.stop()

    asyncio.run(asyncio.wait_for(run(), 20))


def doorbell(secret: bytes = b"secret", public: str = PUBLIC) -> Doorbell:
    return Doorbell(WebhookSettings("127.0.0.1:0", public), secret, lambda *_: None)


# ── addresses ───────────────────────────────────────────────────────────────────────────────


def test_an_address_is_the_jobs_own_and_the_same_every_time():
    assert doorbell().address(7) == doorbell().address(7)
    assert len({doorbell().address(number) for number in range(100)}) == 100
    assert doorbell().address(7).startswith(f"{PUBLIC}/7-")


def test_an_address_cannot_be_made_without_the_secret():
    assert doorbell().address(7) != doorbell(b"other").address(7)


def test_a_closing_slash_of_the_public_url_is_not_doubled():
    assert doorbell(public=f"{PUBLIC}/").address(7) == doorbell().address(7)


# ── callbacks ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("prefix", ["/banana", "", "/a/b"])
def test_a_callback_rings_for_its_job_whatever_the_proxy_does_to_the_path(prefix):
    async def scenario(bench):
        path = bench.bell.address(7).removeprefix(PUBLIC)
        assert await bench.post(f"{bench.bell.url}{prefix}{path}/callback") == 200
        assert bench.rung == [(7, "task_01ABC")]

    play(scenario)


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (BODY, "task_01ABC"),
        ({"id": "task_1"}, "task_1"),
        ({"data": {"task_id": "task_2"}}, "task_2"),
        ({}, ""),
        ([], ""),
        ("text", ""),
        ({"data": {"id": 5}}, ""),
        ({"data": [{"id": "task_3"}]}, ""),
        ({"data": {"id": "x" * 129}}, ""),
        ({"data": {"id": "../../etc/passwd"}}, ""),
        ({"data": {"id": "task_1\n"}}, ""),
        ({"data": {"id": "задача"}}, ""),
    ],
)
def test_only_a_well_formed_task_id_becomes_a_hint(body, hint):
    async def scenario(bench):
        assert await bench.post(f"{bench.url(7)}/callback", body) == 200
        assert bench.rung == [(7, hint)]

    play(scenario)


def test_a_callback_may_come_twice():
    async def scenario(bench):
        for _ in range(2):
            assert await bench.post(f"{bench.url(7)}/callback") == 200
        assert bench.rung == [(7, "task_01ABC")] * 2

    play(scenario)


def test_the_sandboxs_callback_rings():
    async def scenario(bench):
        clock, dice = SystemClock(), random.Random(1)
        async with serve(faults([]), clock=clock, dice=dice) as sandbox:
            body = {
                "model": "gemini-3.1-flash-lite-image",
                "prompt": "a mug",
                "webhook": bench.url(7),
            }
            url = f"{sandbox.url}/v1/images/generations"
            headers = {"Authorization": "Bearer k"}
            async with bench.http.post(url, json=body, headers=headers) as answer:
                accepted = (await answer.json())["data"][0]["task_id"]
            await bench.ringing.wait()
            assert bench.rung == [(7, accepted)]

    play(scenario)


# ── attacks ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/callback",
        "/7/callback",
        "/7-/callback",
        "/7-" + "A" * 43 + "/callback",
        "/banana/7-" + "A" * 43 + "/callback",
        "/99999999999999999999-" + "A" * 43 + "/callback",
        "/٧-" + "A" * 43 + "/callback",
    ],
)
def test_a_forged_address_is_not_found(path):
    async def scenario(bench):
        assert await bench.post(bench.bell.url + path) == 404
        assert bench.rung == []

    play(scenario)


def test_one_jobs_token_does_not_ring_for_another():
    async def scenario(bench):
        assert await bench.post(f"{bench.url(7).replace('/7-', '/8-')}/callback") == 404
        assert bench.rung == []

    play(scenario)


def test_an_address_without_callback_at_its_end_is_not_found():
    async def scenario(bench):
        assert await bench.post(bench.url(7)) == 404
        assert await bench.post(f"{bench.url(7)}/callback/more") == 404
        assert bench.rung == []

    play(scenario)


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_only_a_post_rings(method):
    async def scenario(bench):
        async with bench.http.request(method, f"{bench.url(7)}/callback") as answer:
            assert answer.status == 404
        assert bench.rung == []

    play(scenario)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 60_000, b"{'id': 1}"])
def test_a_malformed_body_is_refused(body):
    async def scenario(bench):
        assert await bench.post(f"{bench.url(7)}/callback", body) == 400
        assert bench.rung == []

    play(scenario)


def test_the_largest_body_is_64_kilobytes():
    async def scenario(bench):
        largest = json.dumps(BODY).encode().ljust(64 * 1024)
        assert await bench.post(f"{bench.url(7)}/callback", largest) == 200
        assert await bench.post(f"{bench.url(7)}/callback", largest + b" ") == 413
        assert len(bench.rung) == 1

    play(scenario)


def test_a_body_of_unknown_length_is_cut_at_the_limit():
    async def scenario(bench):
        async def endless():
            for _ in range(40):
                yield b" " * 4096

        async with bench.http.post(f"{bench.url(7)}/callback", data=endless()) as answer:
            assert answer.status == 413
        assert bench.rung == []

    play(scenario)


def test_an_announced_length_over_the_limit_is_refused_before_the_body_comes():
    async def scenario(bench):
        path = bench.url(7).removeprefix(bench.bell.url)
        head = f"POST {path}/callback HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"
        assert (await bench.raw(head.encode())).startswith(b"HTTP/1.1 413")

    play(scenario, lifetime=0.3)


def test_a_slow_body_is_given_up():
    async def scenario(bench):
        path = bench.url(7).removeprefix(bench.bell.url)
        head = f"POST {path}/callback HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{{"
        assert (await bench.raw(head.encode())).startswith(b"HTTP/1.1 408")
        assert bench.rung == []

    play(scenario, patience=0.05, lifetime=0.5)


@pytest.mark.parametrize("request_", [b"", b"POST /", b"GET / HTTP/1.1\r\nX: "])
def test_who_never_finishes_asking_is_cut_off(request_):
    async def scenario(bench):
        assert await bench.raw(request_) == b""

    play(scenario, lifetime=0.05)


def test_what_is_not_http_is_refused():
    async def scenario(bench):
        assert b"400" in await bench.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
        assert await bench.post(f"{bench.url(7)}/callback") == 200

    play(scenario)


def test_too_many_callers_at_once_are_closed_and_a_place_becomes_free():
    async def scenario(bench):
        host, port = bench.bell.url.removeprefix("http://").split(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        assert await bench.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        for _, writer in held:
            writer.close()
        while b"404" not in await bench.raw(b"GET / HTTP/1.0\r\n\r\n"):
            pass

    play(scenario, callers=3)


def test_a_thousand_forged_posts_change_nothing_and_the_right_one_still_rings():
    async def scenario(bench):
        forged = bench.bell.url + "/7-" + "A" * 43 + "/callback"

        async def attack(times: int) -> set[int]:
            return {await bench.post(forged) for _ in range(times)}

        seen = await asyncio.gather(*(attack(50) for _ in range(20)))
        assert set.union(*seen) == {404}
        assert bench.rung == []
        assert await bench.post(f"{bench.url(7)}/callback") == 200
        assert bench.rung == [(7, "task_01ABC")]

    play(scenario)


def test_attacks_leave_no_word_on_the_terminal(capfd):
    async def scenario(bench):
        await bench.raw(b"\x1b]0;owned\x07 / HTTP/1.1\r\n\r\n")
        await bench.post(f"{bench.url(7)}/callback", b"{")
        await bench.raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")

    play(scenario)
    assert capfd.readouterr() == ("", "")


def test_stopping_closes_a_caller_who_does_nothing():
    async def scenario(bench):
        host, port = bench.bell.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await bench.post(f"{bench.url(7)}/callback")
        await bench.bell.stop()
        assert await reader.read() == b""
        assert bench.bell.url == ""
        writer.close()

    play(scenario, lifetime=1000)


@pytest.mark.parametrize("listen", ["127.0.0.1:99999", "no.such.host.invalid:80", "nonsense"])
def test_an_address_that_cannot_be_listened_on_is_said_so(listen):
    bell = Doorbell(WebhookSettings(listen, PUBLIC), b"secret", lambda *_: None)
    with pytest.raises(InputError, match="cannot be received"):
        asyncio.run(bell.start())


# ── the public address ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "http://hooks.example.com:80/banana",
        "https://hooks.example.com:443/",
        "https://8.8.8.8/hook",
        "https://[2001:4860:4860::8888]/hook",
    ],
)
def test_a_public_address_is_fine(url):
    check_public(url, api_is_local=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://hooks.example.com", "http"),
        ("hooks.example.com/banana", "http"),
        ("https://", "host"),
        ("https://user:pw@hooks.example.com", "host"),
        ("https://hooks.example.com/?a=b", "appended"),
        ("https://hooks.example.com/#a", "appended"),
        ("https://hooks.example.com:8443", "8443"),
        ("https://hooks.example.com:99999", "well-formed"),
        ("https://[::1", "well-formed"),
        ("http://localhost/hook", "this machine"),
        ("http://api.localhost./hook", "this machine"),
        ("http://127.0.0.1", "private or local"),
        ("http://10.1.2.3", "private or local"),
        ("http://192.168.1.1", "private or local"),
        ("http://169.254.169.254", "private or local"),
        ("http://100.64.0.1", "private or local"),
        ("http://0.0.0.0", "private or local"),
        ("http://224.0.0.1", "private or local"),
        ("http://[::1]", "private or local"),
        ("http://[fe80::1]", "private or local"),
        ("http://[::ffff:10.0.0.1]", "private or local"),
        ("http://2130706433", "usual form"),
        ("http://127.1", "usual form"),
        ("http://0x7f.0.0.1", "usual form"),
        ("http://0x7f000001", "usual form"),
        ("http://intranet/hook", "local network"),
    ],
)
def test_an_address_the_platform_would_refuse_is_refused_with_the_reason(url, reason):
    with pytest.raises(InputError) as caught:
        check_public(url, api_is_local=False)
    assert reason in caught.value.why.lower() or reason in caught.value.why


@pytest.mark.parametrize("url", ["http://127.0.0.1:8790", "http://localhost:1234/hook"])
def test_a_local_api_calls_local_addresses(url):
    check_public(url, api_is_local=True)


def test_even_a_local_api_wants_an_http_address():
    with pytest.raises(InputError):
        check_public("file:///etc/passwd", api_is_local=True)
