"""One exchange with the API: time-outs, size limits, nothing else."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from pipeline import schema
from pipeline.client.foreign import FOREIGN, translate
from pipeline.client.transport import Sealed
from pipeline.errors import Rubbish

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    import httpx

    from pipeline.client.pools import Pools
    from pipeline.client.text import Censor

_WHOLE_ANSWER = 1.5
"""How many read time-outs a whole answer may take: an endless drip of bytes ends there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the API."""

    status: int
    headers: httpx.Headers
    body: bytes


class Body:
    """A body sent piece by piece: no copy is made, and a peer that stops reading is noticed."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], *, write: float, read: float) -> None:
        """Allow `write` seconds for each piece, and then `read` for the answer."""
        self._pieces = pieces
        self._write = write
        self._read = read
        self.limit: asyncio.Timeout | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces; each one that the peer takes gives it more time."""
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                self._allow(self._write)
                yield piece
        self._allow(self._write + self._read)

    def _allow(self, seconds: float) -> None:
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + seconds)


class Wire:
    """Exchanges with the API, over pools of its own."""

    def __init__(
        self, pools: Pools, *, host: str, censor: Censor, timeouts: Mapping[str, float]
    ) -> None:
        self._pools = pools
        self._host = host
        self._censor = censor
        self._max_answer: int = schema.api("result", "max_answer_bytes")
        self._writing = timeouts["write"]
        self._reading = timeouts["read"] * _WHOLE_ANSWER
        self._whole = timeouts["pool"] + timeouts["write"] + self._reading
        self._limit = timedelta(seconds=self._whole)

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        content: bytes | Body = b"",
    ) -> Answer:
        """Send one request to the API and return its whole answer.

        Follows nothing, retries nothing. Raises `ApiError`: never sent, too late, cut, or an
        answer larger than the limit.
        """
        try:
            if isinstance(content, bytes):
                request = Sealed(method, url, headers, content, self._limit)
                return await self._exchange(self._pools.lead("calls", url), request)
            request = Sealed(method, url, headers, content)
            async with asyncio.timeout(self._whole) as content.limit:
                return await self._exchange(self._pools.lead("uploads", url), request)
        except FOREIGN as error:
            raise translate(error, self._host, self._censor) from error
        finally:
            if isinstance(content, Body):
                content.limit = None

    async def _exchange(self, way: httpx.AsyncBaseTransport, request: Sealed) -> Answer:
        response = await way.handle_async_request(request)
        body = await self._read(response)
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            body = self._inflate(body, encoding)
        return Answer(response.status_code, response.headers, body)

    async def _read(self, response: httpx.Response) -> bytes:
        stream = cast("httpx.AsyncByteStream", response.stream)
        chunks, total = [], 0
        try:
            async for chunk in stream:
                chunks.append(chunk)
                total += len(chunk)
                if total > self._max_answer:
                    raise Rubbish(f"{self._host} answered with more than {self._max_answer} bytes")
        finally:
            await stream.aclose()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def body(self, pieces: AsyncGenerator[bytes, None]) -> Body:
        """Return a body that is sent as a stream. Its headers must tell its length."""
        return Body(pieces, write=self._writing, read=self._reading)

    def _inflate(self, body: bytes, encoding: str) -> bytes:
        """Undo a compression that was not asked for, up to the limit and no further."""
        if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
            raise Rubbish(f"{self._host} answered in an encoding that was not asked for")
        inflater = zlib.decompressobj(wbits=47)  # zlib or gzip, by its own header
        try:
            plain = inflater.decompress(body, self._max_answer + 1)
        except zlib.error as error:
            raise Rubbish(f"{self._host} answered with damaged compressed data") from error
        if len(plain) > self._max_answer:
            raise Rubbish(f"{self._host} answered with more than {self._max_answer} bytes")
        return plain
