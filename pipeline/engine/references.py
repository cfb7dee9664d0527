"""What a request holds besides its words: reference images, and where to call back.

A local reference is uploaded once for all jobs that use it, by its contents, and its url is kept
until it nears its end. An inlined one is kept in the state file while a request with it may have
to go out again, so that the very same bytes can.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from pipeline import schema
from pipeline.errors import Refused
from pipeline.model import ReferenceKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.api import Api
    from pipeline.engine.journal import Journal
    from pipeline.model import Record, Reference
    from pipeline.state import Book

_KEPT = "kept:"


class ReferenceChanged(Refused):
    """A local reference is not the file any more that the plan saw."""


class References:
    """Turns a job's references into what its body says of them."""

    def __init__(
        self, api: Api, book: Book, journal: Journal, host: str, webhook: Callable[[int], str]
    ) -> None:
        """Upload to `host` through `api`. `webhook` gives our own receiver's address for a job."""
        self._api = api
        self._book = book
        self._journal = journal
        self._host = host
        self._webhook = webhook
        self._uploading: dict[str, asyncio.Task[str]] = {}

    async def extras(self, record: Record) -> str:
        """Return the JSON of what the body holds besides the request, `""` for nothing.

        Uploads what is not uploaded yet. Raises `ApiError` when that does not succeed, and
        `ReferenceChanged` when a file was edited since the plan.
        """
        extras: dict[str, Any] = {}
        if record.references:
            extras["image_urls"] = [await self._one(one, record) for one in record.references]
        if webhook := record.webhook or self._webhook(record.number):
            extras["webhook"] = webhook
        return json.dumps(extras, ensure_ascii=False, separators=(",", ":")) if extras else ""

    async def _one(self, one: Reference, record: Record) -> str:
        if one.kind is not ReferenceKind.LOCAL:
            return one.source
        if record.references_as == "inline":
            return await self._inline(one)
        digest = one.identity.removeprefix("sha256:")
        held = self._book.upload(
            digest, self._host, self._journal.now() + schema.api("upload", "renew_before_seconds")
        )
        if held:
            return held
        if digest not in self._uploading:
            task = asyncio.ensure_future(self._upload(one, digest))
            self._uploading[digest] = task
            task.add_done_callback(lambda _: self._uploading.pop(digest, None))
        return await asyncio.shield(self._uploading[digest])

    async def _upload(self, one: Reference, digest: str) -> str:
        assert one.path is not None  # noqa: S101 - a local reference has a path
        await asyncio.to_thread(_read, one)
        uploaded = await self._api.upload(one.path, one.media_type)
        await asyncio.to_thread(_read, one)  # edited meanwhile, it is not what the plan saw
        now = self._journal.now()
        expires = min(uploaded.created or now, now) + schema.api("upload", "lifetime_seconds")
        await self._journal.keep(
            lambda store: store.keep_upload(digest, self._host, uploaded.url, expires)
        )
        return uploaded.url

    def stop(self) -> None:
        """Give up on uploads that nobody waits for any more."""
        for task in self._uploading.values():
            task.cancel()

    async def _inline(self, one: Reference) -> str:
        data = await asyncio.to_thread(_read, one)
        digest = one.identity.removeprefix("sha256:")
        await self._journal.keep(lambda store: store.keep_blob(digest, data))
        return f"{_KEPT}{one.media_type}:{digest}"

    def body(self, record: Record) -> bytes:
        """Return the exact bytes of a job's request, the same ones each time."""
        if not record.extras:
            return record.request.encode()
        extras = record.extras
        if f'"{_KEPT}' in extras:
            told = json.loads(extras)
            told["image_urls"] = [self._unfold(url) for url in told["image_urls"]]
            extras = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        return f"{record.request[:-1]},{extras[1:]}".encode()

    def _unfold(self, url: str) -> str:
        if not url.startswith(_KEPT):
            return url
        media, digest = url.removeprefix(_KEPT).split(":")
        data = self._book.blob(digest)
        if data is None:
            raise Refused(f"the inlined reference {digest[:12]} is no longer in the state file")
        return f"data:{media};base64,{base64.b64encode(data).decode()}"


def _read(one: Reference) -> bytes:
    """Return a local reference's bytes, after making sure they are those the plan saw."""
    assert one.path is not None  # noqa: S101 - a local reference has a path
    try:
        data = one.path.read_bytes()
    except OSError as error:
        raise ReferenceChanged(
            f"reference {one.source} cannot be read any more: {error.strerror or error}",
            fix="Put it back and run again.",
        ) from error
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != one.identity:
        raise ReferenceChanged(
            f"reference {one.source} was changed while the run went on",
            why="The picture would not be the one that was planned.",
            fix="Run again: the changed reference makes its entries again.",
        )
    return data
