"""Callbacks as users ask for them: what is refused, what is allowed, what reaches the API."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from cli_desk import KEY, facts

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Call

FOLDER = "out/menu-sandbox"
FAST = ("--sandbox", "--fault", "plain=true")
HERE = ("--listen", "127.0.0.1:0")


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that is not on this machine, and cannot be reached either."""
    monkeypatch.setenv("APIMART_API_KEY", KEY)
    monkeypatch.setenv("APIMART_BASE_URL", "https://api.invalid")


def webhooks(folder: Path) -> list[str]:
    """Return what each task was told to call, in the order of the tasks; `""` for nobody."""
    lines = (folder / "sandbox.jsonl").read_text(encoding="utf-8").splitlines()
    told: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [one["task"]["body"].get("webhook", "") for one in told if "task" in one]


def sends(folder: Path) -> set[int]:
    return {number for (number,) in facts(folder / "state.sqlite", "SELECT sends FROM jobs")}


def test_each_job_has_an_address_of_its_own_that_leads_here(
    banana: Call, spec: Path, tmp_path: Path
) -> None:
    assert banana("run", spec, *HERE, *FAST).code == 0
    told = webhooks(tmp_path / FOLDER)
    assert len(set(told)) == 3
    assert all(one.startswith("http://127.0.0.1:") for one in told)
    assert all(len(one.rpartition("/")[2].partition("-")[2]) == 43 for one in told)


def test_an_api_on_this_machine_calls_any_address(banana: Call, spec: Path, tmp_path: Path) -> None:
    public = "http://127.0.0.1:9/hooks"
    assert banana("run", spec, *HERE, "--public-url", public, *FAST).code == 0
    assert all(one.startswith(f"{public}/") for one in webhooks(tmp_path / FOLDER))


def test_a_webhook_of_ones_own_is_passed_on_and_not_replaced_by_ours(
    banana: Call, tmp_path: Path
) -> None:
    spec = tmp_path / "menu.yaml"
    spec.write_text(
        "version: 1\n"
        "entries:\n"
        "  - {id: soup, prompt: A bowl of soup, webhook: 'http://127.0.0.1:9/mine'}\n"
        "  - {id: salad, prompt: A green salad}\n",
        encoding="utf-8",
    )
    assert banana("run", spec, *HERE, *FAST).code == 0
    mine, ours = sorted(webhooks(tmp_path / FOLDER), key=lambda one: not one.endswith("/mine"))
    assert mine == "http://127.0.0.1:9/mine"
    assert ours.startswith("http://127.0.0.1:")
    assert not ours.startswith(mine)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://192.168.1.7/hooks", "private or local"),
        ("https://hooks.example.com:8443/x", "Port 8443 is not called"),
        ("https://localhost/x", "this machine"),
        ("https://hooks.example.com/x?key=1", "/callback is appended"),
    ],
)
@pytest.mark.usefixtures("far")
def test_an_address_the_platform_would_refuse_is_refused_before_anything_is_sent(
    banana: Call, spec: Path, tmp_path: Path, url: str, reason: str
) -> None:
    said = banana("run", spec, *HERE, "--public-url", url)
    told = said.out + said.err
    assert said.code == 2
    assert "would not call back" in told
    assert reason in " ".join(told.split())
    assert list((tmp_path / "out/menu").rglob("*.sqlite")) == []


@pytest.mark.usefixtures("far")
def test_listening_without_a_public_url_says_what_is_missing(banana: Call, spec: Path) -> None:
    said = banana("run", spec, *HERE)
    assert said.code == 2
    assert "--listen needs --public-url" in said.out + said.err


@pytest.mark.usefixtures("far")
def test_a_public_url_without_listening_says_what_is_missing(banana: Call, spec: Path) -> None:
    said = banana("run", spec, "--public-url", "https://hooks.example.com/x")
    assert said.code == 2
    assert "--public-url needs --listen" in said.out + said.err


def test_an_address_without_a_port_is_refused_by_the_flag_it_was_given_with(
    banana: Call, spec: Path
) -> None:
    said = banana("run", spec, "--listen", "localhost", *FAST)
    assert said.code == 2
    assert "--listen cannot be" in said.err


def test_the_environment_and_the_spec_name_the_receiver_too(
    banana: Call, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = "run: {webhook: {listen: '127.0.0.1:0', public_url: 'http://127.0.0.1:9/spec'}}\n"
    spec.write_text(spec.read_text(encoding="utf-8") + receiver, encoding="utf-8")
    assert banana("run", spec, "--output", "one", *FAST).code == 0
    monkeypatch.setenv("BANANA_BATCH_RUN_PUBLIC_URL", "http://127.0.0.1:9/environment")
    assert banana("run", spec, "--output", "two", *FAST).code == 0
    for name, word in (("one", "spec"), ("two", "environment")):
        found = next(tmp_path.glob(f"{name}*/**/sandbox.jsonl")).parent
        assert all(one.startswith(f"http://127.0.0.1:9/{word}/") for one in webhooks(found))


def test_a_port_that_is_taken_is_said_before_anything_is_sent(
    banana: Call, spec: Path, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        said = banana("run", spec, "--listen", listen, *FAST)
    assert said.code == 2
    assert "callbacks cannot be received" in said.out + said.err
    assert sends(tmp_path / FOLDER) == {0}
