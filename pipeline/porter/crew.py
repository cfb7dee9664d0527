"""A porter that has a second process do the carrying."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from pipeline.porter.lines import Lines, brought, error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.api import Brought, Parcel, Porter
    from pipeline.porter.outfit import Outfit

_NEEDED = re.compile(
    "PATH|HOME|TMPDIR|TZ|LANG|LC_.*|PYTHON.*|LD_LIBRARY_PATH|VIRTUAL_ENV"
    "|SSL_CERT_.*|REQUESTS_CA_BUNDLE|(http|https|all|no)_proxy|(HTTP|HTTPS|ALL|NO)_PROXY"
)
"""Variables that the second process is given. The key, and whatever else is secret, is not."""
_PATIENCE = 2.0
"""Seconds in which it may end by itself; its part files are swept up after it."""
_LAST_WORDS = 500
"""Characters of what it said in the end that are passed on."""


class _Lost(Exception):
    """The second process has ended while an image was under way."""


class Crew:
    """Implements `pipeline.api.Porter`. Whatever becomes of the second process, `spare` goes on.

    It ends with this process, however that ends: the socket between them closes then.
    """

    def __init__(
        self,
        outfit: Outfit,
        spare: Porter,
        environ: Mapping[str, str],
        *,
        limit: float,
        ended: Callable[[str], None],
    ) -> None:
        """Let the second process go once it has been silent about an image for `limit` seconds.

        `ended` is called, with its last words, when it ends before it was told to.
        """
        self._outfit = outfit
        self._spare = spare
        self._environ = {name: environ[name] for name in environ if _NEEDED.fullmatch(name)}
        self._limit = limit
        self._ended = ended
        self._numbers = itertools.count(1)
        self._under_way: dict[int, asyncio.Future[list[Any]]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._lines: Lines | None = None

    async def start(self) -> None:
        """Start the second process; it is ready some time later, and parcels may wait for it."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = self._hire(theirs)
        except OSError as error:
            ours.close()
            self._ended(str(error))
            return
        lines = self._lines = Lines(self._hear, self._lost)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: lines, sock=ours)
        lines.send(asdict(self._outfit))

    def _hire(self, end: socket.socket) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            # -P: a folder of the user's that is called like ours is not ours.
            [sys.executable, "-P", "-m", "pipeline.porter"],
            stdin=end.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=self._said.fileno(),
            env=self._environ,
            start_new_session=True,  # Ctrl-C is for the first process to act on
        )

    async def bring(self, parcel: Parcel) -> Brought:
        """Have one image fetched, once. Raises what `Hands.bring` does."""
        if self._lines is None:
            return await self._spare.bring(parcel)
        number = next(self._numbers)
        future = self._under_way[number] = asyncio.get_running_loop().create_future()
        self._lines.send([number, parcel.url, parcel.name, parcel.stem, dict(parcel.facts)])
        try:
            async with asyncio.timeout(self._limit):
                how, said = await future
        except _Lost:
            return await self._spare.bring(parcel)
        except TimeoutError:  # it was stopped, or hangs; one that is gone cannot
            if self._process is not None:
                self._process.kill()
            return await self._spare.bring(parcel)
        finally:
            del self._under_way[number]
        if how == "brought":
            return brought(said, parcel.stem)
        if how == "failed":
            raise error(said)
        raise RuntimeError(f"in the process that fetches images:\n{said}")

    def _hear(self, message: list[Any]) -> None:
        number, *said = message
        future = self._under_way.get(number)
        if future is not None and not future.done():
            future.set_result(said)

    def _lost(self) -> None:
        if self._lines is None:
            return
        self._lines = None
        for future in self._under_way.values():
            if not future.done():
                future.set_exception(_Lost())
        self._said.seek(0)
        self._ended(self._said.read().decode(errors="replace").strip()[-_LAST_WORDS:])

    async def close(self) -> None:
        """Let the second process go, and wait until it is gone."""
        lines, self._lines = self._lines, None
        if lines is not None:
            lines.close()
        if self._process is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._reap, self._process)
            self._process = None
        self._said.close()

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
