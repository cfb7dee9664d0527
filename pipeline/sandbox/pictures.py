"""Draws what the sandbox delivers: the prompt on a soft background, its references shown small.

The same picture is drawn for the same task every time, so nothing needs to be kept.
"""

from __future__ import annotations

import colorsys
import hashlib
import math
import random
import re
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from pipeline import schema
from pipeline.sandbox import fonts

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.ImageFont import FreeTypeFont

WHITE = (255, 255, 255)
FAINT = (225, 225, 235)
SHADOW = (0, 0, 0)
_SMALL = 20
_PLAIN_DIVISOR = 16
_LONGEST_PROMPT = 700
_RATIO = re.compile(r"([1-9]\d{0,2}):([1-9]\d{0,2})")
_CHOSEN = ("16:9", "1:1")
_SAVE: dict[str, dict[str, int]] = {
    "jpeg": {"quality": 82},
    "png": {"compress_level": 1},
    "webp": {"quality": 80, "method": 0},
}


@dataclass(frozen=True, slots=True)
class Picture:
    """What to draw. `references` are images as bytes, or what to write in place of one.

    `seed` tells pictures of the same prompt apart; `format` is jpeg, png or webp.
    """

    prompt: str
    size: str
    width: int
    height: int
    references: tuple[bytes | str, ...]
    seed: str
    format: str


def measure(size: str, pixels: int, seed: str) -> tuple[int, int]:
    """Return width and height of a ratio such as `16:9`: its exact ratio, `pixels`² in area.

    `auto`, and whatever else is no ratio, is 1:1 or 16:9 [seed], by the seed.
    """
    ratio = _RATIO.fullmatch(size)
    if ratio is None:
        ratio = _RATIO.fullmatch(_CHOSEN[hashlib.sha256(seed.encode()).digest()[0] % 2])
    assert ratio is not None  # noqa: S101 - both of those that are chosen from are ratios
    across, down = int(ratio[1]), int(ratio[2])
    unit = round(pixels / math.sqrt(across * down))
    return across * unit, down * unit


def draw(picture: Picture, font: Path | None) -> bytes:
    """Return the picture as a file of its format, written in the font (None: Pillow's own)."""
    image = _background(picture)
    pen = ImageDraw.Draw(image)
    margin = min(image.size) // 14
    used = _references(image, pen, picture.references, margin, font)
    _caption(pen, image.size, picture, margin, font)
    room = (image.width - 2 * margin, image.height - used - 3 * margin)
    _prompt(pen, picture.prompt, margin, room, font)
    return _encoded(image, picture.format)


