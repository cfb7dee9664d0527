"""The output folder's images: taken in, found, moved."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from pipeline import schema
from pipeline.download.files import disk, hash_of, written
from pipeline.download.sight import EXTENSIONS, look
from pipeline.errors import DiskError, NotAnImage
from pipeline.model import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.api import Download
    from pipeline.model import Record

Answer = TypeVar("Answer")
Args = TypeVarTuple("Args")

_SPILL = 4 << 20
"""Bytes of one download held in memory before they go to the part file."""

_SIDECAR = ".json"


class Shelf:
    """The output folder's images: takes them in, finds them, moves them."""

    def __init__(
        self,
        folder: Path,
        *,
        thorough: bool = False,
        threads: int = 2,
        witness: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Serve `folder`.

        Images are checked and written by so many `threads`; with none, by whoever calls `take`.
        `witness` is told before and after each rename; a test may end there.
        """
        self.folder = folder
        self._images = folder / "images"
        self._kept = self._images / ".kept"
        self._parts = folder / ".parts"
        self._thorough = thorough
        self._witness = witness
        self._pool = ThreadPoolExecutor(threads, "shelf") if threads else None
        self._limit: int = schema.api("result", "max_bytes")
        self._folders: set[Path] = set()
        self._found: dict[str, set[Path]] = {}

    def close(self) -> None:
        """Remove what downloads under way left behind."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        self.sweep()

    def sweep(self) -> None:
        """Remove every part file of this run or an earlier one."""
        self._folders.discard(self._parts)
        with suppress(OSError):  # what cannot be removed is in nobody's way
            for part in self._parts.iterdir():
                part.unlink(missing_ok=True)
            self._parts.rmdir()

    # ── taking an image in ──────────────────────────────────────────────────────────────────

    async def take(
        self,
        download: Download,
        name: str,
        stem: str,
        dress: Callable[[bytes], bytes] | None = None,
        story: bytes = b"",
    ) -> Image:
        """Bring one image to `images/<stem>.<ext>` and return its facts (file, size, hash).

        `name` names the part file; `dress` may add metadata to the verified bytes; `story` goes
        to a sidecar. Raises `NotAnImage` when it is too large,
        incomplete or no image, `DiskError` when the disk does not take it, and whatever the
        download raises.
        """
        if download.size is not None and download.size > self._limit:
            raise NotAnImage(f"the image is announced with {download.size} bytes, too large")
        # A run that was killed may have left somebody behind who still writes to his own.
        part = self._parts / f"{name}-{os.getpid()}.part"
        try:
            data, total = await self._drain(download, part)
            return await self._off(self._finish, part, data, total, stem, dress, story)
        except Exception:
            with suppress(OSError):  # what went wrong is said already
                part.unlink(missing_ok=True)
            raise

    async def _drain(self, download: Download, part: Path) -> tuple[bytes, int]:
        """Read all of it; what does not fit in memory is in `part`. Returns the rest, the total."""
        pieces: list[bytes] = []  # joined once: a buffer that grows would copy them twice
        held = total = 0
        async for chunk in download.chunks:
            pieces.append(chunk)
            held += len(chunk)
            total += len(chunk)
            if total > self._limit:
                raise NotAnImage(f"the image is larger than {self._limit} bytes")
            if held > _SPILL:
                await self._off(self._spill, part, b"".join(pieces))
                pieces, held = [], 0
        if total < (download.size or 0):
            raise NotAnImage(f"the image is incomplete: {total} of {download.size} bytes came")
        return b"".join(pieces), total

    async def _off(self, work: Callable[[*Args], Answer], *args: *Args) -> Answer:
        if self._pool is None:
            return work(*args)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def _spill(self, part: Path, data: bytes) -> None:
        with disk(part):
            self._parts.mkdir(parents=True, exist_ok=True)
            with part.open("ab") as file:
                file.write(data)

    def _finish(
        self,
        part: Path,
        data: bytes,
        total: int,
        stem: str,
        dress: Callable[[bytes], bytes] | None,
        story: bytes,
    ) -> Image:
        spilled = total > len(data)
        if spilled:
            self._spill(part, data)
            data = part.read_bytes()
        seen = look(data, thorough=self._thorough)
        if dress is not None:
            data = dress(data)
        file = f"images/{stem}.{EXTENSIONS[seen.format]}"
        image = Image(
            0, "", file=file, bytes=len(data), sha256=hashlib.sha256(data).hexdigest(),
            width=seen.width, height=seen.height, format=seen.format,
        )  # fmt: skip
        self._check(stem)
        target = self.folder / file
        with disk(target):
            self._folder(self._parts)
            written(part, data)
            for other in EXTENSIONS.values():
                # As text: a path of its own for each would cost more than the question.
                if os.path.lexists(there := f"{self._images}/{stem}.{other}"):
                    self._displace(Path(there), image.sha256)
            if story:
                self._tell(self._parts / f"{part.name}.json", target, story)
            self._publish(part, target)
        return image

    def _tell(self, part: Path, file: Path, story: bytes) -> None:
        """Write a sidecar before its image: whoever finds the image finds the sidecar too."""
        part.write_bytes(story)
        self._bring(part, file.with_suffix(_SIDECAR))

    def _bring(self, sidecar: Path, wanted: Path) -> None:
        if sidecar.is_file():
            self._folder(wanted.parent)
            self._displace(wanted, hash_of(sidecar))
            sidecar.replace(wanted)

    def _check(self, stem: str) -> None:
        """Raise `DiskError` for a stem that would lead anywhere but into the images' folder."""
        parts = stem.split("/")
        inside = all(part not in ("", ".", "..") for part in parts) and "\0" not in stem
        if inside and parts[0] != self._kept.name and len(parts) > 1:
            above = (self._images / stem).parent.resolve()
            inside = above.is_relative_to(self._images.resolve())
        if not inside or parts[0] == self._kept.name:
            raise DiskError(
                f"the file name {stem!r} leads outside of {self._images}",
                why="Nothing is written outside of the folder that was named for it.",
                fix="Mend `output.name` in the spec, or remove the link that stands there.",
            )

    def _folder(self, folder: Path) -> None:
        if folder not in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)

    def _publish(self, part: Path, target: Path) -> None:
        self._folder(target.parent)
        self._witness("rename")
        part.replace(target)
        self._witness("renamed")

    def _displace(self, file: Path, coming: str = "") -> None:
        """Move what stands at `file` out of the way, unless it is the same picture."""
        if not os.path.lexists(file):
            return
        if file.is_dir() and not file.is_symlink():
            raise DiskError(f"{file} is a folder where an image must go", fix="Move it away.")
        digest = hash_of(file)
        if digest == coming:
            return
        self._folder(self._kept)
        kept = self._kept / (f"{digest[:16]}{file.suffix}" if digest else self._unread(file))
        if file.suffix != _SIDECAR:
            self._bring(file.with_suffix(_SIDECAR), kept.with_suffix(_SIDECAR))
        file.replace(kept)

    def _unread(self, file: Path) -> str:
        """Return a free name for what has no contents to be named by."""
        names = (f"unreadable-{number}{file.suffix}" for number in count(1))
        return next(name for name in names if not os.path.lexists(self._kept / name))

    # ── what is there already ───────────────────────────────────────────────────────────────

    def lost(self, record: Record) -> str:
        """Say what is wrong with a downloaded job's files, `""` when they are as they were."""
        if not record.results:
            return "file missing"
        for image in record.results:
            if wrong := self.wrong(self.folder / image.file, image):
                return wrong
        return ""

    def wrong(self, file: Path, image: Image) -> str:
        """Compare a file with what is known of it: by size, and by hash when thorough."""
        try:
            size = file.stat().st_size
        except OSError:
            return "file missing"
        if size != image.bytes:
            return "file truncated" if size < image.bytes else "file changed on disk"
        if self._thorough and hash_of(file) != image.sha256:
            return "file changed on disk"
        return ""

    def find(self, image: Image, stem: str) -> Image | None:
        """Look for a picture already paid for, and bring it to `stem`; None when it is not here.

        Looks where the record says, where the spec wants it, and among what was kept.
        """
        if not image.sha256:
            return None
        self._check(stem)
        suffix = Path(image.file).suffix
        wanted = f"images/{stem}{suffix}"
        kept = self._kept / f"{image.sha256[:16]}{suffix}"
        there = self.folder / wanted
        twins = self._found.setdefault(image.sha256, set())
        for file in (there, self.folder / image.file, kept, *twins):
            if not self.wrong(file, image) and hash_of(file) == image.sha256:
                if file != there:
                    with disk(file):
                        self._displace(there, image.sha256)
                        if file in twins:
                            file = self._copy(file)
                        else:
                            self._bring(file.with_suffix(_SIDECAR), there.with_suffix(_SIDECAR))
                        self._publish(file, there)
                twins.add(there)
                return replace(image, file=wanted)
        return None

    def _copy(self, file: Path) -> Path:
        """Return a part file like `file`, which went to a job with the very same picture."""
        part = self._parts / f"{file.name}.part"
        self._folder(self._parts)
        shutil.copyfile(file, part)
        return part

    def clear_the_way(self, records: Iterable[Record]) -> None:
        """Move the files of renamed jobs among what was kept, so that names can be swapped."""
        for record in records:
            for image in record.results:
                file = self.folder / image.file
                if not self.wrong(file, image):
                    with disk(file):
                        self._displace(file)
