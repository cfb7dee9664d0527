"""Whether a delivered picture has the ratio that was asked for."""

from __future__ import annotations

from math import gcd

from pipeline import schema


def mismatch(size: str, width: int, height: int) -> str:
    """Return what is wrong with the ratio of a picture, `""` when nothing is.

    `size` is a ratio such as `16:9`, `width` and `height` are pixels. Nothing is wrong within
    the tolerance of `schemas/limits.json`, nor when nothing can be compared: `auto`, no size, or
    a picture of unknown size (0).
    """
    across, _, down = size.partition(":")
    if not (across.isdecimal() and down.isdecimal() and width > 0 and height > 0):
        return ""
    asked = int(across), int(down)
    if 0 in asked or _close(width * asked[1], height * asked[0]):
        return ""
    return f"asked for {size}, delivered {width}×{height} ({_named(width, height)})"


def _close(one: int, other: int) -> bool:
    tolerance: float = schema.document("limits")["ratio"]["tolerance"]
    return abs(one - other) <= tolerance * other


def _named(width: int, height: int) -> str:
    """Return the ratio in words that people know, in decimals when it has no such name."""
    divisor = gcd(width, height)
    across, down = width // divisor, height // divisor
    return f"{across}:{down}" if max(across, down) <= 32 else f"{width / height:.2f}:1"
