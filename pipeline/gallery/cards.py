"""Records become cards: one for each entry, with a tile for each picture or for its absence."""

from __future__ import annotations

import glob
import shlex
from array import array
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pipeline import money
from pipeline.gallery import thumbs
from pipeline.gallery.files import link
from pipeline.lifecycle import MEANING, STOPPED, Status
from pipeline.model import ReferenceKind
from pipeline.ratio import mismatch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.model import About, Image, Record, Reference

MOST_JOBS = 20_000
"""Most jobs on one page: beyond this a browser has more to hold than a person can look at."""

MOST_TEXT = 48 * 2**20
"""Most characters of prompts and messages on one page, for the same reason."""

_BESIDE = 1000
"""The longer side, in arbitrary units, of the space kept for a picture that is not there."""


@dataclass(frozen=True, slots=True)
class Original:
    """A reference image of an entry. Only a local one has a `link` and may have a small picture."""

    name: str
    link: str = ""
    thumb: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture, or the space kept for one that is not there.

    `width` and `height` are the picture's pixels, or the ratio that was asked for. `thumb` is a
    key of `thumbs`. `absent` says why there is no picture, `warning` what is odd about the one
    that is there, `command` what to type about either.
    """

    index: int
    status: str
    width: int
    height: int
    file: str = ""
    link: str = ""
    thumb: str = ""
    bytes: int = 0
    cost: str = ""
    task: str = ""
    attempt: int = 0
    finished: float = 0.0
    seconds: float = 0.0
    fingerprint: str = ""
    absent: str = ""
    error: str = ""
    kind: str = ""
    warning: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One entry: what was asked for, and what came of it."""

    id: str
    prompt: str
    size: str
    model: str
    tags: tuple[str, ...]
    originals: tuple[Original, ...]
    tiles: tuple[Tile, ...]


@dataclass(slots=True)
class Sheet:
    """Everything that the page shows. `pictures` maps a thumb's key to the file it is made from.

    `jobs` counts all jobs, `shown` those on the page. The charts are drawn over all jobs:
    `paid` are pairs of completion time and cost, `waits` the seconds each task took.
    """

    cards: list[Card] = field(default_factory=list)
    pictures: dict[str, Path] = field(default_factory=dict)
    jobs: int = 0
    shown: int = 0
    text: int = 0
    paid_at: array[float] = field(default_factory=lambda: array("d"))
    paid: array[int] = field(default_factory=lambda: array("q"))
    waits: array[float] = field(default_factory=lambda: array("d"))


def collect(records: Iterable[Record], *, folder: Path, spec_folder: Path, about: About) -> Sheet:
    """Return the cards of all active records, in their order, and what the charts are drawn from.

    Reads no picture; asks the disk only whether each file is there.
    """
    sheet = Sheet()
    maker = _Maker(sheet, folder, spec_folder, about)
    active = (record for record in records if record.active)
    for _, group in groupby(active, key=lambda one: (one.entry_id, one.prompt, one.size)):
        jobs = list(group)
        for job in jobs:
            _measure(sheet, job)
        if sheet.shown + len(jobs) <= MOST_JOBS and sheet.text <= MOST_TEXT:
            sheet.cards.append(maker.card(jobs))
            sheet.shown += len(jobs)
            sheet.text += len(jobs[0].prompt) + sum(len(job.error_message) for job in jobs)
    return sheet


def _measure(sheet: Sheet, job: Record) -> None:
    sheet.jobs += 1
    if job.completed_at and job.cost is not None:
        sheet.paid_at.append(job.completed_at)
        sheet.paid.append(job.cost)
    if job.submitted_at and job.completed_at > job.submitted_at:
        sheet.waits.append(job.completed_at - job.submitted_at)


