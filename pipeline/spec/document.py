"""One YAML file as data, and the place of everything in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.spec.compose import Spot, unpack

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.problem import Place
    from pipeline.spec.source import Source


@dataclass(frozen=True, slots=True)
class Document:
    """One spec file, safely loaded.

    `file` is its name as users are shown it (`<stdin>` for standard input), `path` its real path
    (None for standard input), `folder` the absolute folder that relative paths in it start from.
    `data` holds dicts, lists, text, numbers, booleans and None; numbers print as they were typed.
    """

    file: str
    path: Path | None
    folder: Path
    data: dict[str, Any]
    source: Source = field(repr=False, compare=False)
    spot: Spot = field(repr=False, compare=False)
    mark: int = field(default=0, repr=False, compare=False)

    def place(self, path: tuple[str | int, ...], *, key: bool = False) -> Place:
        """Return where the value at `path` stands, or its key.

        When there is nothing at `path`, the place of its nearest ancestor that exists.
        """
        data: Any = self.data
        spot: Spot | None = self.spot
        mark = self.mark
        for step, part in enumerate(path):
            if spot is None:
                break
            if isinstance(data, dict) and part in data:
                index = list(data).index(part)
                own, value = spot.marks[2 * index : 2 * index + 2]
                mark = own if key and step == len(path) - 1 else value
            elif isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data):
                index = part
                mark = spot.marks[index]
            else:
                break
            data = data[part]
            spot = spot.inner.get(index)
        return unpack(mark, self.file)

    def line(self, place: Place) -> str:
        """Return the line at `place`, cut when huge, with anything like an API key starred out."""
        return self.source.line(place)
