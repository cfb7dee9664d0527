"""A model file of a model that nobody knows, and an outside in which time jumps."""

from __future__ import annotations

import asyncio
import io
import random
from typing import TYPE_CHECKING, Any

from pipeline.commands.world import World

if TYPE_CHECKING:
    from pathlib import Path

NAME = "tiny-brush-1"


def card(**parts: Any) -> dict[str, Any]:
    """Return a model file with a parameter that no other model has, and no resolution at all."""
    return {
        "model": NAME,
        "title": "Tiny Brush",
        "required": ["model", "prompt"],
        "additionalProperties": False,
        "properties": {
            "model": {"const": NAME},
            "prompt": {"type": "string", "minLength": 1, "maxLength": 40},
            "size": {"enum": ["1:1", "9:1", "any"], "default": "1:1", "x-unpredictable": ["any"]},
            "brush": {"enum": ["fine", "broad"], "default": "fine"},
            "strokes": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "x-references": {"max": 0, "max_bytes": 1, "media_types": ["image/png"], "suggested": {}},
        "x-price": {"output_per_million_tokens": 10, "output_tokens_per_image": {"any": 100}},
        **parts,
    }


class JumpingClock:
    """Sleeps end at once and move it on."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += max(seconds, 0.0)
        await asyncio.sleep(0)


def world(folder: Path, **environ: str) -> World:
    """Return the outside of a command that is typed in `folder`."""
    return World(
        environ={"COLUMNS": "100", **environ},
        cwd=folder,
        stdin=io.BytesIO(),
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        clock=JumpingClock(),
        dice=random.Random(1),
    )