@dataclass(frozen=True, slots=True)
class _Maker:
    sheet: Sheet
    folder: Path
    spec_folder: Path
    about: About

    def card(self, jobs: list[Record]) -> Card:
        first = jobs[0]
        return Card(
            id=first.entry_id,
            prompt=first.prompt,
            size=first.size,
            model=first.model,
            tags=first.tags,
            originals=tuple(self.original(one) for one in first.references),
            tiles=tuple(tile for job in jobs for tile in self.tiles(job)),
        )

    def original(self, reference: Reference) -> Original:
        if reference.kind is ReferenceKind.INLINE:
            return Original("image inside the spec", role=reference.role)
        if reference.kind is ReferenceKind.REMOTE or reference.path is None:
            return Original(reference.source, role=reference.role)
        path = self.spec_folder / reference.path
        if not path.is_file():
            return Original(f"{reference.source} (not there any more)", role=reference.role)
        thumb = thumbs.key(reference.identity.removeprefix("sha256:"))
        if thumb:
            self.sheet.pictures.setdefault(thumb, path)
        return Original(reference.source, link(path, self.folder), thumb, reference.role)

    def tiles(self, job: Record) -> Iterable[Tile]:
        there = [image for image in job.results if image.file]
        if not there:
            yield self._absent(job)
        for image in there:
            yield self._present(job, image)

    def _present(self, job: Record, image: Image) -> Tile:
        path = self.folder / image.file
        missing = not path.is_file()
        thumb = thumbs.key(image.sha256)
        if thumb and not missing:
            self.sheet.pictures.setdefault(thumb, path)
        width, height = _asked(job.size)
        return Tile(
            **self._facts(job),
            index=image.index,
            width=image.width or width,
            height=image.height or height,
            file=image.file,
            link="" if missing else link(image.file),
            thumb=thumb,
            bytes=image.bytes,
            absent="The file is missing. A run fetches it again for free." if missing else "",
            warning=mismatch(job.size, image.width, image.height),
            command=command(self.about, "run", job.entry_id) if missing else "",
        )

    def _absent(self, job: Record) -> Tile:
        width, height = _asked(job.size)
        verb = "retry" if job.status in STOPPED else "run"
        return Tile(
            **self._facts(job),
            index=job.image_index,
            width=width,
            height=height,
            absent=_sentence(MEANING[job.status]),
            command=command(self.about, verb, job.entry_id),
        )

    def _facts(self, job: Record) -> dict[str, Any]:
        took = job.completed_at - job.submitted_at if job.submitted_at else 0.0
        return {
            "status": str(job.status),
            "cost": _cost(job),
            "task": job.task_id,
            "attempt": job.attempt,
            "finished": job.completed_at,
            "seconds": round(max(took, 0.0), 1),
            "fingerprint": job.fingerprint,
            "error": job.error_message,
            "kind": job.error_type,
        }


def command(about: About, verb: str, entry_id: str = "", status: str = "") -> str:
    """Return the command line, quoted for a shell, that does `verb` to an entry or to a status."""
    words = ["banana-batch", verb, about.spec]
    if entry_id:
        # `--only` takes a pattern, and an id may hold its signs or start like an option.
        words.append(f"--only={glob.escape(entry_id)}")
    if status:
        words.append(f"--status={status}")
    if about.sandbox:
        words.append("--sandbox")
    return shlex.join(words)


def _cost(job: Record) -> str:
    shared = f" for {job.images} images" if job.images > 1 else ""
    if job.cost is not None:
        return money.display(job.cost) + shared
    if job.status in (Status.FAILED, Status.HELD):
        return ""
    return f"≈ {money.display(job.estimate)}{shared}"


def _asked(size: str) -> tuple[int, int]:
    """Return the space to keep for a picture of a size such as `16:9`; a square for `auto`."""
    across, colon, down = size.partition(":")
    if not (colon and across.isascii() and across.isdigit() and down.isascii() and down.isdigit()):
        return _BESIDE, _BESIDE
    width, height = int(across[:4]) or 1, int(down[:4]) or 1
    scale = _BESIDE / max(width, height)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
