"""Looks, uploads, balances: whatever shape the answer has, and where requests go."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from client_desk import KEY, answer, ask, client, hosts, tell

from pipeline import errors, money
from pipeline.api import Phase, Result, Task
from pipeline.client import address


def look(*answers: bytes, seen: list[Any] | None = None) -> Any:
    return ask(lambda api: api.look("task_1"), tell(*answers, seen=seen))


def seen_as(**data: object) -> Task:
    found = look(answer({"code": 200, "data": {"status": "completed", **data}}))
    assert isinstance(found, Task)
    return found


def test_a_look_asks_for_the_task_in_english() -> None:
    seen: list[Any] = []
    look(answer({"data": {"status": "pending"}}), seen=seen)
    assert seen[0][0] == "GET /v1/tasks/task_1?language=en HTTP/1.1"


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("submitted", Phase.RUNNING),
        ("in_progress", Phase.RUNNING),
        ("daydreaming", Phase.RUNNING),
        ("completed", Phase.COMPLETED),
        ("SUCCESS", Phase.COMPLETED),
        ("succeeded", Phase.COMPLETED),
        ("failed", Phase.FAILED),
        ("cancelled", Phase.FAILED),
    ],
)
def test_a_status_never_seen_means_running(word: str, phase: Phase) -> None:
    assert seen_as(status=word).phase is phase


@pytest.mark.parametrize(
    "result",
    [
        {"images": [{"url": ["https://a/1", "https://a/2"]}]},
        {"images": [{"url": "https://a/1"}, {"url": "https://a/2"}]},
        {"images": ["https://a/1", "https://a/2"]},
        {"images": {"url": ["https://a/1", "https://a/2"]}},
    ],
)
def test_urls_are_found_in_every_shape(result: object) -> None:
    assert [one.url for one in seen_as(result=result).results] == ["https://a/1", "https://a/2"]


def test_only_urls_that_can_be_asked_for_are_kept() -> None:
    hostile = [
        "file:///etc/passwd",
        "ftp://a/1",
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        "https://[::1",
        f"https://a/?k={KEY}",
        "https://a/\x1b",
        7,
        None,
        {"url": "https://a/"},
        "https://ok/1",
    ]
    assert seen_as(result={"images": [{"url": hostile}]}).results == (Result("https://ok/1"),)


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        (1763174708, 1763174708.0),
        (1763174708000, 1763174708.0),
        ("1763174708", 1763174708.0),
        ("2025-11-15T02:45:08Z", 1763174708.0),
        ("2025-11-15T02:45:08", 1763174708.0),
        (None, 0.0),
        ("yesterday", 0.0),
        (True, 0.0),
        (-5, 0.0),
        ("1e999", 0.0),
    ],
)
def test_times_are_read_in_every_form(told: object, moment: float) -> None:
    found = seen_as(completed=told, result={"images": [{"url": "https://a/", "expires_at": told}]})
    assert found.completed == moment
    assert found.results[0].expires_at == moment


@pytest.mark.parametrize(
    ("data", "cost"),
    [
        ({"cost": 0.0336}, "0.0336"),
        ({"cost": "0.0336"}, "0.0336"),
        ({"cost": 0.1}, "0.1"),
        ({"cost": None}, None),
        ({}, None),
        ({"cost": "free"}, None),
        ({"cost": -1}, None),
        ({"credits_cost": 0.336}, "0.0336"),
    ],
)
def test_a_cost_is_exact(data: dict[str, object], cost: str | None) -> None:
    assert seen_as(**data).cost == (None if cost is None else money.parse(cost))


@pytest.mark.parametrize(
    ("told", "progress"), [(45, 45), ("45%", 45), (120, 100), (-1, 0), ("x", 0), ([], 0)]
)
def test_progress_is_a_number_from_0_to_100(told: object, progress: float) -> None:
    assert seen_as(progress=told).progress == progress


def test_a_failure_says_why_without_the_key_or_control_characters() -> None:
    found = seen_as(status="failed", error={"type": "t", "message": f"no\x1b[2J {KEY}"})
    assert (found.error_type, found.error_message) == ("t", "no [2J [key]")
    assert seen_as(status="failed", error="flagged").error_message == "flagged"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data":{}}', b'{"data":{"status":1}}'])
def test_a_look_without_a_status_is_rubbish(body: bytes) -> None:
    with pytest.raises(errors.Rubbish):
        look(answer(body))


def test_a_task_that_the_api_does_not_know_is_said_so() -> None:
    with pytest.raises(errors.UnknownTask, match="does not know"):
        look(answer({"error": {"message": "no such task"}}, 404))


def test_an_answer_compressed_unasked_is_read_within_the_limit() -> None:
    body = gzip.compress(b'{"data":{"status":"pending"}}')
    assert look(answer(body, headers={"Content-Encoding": "gzip"})).phase is Phase.RUNNING
    with pytest.raises(errors.Rubbish, match="more than"):
        look(answer(gzip.compress(b" " * (9 << 20)), headers={"Content-Encoding": "gzip"}))
    with pytest.raises(errors.Rubbish, match="not asked for"):
        look(answer(b"x", headers={"Content-Encoding": "br"}))


# ── uploads and balances ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"data": one}])
def test_an_upload_is_one_file_of_announced_length(tmp_path: Path, wrap: Any) -> None:
    file = tmp_path / 'we"ird\n.png'
    file.write_bytes(b"\x89PNG" + bytes(700_000))
    seen: list[Any] = []
    told = wrap({"url": "https://up/1.png", "created_at": 1763174708})
    found = ask(lambda api: api.upload(file, "image/png"), tell(answer(told), seen=seen))
    assert (found.url, found.created) == ("https://up/1.png", 1763174708.0)
    _, headers, body = seen[0]
    boundary = headers["content-type"].partition("boundary=")[2].encode()
    assert body.count(b"--" + boundary) == 2
    assert b'name="file"; filename="reference.png"\r\nContent-Type: image/png\r\n' in body
    assert file.read_bytes() in body


def test_a_reference_that_is_gone_is_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Refused, match=r"gone\.png"):
        ask(lambda api: api.upload(tmp_path / "gone.png", "image/png"), tell(answer({})))


def test_an_upload_without_a_url_is_rubbish(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    with pytest.raises(errors.Rubbish):
        ask(lambda api: api.upload(file, "image/png"), tell(answer({"url": "ftp://x/"})))


def balance(document: object) -> Any:
    return ask(lambda api: api.balance(), tell(answer(document)))


def test_a_balance_is_exact_and_unlimited_is_none() -> None:
    found = balance({"success": True, "remain_balance": 12.3, "used_balance": "0.1"})
    assert (found.remaining, found.used) == (money.parse("12.3"), money.parse("0.1"))
    assert balance({"success": True, "remain_balance": -1}).remaining is None
    assert balance({"success": True, "unlimited_quota": True}).remaining is None


def test_a_balance_that_failed_as_a_200_is_an_error() -> None:
    with pytest.raises(errors.Refused, match="invalid token"):
        balance({"success": False, "message": "invalid token"})


# ── where it goes ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("told", "base"),
    [
        ("https://api.example.com", "https://api.example.com"),
        (" https://API.example.com/ ", "https://api.example.com"),
        ("https://api.example.com/v1/", "https://api.example.com"),
        ("https://gate.example.com/apimart/v1", "https://gate.example.com/apimart"),
        ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
        ("http://10.0.0.7", "http://10.0.0.7"),
        ("http://sandbox:8787", "http://sandbox:8787"),
        ("http://api.internal", "http://api.internal"),
    ],
)
def test_a_base_url_is_normalised(told: str, base: str) -> None:
    api = client(told)
    assert api.host == base


@pytest.mark.parametrize(
    "told",
    [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://user:pass@api.example.com",
        "https://api.example.com?key=1",
        "https://api.example.com/#x",
        "http://api.example.com",
        "http://8.8.8.8",
        "https://exa mple.com",
        "https://" + "a" * 70 + ".com",
    ],
)
def test_a_base_url_that_would_not_do_is_refused_before_anything_is_sent(told: str) -> None:
    with pytest.raises(errors.InputError) as caught:
        client(told)
    assert "pass" not in caught.value.summary
    assert caught.value.fix


@pytest.mark.parametrize("key", ["", "  ", "a b", "sk\r\nX-Evil: 1", "schlüssel-über-alles"])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(errors.InputError) as caught:
        client("https://a.example", key=key)
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://a.example/x", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://a.example/x", {"https_proxy": "p:3128"}, "http://p:3128"),
        ("https://a.example/x", {"HTTP_PROXY": "http://p:3128"}, ""),
        ("https://a.example/x", {"ALL_PROXY": "http://p:3128"}, "http://p:3128"),
        ("http://127.0.0.1:1/x", {"HTTP_PROXY": "http://p:3128"}, ""),
        ("http://localhost/x", {"HTTP_PROXY": "http://p:3128"}, ""),
    ],
)
def test_the_proxy_is_that_of_the_usual_variables(
    url: str, environ: dict[str, str], proxy: str
) -> None:
    assert address.proxy(url, environ) == proxy


@pytest.mark.parametrize(
    ("rule", "direct"),
    [
        ("*", True),
        ("a.example", True),
        (".a.example", True),
        ("example", True),
        ("other, img.a.example", True),
        ("img.a.example:443", True),
        ("img.a.example:80", False),
        ("a.exampl", False),
        ("mg.a.example", False),
        ("10.0.0.0/8", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_ports(rule: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": rule}
    assert (address.proxy("https://img.a.example/x", environ) == "") is direct


def test_no_proxy_names_networks() -> None:
    environ = {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}
    assert address.proxy("http://10.1.2.3/x", environ) == ""
    assert address.proxy("http://11.1.2.3/x", environ) == "http://p:1"


@pytest.mark.parametrize(
    "proxy",
    ["socks5://p:1", "http://", "http://[::1", "http://xn--:1", "http://ho st:1", "http://%zz:1"],
)
def test_a_proxy_that_cannot_be_used_is_refused_at_once(proxy: str) -> None:
    with pytest.raises(errors.InputError, match="proxy"):
        hosts(environ={"HTTP_PROXY": proxy})
    with pytest.raises(errors.InputError, match="proxy"):
        client("https://a.example", environ={"HTTPS_PROXY": proxy})


def test_in_a_folder_of_certificates_other_files_are_passed_over(tmp_path: Path) -> None:
    good = Path(__file__).with_name("localhost.pem").read_bytes()
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAA\n")
    (tmp_path / "notes.txt").write_text("nothing to see here")
    (tmp_path / "good.pem").write_bytes(good)
    assert address.certificates({"REQUESTS_CA_BUNDLE": str(tmp_path)}) == [good]


def test_certificates_that_are_not_there_are_refused_at_once(tmp_path: Path) -> None:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR"):
        with pytest.raises(errors.InputError, match="certificates"):
            client("https://a.example", environ={name: str(tmp_path / "none")})
