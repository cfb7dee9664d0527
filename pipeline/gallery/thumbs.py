"""Small pictures: made once for each content, in a few threads, removed when nobody needs them.

They live in `images/.thumbs/<first 16 digits of the picture's SHA-256>.webp`, so a picture that
is renamed keeps its small one and a picture that changes gets a new one.
"""

from __future__ import annotations

import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from pipeline import schema
from pipeline.errors import DiskError
from pipeline.gallery.files import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from PIL.Image import Image

PLACE = "images/.thumbs"
BOX = (640, 320)
"""Most pixels across and down: sharp on a dense screen at the size the grid shows."""

_THREADS = 4
_QUALITY = 80
_EFFORT = 2
"""With `reducing_gap` below half the time of the defaults; at this size nobody sees the rest."""

_OURS = re.compile(r"[0-9a-f]{16}\.webp|\.[0-9a-f]{16}\.webp\.\d+\.part")


@dataclass(frozen=True, slots=True)
class Thumbs:
    """Which small pictures exist, by key, and why another one could not be made."""

    ready: frozenset[str] = frozenset()
    unfit: Mapping[str, str] = field(default_factory=dict)


NONE = Thumbs()


def key(sha256: str) -> str:
    """Return the name of a picture's small one, `""` when its hash is not known."""
    return sha256[:16] if re.fullmatch(r"[0-9a-f]{64}", sha256) else ""


def make(folder: Path, pictures: Mapping[str, Path]) -> Thumbs:
    """Make what is missing of `pictures` (key to file) and remove what is left over.

    A file that is no picture, or is too large to be opened safely by the limits of
    `schemas/api.json`, gets none and is named in `unfit`. Raises `DiskError`.
    """
    place = folder / PLACE
    here = {path.name for path in place.iterdir()} if place.is_dir() else set()
    _clear(place, here, pictures)
    todo = {one: path for one, path in pictures.items() if f"{one}.webp" not in here}
    # One filter around all threads: filters are shared by the whole process.
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore")
        jobs = [pool.submit(_publish, place / f"{one}.webp", path) for one, path in todo.items()]
        try:
            reasons = [job.result() for job in jobs]
        except DiskError:
            pool.shutdown(cancel_futures=True)
            raise
    unfit = {one: reason for one, reason in zip(todo, reasons, strict=True) if reason}
    return Thumbs(frozenset(pictures) - frozenset(unfit), unfit)


def _clear(place: Path, here: Iterable[str], pictures: Mapping[str, Path]) -> None:
    for name in here:
        if _OURS.fullmatch(name) and name.removesuffix(".webp") not in pictures:
            # One that cannot be removed harms nobody.
            with suppress(OSError):
                (place / name).unlink()


def _publish(target: Path, source: Path) -> str:
    """Make one small picture; return why not when the picture is unfit."""
    small, reason = shrink(source)
    if small:
        replace(target, small)
    return reason


def shrink(source: Path) -> tuple[bytes, str]:
    """Return a small WebP of a picture within `BOX` and `""`; or `b""` and why there is none."""
    from PIL import Image, ImageOps

    limits = schema.api("result")
    formats = [kind.split("/")[1].upper() for kind in limits["media_types"]]
    try:
        if source.stat().st_size > limits["max_bytes"]:
            return b"", "too large to be shown safely"
        with Image.open(source, formats=formats) as image:
            if image.width * image.height > limits["max_pixels"]:
                return b"", "too large to be shown safely"
            icc = image.info.get("icc_profile") if image.mode in ("RGB", "RGBA") else None
            ImageOps.exif_transpose(image, in_place=True)
            small = _plain(image)
            small.thumbnail(BOX, Image.Resampling.LANCZOS, reducing_gap=1.0)
            out = BytesIO()
            small.save(out, "WEBP", quality=_QUALITY, method=_EFFORT, icc_profile=icc)
    except Image.DecompressionBombError:
        return b"", "too large to be shown safely"
    except FileNotFoundError:
        return b"", "missing"
    # Pillow says that a file is broken with any of these, by format.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError):
        return b"", "damaged"
    return out.getvalue(), ""


def _plain(image: Image) -> Image:
    """Return `image` in a mode that WebP holds, transparency kept."""
    if image.mode in ("RGB", "RGBA"):
        return image
    if image.mode.startswith("I;16"):
        image = image.convert("L")
    clear = "A" in image.mode or "transparency" in image.info
    return image.convert("RGBA" if clear else "RGB")
