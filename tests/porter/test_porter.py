"""Images brought home by a second process: the same as by the first one, whatever becomes of it."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image as Picture

from pipeline import errors, metadata
from pipeline.api import Brought, Parcel
from pipeline.client import Hosts
from pipeline.clock import SystemClock
from pipeline.download import Shelf
from pipeline.model import Image
from pipeline.porter import Crew, Hands, Outfit
from pipeline.porter.lines import brought, confessed, error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TIMEOUTS = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}
FACTS = {"prompt": "a cup", "tool": "banana-batch"}


def png(color: str = "red") -> bytes:
    data = io.BytesIO()
    Picture.new("RGB", (8, 6), color).save(data, "PNG")
    return data.getvalue()


@asynccontextmanager
async def serving(
    body: bytes, *, answers: bool = True, asked: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """Serve `body` under every path, or take requests, say so, and never answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                if asked is not None:
                    asked.set()
                if answers:
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                    writer.write(head.encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()


class Spare:
    """A porter that says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Parcel] = []

    async def bring(self, parcel: Parcel) -> Brought:
        self.asked.append(parcel)
        return Brought(Image(0, "", file="images/spare.png"), 0.0)


@dataclass(frozen=True, slots=True)
class Surprising(Outfit):
    """An outfit that no second process understands."""

    surprise: str = ""


class Hired:
    """A crew at work, and what is heard of it."""

    def __init__(self, folder: Path, limit: float = 60.0, **changes: Any) -> None:
        settings: dict[str, Any] = {
            "folder": str(folder),
            "timeouts": TIMEOUTS,
            "connections": 4,
            "thorough": False,
            "embed": False,
            "sidecar": False,
        }
        surprise = changes.pop("surprise", None)
        self.outfit = Outfit(**{**settings, **changes})
        self.spare = Spare()
        self.ended: list[str] = []
        secrets = {"APIMART_API_KEY": "sk-secret-key-0123456789", "GH_TOKEN": "a secret too"}
        environ = {**os.environ, **secrets}
        if surprise is not None:
            self.outfit = Surprising(**asdict(self.outfit), surprise=surprise)
        self.crew = Crew(self.outfit, self.spare, environ, limit=limit, ended=self._end)

    def _end(self, last_words: str) -> None:
        self.ended.append(last_words)

    @property
    def process(self) -> Any:
        return self.crew._process

    async def __aenter__(self) -> Hired:
        await self.crew.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.crew.close()


def parcel(base: str, stem: str = "a") -> Parcel:
    return Parcel(f"{base}/{stem}.png", f"{stem}-1", stem, FACTS)


def test_an_image_is_brought_home_as_the_first_process_would_bring_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(png()) as base, Hired(tmp_path / "there") as hired:
            away = await hired.crew.bring(parcel(base))
            hosts = Hosts(timeouts=TIMEOUTS, connections=4, clock=SystemClock(), environ={})
            shelf = Shelf(tmp_path / "here")
            here = await Hands(hosts, shelf, SystemClock(), embed=False, sidecar=False).bring(
                parcel(base)
            )
            await hosts.close()
            shelf.close()
            assert away.image == here.image
            assert away.seconds > 0
            assert (hired.spare.asked, hired.ended) == ([], [])

    asyncio.run(scene())
    there, here = (tmp_path / name / "images" / "a.png" for name in ("there", "here"))
    assert there.read_bytes() == here.read_bytes() == png()


def test_many_images_come_at_once(tmp_path: Path) -> None:
    async def scene() -> list[Brought]:
        async with serving(png()) as base, Hired(tmp_path) as hired:
            return await asyncio.gather(
                *(hired.crew.bring(parcel(base, f"n{number}")) for number in range(50))
            )

    files = sorted(one.image.file for one in asyncio.run(scene()))
    assert files == sorted(f"images/n{number}.png" for number in range(50))


def test_facts_are_written_into_the_image_and_beside_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(png()) as base, Hired(tmp_path, embed=True, sidecar=True) as hired:
            await hired.crew.bring(parcel(base))

    asyncio.run(scene())
    assert metadata.read((tmp_path / "images" / "a.png").read_bytes()) == FACTS
    assert (tmp_path / "images" / "a.json").read_bytes() == metadata.sidecar(FACTS)


@pytest.mark.parametrize(
    ("body", "stem", "kind"),
    [(b"<html>no</html>", "a", errors.NotAnImage), (png(), "../a", errors.DiskError)],
)
def test_what_goes_wrong_there_is_raised_here(
    tmp_path: Path, body: bytes, stem: str, kind: type[errors.Trouble]
) -> None:
    async def scene() -> None:
        async with serving(body) as base, Hired(tmp_path) as hired:
            with pytest.raises(kind):
                await hired.crew.bring(Parcel(f"{base}/i", "1-1", stem, {}))

    asyncio.run(scene())


def children(kind: type[errors.Trouble]) -> list[type[errors.Trouble]]:
    found = [kind]
    for one in kind.__subclasses__():
        found += [two for two in children(one) if two.__module__ == errors.__name__]
    return found


@pytest.mark.parametrize("kind", [*children(errors.ApiError), errors.DiskError, errors.InputError])
def test_every_error_arrives_as_it_left(kind: type[errors.Trouble]) -> None:
    words: dict[str, Any] = {"why": "because", "fix": "do this"}
    if issubclass(kind, errors.ApiError):
        words |= {"kind": "rate_limit_error", "code": 429, "retry_after": 1.5}
    left = kind("it went wrong", **words)
    arrived = error(confessed(left))
    assert type(arrived) is kind
    assert vars(arrived) == vars(left)


def test_a_bug_there_is_a_bug_here(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(png()) as base, Hired(tmp_path) as hired:
            with pytest.raises(RuntimeError, match="AttributeError"):
                await hired.crew.bring(Parcel(base, "1-1", 7, {}))  # type: ignore[arg-type]

    asyncio.run(scene())


def test_when_it_is_killed_the_first_process_brings_what_was_under_way(tmp_path: Path) -> None:
    async def scene() -> None:
        asked = asyncio.Event()
        async with serving(png(), answers=False, asked=asked) as base, Hired(tmp_path) as hired:
            waiting = asyncio.ensure_future(hired.crew.bring(parcel(base)))
            await asked.wait()
            hired.process.kill()
            assert (await waiting).image.file == "images/spare.png"
            assert (await hired.crew.bring(parcel(base, "b"))).image.file == "images/spare.png"
            assert hired.spare.asked == [parcel(base), parcel(base, "b")]
            assert len(hired.ended) == 1

    asyncio.run(scene())


def test_when_it_hangs_it_is_let_go_and_the_first_process_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serving(png()) as base, Hired(tmp_path, limit=0.2) as hired:
            hired.process.send_signal(signal.SIGSTOP)
            assert (await hired.crew.bring(parcel(base))).image.file == "images/spare.png"
            hired.process.wait()
            assert (await hired.crew.bring(parcel(base, "b"))).image.file == "images/spare.png"

    asyncio.run(scene())


def test_what_it_said_in_the_end_is_passed_on(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Hired(tmp_path, surprise="not a field of an outfit") as hired:
            await hired.crew.bring(parcel("http://images.test"))
            assert "surprise" in hired.ended[0]

    asyncio.run(scene())


def test_it_ends_when_it_is_let_go_in_the_middle_of_something(tmp_path: Path) -> None:
    async def scene() -> None:
        asked = asyncio.Event()
        async with serving(png(), answers=False, asked=asked) as base:
            hired = Hired(tmp_path)
            await hired.crew.start()
            process = hired.process
            waiting = asyncio.ensure_future(hired.crew.bring(parcel(base)))
            await asked.wait()
            waiting.cancel()
            await hired.crew.close()
            assert process.returncode is not None
            assert hired.ended == []

    asyncio.run(scene())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_everybody_are_for_the_first_process_to_act_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def scene() -> None:
        async with serving(png()) as base, Hired(tmp_path) as hired:
            await hired.crew.bring(parcel(base))
            hired.process.send_signal(number)
            await hired.crew.bring(parcel(base, "b"))
            assert (hired.spare.asked, hired.ended) == ([], [])

    asyncio.run(scene())


def test_an_image_that_went_elsewhere_is_not_believed() -> None:
    home = ["images/b.png", 1, "00", 8, 6, "PNG", 0.1]
    assert brought(home, "b").image.file == "images/b.png"
    with pytest.raises(RuntimeError, match=r"images/b\.png"):
        brought(home, "a")


def test_it_does_not_know_the_key(tmp_path: Path) -> None:
    async def scene() -> bytes:
        async with serving(png()) as base, Hired(tmp_path) as hired:
            await hired.crew.bring(parcel(base))
            return Path(f"/proc/{hired.process.pid}/environ").read_bytes()

    if not Path("/proc/self/environ").exists():
        pytest.skip("this system does not show a process's environment")
    said = asyncio.run(scene())
    assert b"PATH=" in said
    assert b"secret" not in said


def test_a_folder_of_the_users_that_is_called_like_ours_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)

    async def scene() -> None:
        async with serving(png()) as base, Hired(tmp_path / "out") as hired:
            await hired.crew.bring(parcel(base))
            assert hired.spare.asked == []

    asyncio.run(scene())


def test_where_no_process_can_be_started_the_first_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-such-python"))

    async def scene() -> None:
        async with Hired(tmp_path) as hired:
            await hired.crew.bring(parcel("http://images.test"))
            assert (len(hired.spare.asked), len(hired.ended)) == (1, 1)

    asyncio.run(scene())
