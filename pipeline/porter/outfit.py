"""What a porter needs to know before the first parcel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Outfit:
    """Where images go and how. `timeouts` are seconds by phase; `embed` and `sidecar` say whether
    a parcel's facts are written into its image and beside it."""

    folder: str
    timeouts: Mapping[str, float]
    connections: int
    thorough: bool
    embed: bool
    sidecar: bool
