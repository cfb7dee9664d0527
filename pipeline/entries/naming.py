"""File names of an entry's images, by the spec's `output: name:`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline import schema
from pipeline.entries.fault import Fault
from pipeline.entries.fields import Field
from pipeline.entries.identity import folded, piece, stem
from pipeline.entries.template import Templates
from pipeline.explain import shown

if TYPE_CHECKING:
    from pipeline.entries.template import Text
    from pipeline.spec import Spec


class Naming:
    """Makes stems. Raises `Fault` at once when the spec's template cannot be read.

    The names that a template sees are made safe first, so only a `/` that the user wrote in the
    template itself makes a folder.
    """

    def __init__(self, spec: Spec) -> None:
        self._names: dict[str, Any] = {}
        self._text: Text | None = None
        if spec.output.name != schema.defaults("output")["name"]:
            self._text = Templates(self._names, "Use one of these.").text(spec.output.name)

    def stems(
        self, name: str, indexes: range, model: str, size: str, tags: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return a stem for each image, `/`-separated. Raises `Fault` for a name that fails."""
        if self._text is None:
            # What the usual template comes to: nobody needs a template engine for that.
            safe = piece(name)
            return tuple(stem(safe if index == 1 else f"{safe}-{index}") for index in indexes)
        names = self._names
        names["id"] = piece(name)
        names["model"] = _common_piece(model)
        names["size"] = _common_piece(size)
        names["tags"] = [_common_piece(tag) for tag in tags]
        found = []
        for index in indexes:
            names["index"] = index
            found.append(stem(self._text.render()))
        if len({folded(one) for one in found}) < len(found):
            raise Fault(
                "same-file",
                f"the {len(found)} images of {shown(name)} would have the same file name",
                why="One picture would overwrite the other.",
                fix="Put `${{ index }}`, the number of the image, into `output: name:`.",
            )
        return tuple(found)

    def rehearse(self) -> None:
        """Raise the `Fault` that a template raises whatever the names hold."""
        self.stems("id", range(1, 2), "model", "1:1", ("tag",) * _TAGS)


_TAGS = 9
"""More tags than a file name is made of."""


@lru_cache(maxsize=1024)
def _common_piece(text: str) -> str:
    """Return the safe form of a text that many entries share."""
    return piece(text)


def name_field(spec: Spec) -> Field:
    """Return where the spec writes `output: name:`, or the nearest place to it."""
    return Field(spec.output.name, spec.document, ("output", "name"))
