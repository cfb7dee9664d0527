"""The other host: result images and uploads, which must never be asked for with a key."""

from __future__ import annotations

import asyncio
import base64
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from pipeline import schema
from pipeline.sandbox import fonts, pictures
from pipeline.sandbox.answers import HangUp
from pipeline.sandbox.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pipeline.model import Model
    from pipeline.sandbox.tasks import Task
    from pipeline.sandbox.world import World

_RESULT = re.compile(r"^(task_[0-9A-Z]{26})-([0-9]{1,3})\.(?:jpg|png|webp)$")
_EXPIRED = (
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>"
    b"<Message>Request has expired</Message></Error>"
)
_PAGE = b"<!doctype html><title>Sign in</title><p>Please sign in to continue."
_PIXELS = 1024
"""A side of a picture whose model does not say how large it draws."""
_ENDLESS_CHUNK = bytes(65536)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One result file that may be had: image `index` of `task`, and who asks for it."""

    request: web.Request
    task: Task
    index: int


class Files:
    """Serves `/files/<expiry>/<task>-<index>.<ext>` and `/uploads/<name>`."""

    def __init__(self, world: World, models: dict[str, Model]) -> None:
        self._world = world
        self._models = models
        # Drawing holds the interpreter only part of the time; more threads than this would
        # slow the answers that need none.
        self._painters = ThreadPoolExecutor(2, thread_name_prefix="painter")

    def close(self) -> None:
        """Let the threads go."""
        self._painters.shutdown(wait=False, cancel_futures=True)

    # ── uploads ─────────────────────────────────────────────────────────────────────────────

    def alive(self, url: str) -> bool:
        """Say whether a reference can be fetched, as far as we know: false for a dead upload."""
        name = self._upload_name(url)
        if name is None:
            return True
        upload = self._world.ledger.upload(name)
        if upload is None:
            return False
        life: float = schema.api("upload", "lifetime_seconds")
        return self._world.clock.now() < upload.created_at + life

    def _upload_name(self, url: str) -> str | None:
        """Return the upload's name when the url is one of ours, whatever our port was then."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        ours = urlsplit(self._world.url).hostname
        if parts.hostname != ours or not parts.path.startswith("/uploads/"):
            return None
        return parts.path.removeprefix("/uploads/")

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /uploads/<name>`."""
        if refused := self._refused(request):
            return refused
        name = request.match_info["name"]
        upload = self._world.ledger.upload(name)
        if upload is None or not self.alive(f"{self._world.url}/uploads/{name}"):
            return web.Response(status=404)
        contents = self._world.ledger.contents(upload)
        return web.Response(body=contents, content_type=upload.content_type)

    # ── results ─────────────────────────────────────────────────────────────────────────────

    async def result(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /files/<expiry in ms>/<name>`."""
        if refused := self._refused(request):
            return refused
        found = _RESULT.match(request.match_info["name"])
        task = self._world.ledger.task(found[1]) if found else None
        now = self._world.clock.now()
        if found is None or task is None or not task.finished(now):
            return web.Response(status=404)
        if not 1 <= int(found[2]) <= task.delivered:
            return web.Response(status=404)
        if now >= int(request.match_info["expires"]) / 1000:
            return web.Response(status=403, body=_EXPIRED, content_type="application/xml")
        wanted = _Wanted(request, task, int(found[2]))
        return await (self._fault(request) or self._whole)(wanted)

    def _refused(self, request: web.Request) -> web.Response | None:
        self._world.ledger.requests["file"] += 1
        if "Authorization" not in request.headers:
            return None
        self._world.ledger.leak(request.path)
        return web.Response(status=400, text="a file must not be asked for with a key")

    def _fault(
        self, request: web.Request
    ) -> Callable[[_Wanted], Awaitable[web.StreamResponse]] | None:
        world, faults = self._world, self._world.faults
        if "moved" not in request.query and world.happens(faults.redirect):
            return self._elsewhere
        if world.happens(faults.not_image):
            return self._page
        if world.happens(faults.huge):
            return self._endless
        if world.happens(faults.truncate):
            return self._torn if world.dice.random() < 0.5 else self._short
        return None

    async def _whole(self, wanted: _Wanted) -> web.Response:
        form = self._world.faults.format
        return web.Response(body=await self._drawn(wanted), content_type=f"image/{form}")

    async def _elsewhere(self, wanted: _Wanted) -> web.Response:
        scheme = self._world.faults.redirect_scheme
        target = f"{wanted.request.path}?moved=1"
        if scheme:
            target = scheme + (
                "etc/passwd" if scheme.endswith("///") else wanted.request.host + target
            )
        return web.Response(status=302, headers={"Location": target})

    async def _page(self, _: _Wanted) -> web.Response:
        return web.Response(body=_PAGE, content_type="text/html")

    async def _short(self, wanted: _Wanted) -> web.Response:
        """A file that stops in the middle, whose length says nothing of it."""
        contents = await self._drawn(wanted)
        form = self._world.faults.format
        return web.Response(body=contents[: len(contents) // 2], content_type=f"image/{form}")

    async def _torn(self, wanted: _Wanted) -> web.StreamResponse:
        """A file of honest length whose connection is cut in the middle."""
        contents = await self._drawn(wanted)
        answer = self._stream(len(contents))
        await answer.prepare(wanted.request)
        await answer.write(contents[: len(contents) // 2])
        raise HangUp

    async def _endless(self, wanted: _Wanted) -> web.StreamResponse:
        answer = self._stream(None)
        await answer.prepare(wanted.request)
        await answer.write(await self._drawn(wanted))
        while True:
            await answer.write(_ENDLESS_CHUNK)
            await asyncio.sleep(0)

    def _stream(self, length: int | None) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_type = f"image/{self._world.faults.format}"
        answer.content_length = length
        return answer

    # ── drawing ─────────────────────────────────────────────────────────────────────────────

    async def _drawn(self, wanted: _Wanted) -> bytes:
        picture = self._picture(wanted.task, wanted.index)
        if self._world.faults.plain:
            return pictures.plain(picture.width, picture.height, picture.format)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._painters, lambda: pictures.draw(picture, fonts.system())
        )

    def _picture(self, task: Task, index: int) -> Picture:
        card = self._models[task.body["model"]].card
        sizes = card["properties"]
        size, resolution = (
            str(task.body.get(name, sizes.get(name, {}).get("default", "")))
            for name in ("size", "resolution")
        )
        seed = f"{task.id}-{index}"
        width, height = pictures.measure(
            size, card.get("x-pixels", {}).get(resolution, _PIXELS), task.id
        )
        references: tuple[bytes | str, ...] = ()
        if not self._world.faults.plain:
            references = tuple(self._reference(u) for u in task.body.get("image_urls", ()))
        return Picture(
            prompt=task.body["prompt"],
            size=size,
            width=width,
            height=height,
            references=references,
            seed=seed,
            format=self._world.faults.format,
        )

    def _reference(self, url: str) -> bytes | str:
        if url.startswith("data:"):
            return base64.b64decode(url.partition(",")[2])
        name = self._upload_name(url)
        upload = self._world.ledger.upload(name) if name else None
        return self._world.ledger.contents(upload) if upload else url
