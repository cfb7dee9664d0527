"""`models add`: what the API says of a model becomes a file to review, or nothing at all."""

from __future__ import annotations

import asyncio
import json
import random
import stat
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from models_desk import NAME, JumpingClock, card, world

from pipeline import schema
from pipeline.client import Client
from pipeline.commands import models
from pipeline.commands.look import print_models
from pipeline.commands.validate import validate
from pipeline.errors import InputError, Refused, Rubbish
from pipeline.sandbox import faults, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.errors import Trouble

KEY = "sk-live0123456789abcdefghij"
SAID = {
    "type": "object",
    "required": ["model", "prompt", "brush"],
    "properties": {
        "model": {"type": "string", "enum": ["tiny-brush-1", "another"]},
        "prompt": {"type": "string", "minLength": 1, "x-refused": {"why": "evil", "fix": "pay"}},
        "size": {"type": "string", "enum": ["1:1", "auto"], "$ref": "http://127.0.0.1/evil"},
        "resolution": {"type": "string", "enum": ["0.5K", "1K", "huge"]},
        "brush": {"type": "string", "default": "fine", "description": "\u001b[31mred"},
        "image_urls": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
        "weight": {"type": "number", "maximum": 0.5},
    },
}


@contextmanager
def api(body: bytes, status: int = 200) -> Iterator[str]:
    """Serve an answer to every call, in a thread of its own; yields the base url."""
    ready: list[Any] = []
    started = threading.Event()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/v1/model-schema", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        stop = asyncio.Event()
        ready.extend((runner.addresses[0][1], asyncio.get_running_loop(), stop))
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert started.wait(10)
        yield f"http://127.0.0.1:{ready[0]}"
    finally:
        ready[1].call_soon_threadsafe(ready[2].set)
        thread.join(10)


def answer(said: Any) -> bytes:
    return json.dumps({"code": 200, "data": {"model": NAME, "input_schema": said}}).encode()


def add(here: Path, url: str, name: str = NAME, **options: Any) -> str:
    """Add a model; return what was printed."""
    outside = world(here, APIMART_BASE_URL=url, APIMART_API_KEY=KEY)
    words: dict[str, Any] = {"folder": None, "source": None, "key_file": None, **options}
    assert models.add(outside, name, **words) == 0
    return str(outside.stdout.getvalue())  # type: ignore[attr-defined]


def refused(folder: Path, body: bytes, status: int = 200) -> Trouble:
    """Return why nothing was added; nothing must be left behind."""
    with api(body, status) as url, pytest.raises((InputError, Rubbish)) as caught:
        add(folder, url)
    assert list(folder.rglob("*")) == []
    found: Trouble = caught.value
    said = f"{found} {found.why} {found.fix}"
    assert KEY not in said
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    return found


# ── the client's call ───────────────────────────────────────────────────────────────────────


def test_the_client_asks_the_sandbox_for_a_models_schema() -> None:
    clock = JumpingClock()

    async def ask(name: str) -> dict[str, Any]:
        async with serve(faults([]), clock=clock, dice=random.Random(1)) as sandbox:
            client = Client(
                sandbox.url,
                KEY,
                timeouts=schema.defaults("run")["timeouts"],
                connections=1,
                clock=clock,
                environ={},
            )
            try:
                return await client.model_schema(name)
            finally:
                await client.close()

    told = asyncio.run(ask("gemini-3-pro-image-preview"))
    assert told["properties"]["resolution"]["enum"] == ["1K", "2K", "4K"]
    for unknown in ("no-such-model", "a b&model=x/../..?#", "模型"):
        with pytest.raises(Refused, match="does not exist"):
            asyncio.run(ask(unknown))


# ── the file ────────────────────────────────────────────────────────────────────────────────


def test_the_api_s_schema_becomes_a_model_file_that_can_be_used(tmp_path: Path) -> None:
    with api(answer(SAID)) as url:
        said = add(tmp_path, url)
    assert "Wrote models/tiny-brush-1.json. Review it before you use it:" in said
    found = schema.models(tmp_path / "models")[NAME]
    assert found.max_references == 3
    assert found.card["x-pixels"] == {"0.5K": 512, "1K": 1024}
    (tmp_path / "s.yaml").write_text(
        f"version: 1\nmodels: models\nmodel: {NAME}\nentries:\n"
        "  - {prompt: x, weight: 0.5, resolution: huge}\n",
        encoding="utf-8",
    )
    assert validate(world(tmp_path), ["s.yaml"]) == 0


def test_only_plain_words_of_json_schema_are_taken_over(tmp_path: Path) -> None:
    with api(answer(SAID)) as url:
        add(tmp_path, url)
    text = (tmp_path / "models/tiny-brush-1.json").read_text(encoding="utf-8")
    told = json.loads(text)
    assert told["properties"]["model"]["const"] == NAME
    assert told["properties"]["weight"] == {"type": "number", "maximum": 0.5}
    assert told["required"] == ["model", "prompt", "brush"]
    assert "evil" not in text
    assert "\x1b" not in text


