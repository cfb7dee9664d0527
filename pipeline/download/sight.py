"""Whether some bytes are a whole image: looked at before anything else is done with them."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass

from PIL import Image as Picture
from PIL import UnidentifiedImageError

from pipeline import schema
from pipeline.errors import NotAnImage

warnings.filterwarnings("error", category=Picture.DecompressionBombWarning)

EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}

_HOSTILE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, ArithmeticError, TypeError,
    struct.error,
)  # fmt: skip
"""What Pillow may stumble over in bytes that somebody has made for it to stumble over."""
_PNG_END = b"IEND\xaeB`\x82"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at an image tells: its container format and its size in pixels."""

    format: str
    width: int
    height: int


def look(data: bytes, *, thorough: bool = False) -> Seen:
    """Check that `data` is a whole JPEG, PNG or WebP within the limits.

    Reads the header and the end; decodes all of it only when the end is unusual or `thorough`
    asks for it. Raises `NotAnImage`.
    """
    try:
        with Picture.open(io.BytesIO(data), formats=tuple(EXTENSIONS)) as picture:
            seen = Seen(str(picture.format), *picture.size)
            if seen.width * seen.height > schema.api("result", "max_pixels"):
                raise NotAnImage(f"the image claims {seen.width} × {seen.height} pixels")
            if thorough or not _ends_well(seen.format, data):
                picture.load()
                if seen.format == "PNG" and _PNG_END not in data:
                    raise NotAnImage("the image is incomplete: its end is missing")
    except UnidentifiedImageError:
        raise NotAnImage(f"what came is no image: {_glimpse(data)}") from None
    except _HOSTILE as error:
        raise NotAnImage(f"the image is damaged or incomplete: {error}") from error
    except (Picture.DecompressionBombError, Picture.DecompressionBombWarning) as error:
        raise NotAnImage(f"the image is a decompression bomb: {error}") from error
    return seen


def _ends_well(kind: str, data: bytes) -> bool:
    if kind == "JPEG":
        return b"\xff\xd9" in data[-64:]
    if kind == "PNG":
        return data.endswith(_PNG_END)
    return len(data) >= int.from_bytes(data[4:8], "little") + 8


def _glimpse(data: bytes) -> str:
    if not data:
        return "nothing at all"
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[:24])
    return f"{len(data)} bytes beginning with {text!r}"
