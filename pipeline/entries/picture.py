"""Looks at the bytes of a reference image: what it really is, and whether it is whole.

Only headers and the file's structure are read, never a pixel, so that a small file that would
unpack to gigabytes costs nothing here.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

from PIL import Image

from pipeline.entries.fault import Fault
from pipeline.entries.limits import limit

_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # what cameras write: a JPEG with further pictures behind it
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
}
_OTHERS = (
    (b"BM", "a BMP image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"%PDF", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document, perhaps an SVG drawing"),
    (b"<", "an HTML page"),
    (b"version https://git-lfs", "a Git LFS pointer: run `git lfs pull`"),
)
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
)
"""What Pillow raises for damaged files, by its readers' own code."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What the bytes of an image are."""

    media_type: str
    width: int
    height: int
    sha256: str


def look(data: bytes) -> Picture:
    """Return what `data` is. Raises `Fault` when it is no image, damaged, or far too large."""
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of size; the size is judged below, by our own limit.
        warnings.simplefilter("ignore")
        try:
            with Image.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF")) as image:
                kind, (width, height) = image.format or "", image.size
                _must_be_small(width, height)
                image.verify()
        except Image.DecompressionBombError:
            raise _too_many_pixels() from None
        except _UNREADABLE:
            raise _no_image(data) from None
    if kind in ("JPEG", "MPO"):
        _must_be_whole(_jpeg_ends(data))
    elif kind == "WEBP":
        _must_be_whole(int.from_bytes(data[4:8], "little") + 8 <= len(data))
    return Picture(_MEDIA_TYPES[kind], width, height, sha256(data).hexdigest())


def _jpeg_ends(data: bytes) -> bool:
    """Walk from segment to segment up to the pixels, and look for the end marker behind them.

    A thumbnail inside a segment has an end marker too, so just searching would be fooled.
    """
    at = 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == 0xDA:
            return data.find(b"\xff\xd9", at) >= 0
        fill = marker == 0xFF
        at += 1 if fill else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _must_be_whole(whole: bool) -> None:
    if not whole:
        raise Fault(
            "damaged-image",
            "is cut short: its end is missing",
            why="The API would refuse it, or draw from half a picture.",
            fix="Copy or export the file again.",
        )


def _must_be_small(width: int, height: int) -> None:
    if width * height > limit("reference_pixels"):
        raise _too_many_pixels()


def _too_many_pixels() -> Fault:
    return Fault(
        "too-many-pixels",
        f"has more than {limit('reference_pixels') // 10**6} million pixels",
        why="A small file that unpacks to gigabytes can stop the programs that open it.",
        fix="Make it smaller; about 2,000 pixels a side are plenty for a reference.",
    )


def _no_image(data: bytes) -> Fault:
    start = data[:64].lstrip().lower()
    known = next((words for magic, words in _OTHERS if start.startswith(magic.lower())), "")
    pictured = data[:3] == b"\xff\xd8\xff" or data[:8] == b"\x89PNG\r\n\x1a\n"
    if pictured or data[8:12] == b"WEBP":
        return Fault(
            "damaged-image",
            "is a damaged image: its structure is broken or cut short",
            why="The API would refuse it, or draw from half a picture.",
            fix="Copy or export the file again.",
        )
    return Fault(
        "not-an-image",
        f"is not an image{f' but {known}' if known else ''}",
        why="What counts is the content, not the ending of the name.",
        fix="Export it as JPEG, PNG or WebP.",
    )