def test_guesses_are_marked_and_the_price_is_the_dearest_known(tmp_path: Path) -> None:
    with api(answer(SAID)) as url:
        add(tmp_path, url)
    told = schema.models(tmp_path / "models")[NAME].card
    assert any("x-price" in guess for guess in told["x-review"])
    assert told["x-price"]["output_per_million_tokens"] == "120"
    assert told["x-price"]["output_tokens_per_image"] == {"0.5K": 2000, "1K": 1120}
    outside = world(tmp_path)
    print_models(outside, format="text", folder="models")
    assert "to review   x-price: the price of" in outside.stdout.getvalue()  # type: ignore[attr-defined]


def test_a_model_of_the_sandbox_comes_through_whole(tmp_path: Path) -> None:
    """What the sandbox tells of a model file of ours makes a file with the same parameters."""
    known = schema.model(card())

    async def ask() -> dict[str, Any]:
        clock = JumpingClock()
        async with serve(
            faults([]), clock=clock, dice=random.Random(1), models={NAME: known}
        ) as sandbox:
            client = Client(
                sandbox.url,
                KEY,
                timeouts=schema.defaults("run")["timeouts"],
                connections=1,
                clock=clock,
                environ={},
            )
            try:
                return await client.model_schema(NAME)
            finally:
                await client.close()

    made = models.model_file(NAME, asyncio.run(ask()), schema.models())
    assert made["properties"].keys() == card()["properties"].keys()
    assert made["x-references"]["max"] == 0


# ── where it goes ───────────────────────────────────────────────────────────────────────────


def test_the_file_goes_where_the_flag_the_spec_or_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("version: 1\nmodels: of-spec\nentries: []\n", "utf-8")
    with api(answer(SAID)) as url:
        add(tmp_path, url, folder="by-flag", source="s.yaml")
        add(tmp_path, url, source="s.yaml")
        outside = world(
            tmp_path, APIMART_BASE_URL=url, APIMART_API_KEY=KEY, BANANA_BATCH_MODELS="of-env:other"
        )
        models.add(outside, NAME, folder=None, source=None, key_file=None)
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json"))
    assert written == [f"{one}/{NAME}.json" for one in ("by-flag", "of-env", "of-spec")]
    assert stat.S_ISREG((tmp_path / written[0]).stat().st_mode)


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "models" / f"{NAME}.json"
    path.parent.mkdir()
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is there already"):
        add(tmp_path, "http://127.0.0.1:9")
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "-x", "a\x1b[31m", "模型", "x" * 101, "a\n"]
)
def test_a_name_that_cannot_be_one_is_refused_before_anything_is_asked(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match="no name of a model") as caught:
        add(tmp_path, "http://127.0.0.1:9", name)
    assert str(caught.value).isprintable()


def test_a_model_that_ships_is_not_added(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="known already"):
        add(tmp_path, "http://127.0.0.1:9", "gemini-3.1-flash-lite-image")


def test_a_model_that_the_api_does_not_know_is_the_user_s_mistake(tmp_path: Path) -> None:
    body = b'{"error":{"code":404,"message":"no such model","type":"invalid_request_error"}}'
    assert "gives no schema" in str(refused(tmp_path, body, 404))


# ── hostile answers ─────────────────────────────────────────────────────────────────────────


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"items": found}
    return found


def with_part(**parts: Any) -> dict[str, Any]:
    return {**SAID, "properties": {**SAID["properties"], **parts}}  # type: ignore[dict-item]


HOSTILE = {
    "no schema": {"code": 200, "data": {}},
    "a list": [1],
    "a schema that is text": {"data": {"input_schema": "x"}},
    "no properties": {"data": {"input_schema": {}}},
    "no prompt": {"data": {"input_schema": {"properties": {"a": {}}}}},
    "prompt is true": {"data": {"input_schema": {"properties": {"prompt": True}}}},
    "deep": {"data": {"input_schema": with_part(deep=nested(60))}},
    "huge": {"data": {"input_schema": with_part(huge={"description": "x" * 400_000})}},
    "endless number": {"data": {"input_schema": with_part(a={"maximum": 10**80})}},
    "odd name": {"data": {"input_schema": with_part(**{"../a": {"type": "string"}})}},
    "wrong type": {"data": {"input_schema": with_part(a={"type": "brush"})}},
    "wrong pattern": {"data": {"input_schema": with_part(a={"pattern": "(\x1b"})}},
    "wrong sizes": {"data": {"input_schema": with_part(size={"enum": [1]})}},
    "with the key": {"data": {"input_schema": with_part(a={"description": KEY})}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_that_is_no_use_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    refused(tmp_path, json.dumps(HOSTILE[name]).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff", b"null", b"NaN", b"1e999"])
def test_an_answer_that_is_not_json_leaves_nothing_behind(tmp_path: Path, body: bytes) -> None:
    refused(tmp_path, body)