@lru_cache(maxsize=256)
def plain(width: int, height: int, form: str) -> bytes:
    """Return a tiny one-coloured picture of that ratio, drawn once."""
    size = (max(1, width // _PLAIN_DIVISOR), max(1, height // _PLAIN_DIVISOR))
    return _encoded(Image.new("RGB", size, (90, 110, 160)), form)


def _encoded(image: Image.Image, form: str) -> bytes:
    file = BytesIO()
    image.save(file, form, **_SAVE[form])
    return file.getvalue()


def _background(picture: Picture) -> Image.Image:
    """Soft lights, painted tiny and enlarged: the hue is the prompt's, the rest the seed's."""
    hue = int.from_bytes(hashlib.sha256(_bytes(picture.prompt)).digest()[:4], "big") / 2**32
    dice = random.Random(picture.seed)
    across = max(_SMALL, _SMALL * picture.width // picture.height)
    down = max(_SMALL, _SMALL * picture.height // picture.width)
    tiny = Image.new("RGB", (across, down), _colour(hue, 0.22, 0.55))
    brush = ImageDraw.Draw(tiny)
    for _ in range(7):
        radius = dice.uniform(0.15, 0.45) * _SMALL
        x, y = dice.uniform(0, across), dice.uniform(0, down)
        shade = _colour(hue + dice.uniform(-0.12, 0.12), dice.uniform(0.2, 0.5), 0.6)
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
    soft = tiny.filter(ImageFilter.GaussianBlur(2.2))
    return soft.resize((picture.width, picture.height), Image.Resampling.BICUBIC)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _colour(hue: float, lightness: float, saturation: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return int(red * 255), int(green * 255), int(blue * 255)


# ── the words ───────────────────────────────────────────────────────────────────────────────


def _prompt(
    pen: ImageDraw.ImageDraw, prompt: str, margin: int, room: tuple[int, int], font: Path | None
) -> None:
    """Write the prompt as large as fits into `room`, cut with an ellipsis when nothing does."""
    text = fonts.writable(prompt[:_LONGEST_PROMPT], font)
    if len(prompt) > _LONGEST_PROMPT:
        text += " …"
    for size in (84, 64, 52, 42, 34, 27, 22):
        writing = fonts.font(font, size)
        lines, height = wrap(text, writing, room[0]), round(size * 1.35)
        if len(lines) * height <= room[1]:
            break
    else:
        lines = lines[: max(1, room[1] // height)]
        lines[-1] = lines[-1][:-2] + " …"
    y = margin + max(0, (room[1] - len(lines) * height) // 2)
    for line in lines:
        pen.text((margin + 2, y + 2), line, font=writing, fill=SHADOW)
        pen.text((margin, y), line, font=writing, fill=WHITE)
        y += height


def wrap(text: str, font: FreeTypeFont, width: float) -> list[str]:
    """Break one line of text into lines of at most `width` pixels.

    Between words, and anywhere within East Asian text and words too long for a line.
    """
    lines, line, used = [], "", 0.0
    for piece in _pieces(text):
        length = font.getlength(piece)
        if used + length > width and line:
            lines.append(line.rstrip())
            line, used, piece = "", 0.0, piece.lstrip()
            length = font.getlength(piece)
        while length > width and len(piece) > 1:
            fits = max(1, int(len(piece) * width / length) - 1)
            lines.append(piece[:fits])
            piece = piece[fits:]
            length = font.getlength(piece)
        line, used = line + piece, used + length
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(text: str) -> list[str]:
    pieces = [""]
    for letter in text:
        wide = ord(letter) > 0x2E7F
        if (wide or letter == " ") and pieces[-1]:
            pieces.append(letter)
        else:
            pieces[-1] += letter
        if wide:
            pieces.append("")
    return pieces


def _caption(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    picture: Picture,
    margin: int,
    font: Path | None,
) -> None:
    """Name the size at the lower left, and at the lower right what made the picture."""
    small = fonts.font(font, max(18, min(size) // 42))
    baseline = size[1] - margin // 2
    left = f"{picture.size} · {size[0]}×{size[1]}" if font else f"{picture.size}"
    pen.text((margin, baseline), left, font=small, fill=FAINT, anchor="ls")
    pen.text((size[0] - margin, baseline), "sandbox", font=small, fill=FAINT, anchor="rs")


# ── the references ──────────────────────────────────────────────────────────────────────────


def _references(
    image: Image.Image,
    pen: ImageDraw.ImageDraw,
    references: tuple[bytes | str, ...],
    margin: int,
    font: Path | None,
) -> int:
    """Put the references in a row at the bottom; returns the height that they take."""
    if not references:
        return 0
    gap = margin // 4
    side = min(160, (image.width - 2 * margin + gap) // len(references) - gap)
    top = image.height - margin - side - gap
    for number, reference in enumerate(references):
        left = margin + number * (side + gap)
        frame = (left - 3, top - 3, left + side + 2, top + side + 2)
        small = _thumbnail(reference, side) if isinstance(reference, bytes) else None
        if small is not None:
            pen.rectangle(frame, fill=WHITE)
            image.paste(small, (left, top))
        else:
            label = reference if isinstance(reference, str) else "unreadable"
            pen.rectangle(frame, outline=WHITE, width=2)
            _label(pen, label, (left + 6, top + 6), side - 12, font)
    return side + gap


def _thumbnail(contents: bytes, side: int) -> Image.Image | None:
    try:
        with Image.open(BytesIO(contents)) as image:
            if math.prod(image.size) > schema.api("result", "max_pixels"):
                return None
            image.draft("RGB", (side, side))
            return ImageOps.fit(image.convert("RGB"), (side, side))
    except (OSError, ValueError, SyntaxError, RuntimeWarning, Image.DecompressionBombError):
        return None  # a reference that Pillow cannot read is named, not shown


def _label(
    pen: ImageDraw.ImageDraw, text: str, at: tuple[int, int], side: int, font: Path | None
) -> None:
    size = max(10, side // 8)
    writing = fonts.font(font, size)
    lines = wrap(fonts.writable(text, font), writing, side)
    for number, line in enumerate(lines[: side // (size + 4)]):
        pen.text((at[0], at[1] + number * (size + 4)), line, font=writing, fill=WHITE)
