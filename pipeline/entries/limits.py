"""The bounds of this room, from `schemas/limits.json`."""

from __future__ import annotations

from functools import cache

from pipeline import schema


@cache
def limit(name: str) -> int:
    """Return one bound of the `entries` section by its name."""
    return int(schema.document("limits")["entries"][name])
