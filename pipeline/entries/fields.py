"""The fields of one entry, each with the place it came from: its own, or some `defaults:`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.problem import Place
    from pipeline.spec import Document, Spec

_ALTERNATIVES = {"prompt": "prompt_file", "prompt_file": "prompt"}

Chain = tuple["Spec", ...]
"""A spec and those that include it, from the inside out; the last is the one that is run."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value as written, with the file it stands in and the way to it."""

    value: Any
    document: Document
    path: tuple[str | int, ...]

    def place(self) -> Place:
        """Return where the value stands."""
        return self.document.place(self.path)

    def line(self) -> str:
        """Return the line it stands on."""
        return self.document.line(self.place())

    def part(self, *path: str | int) -> Field:
        """Return what is found inside the value, as a field of its own."""
        value = self.value
        for step in path:
            value = value[step]
        return Field(value, self.document, (*self.path, *path))


def chains(spec: Spec) -> Iterator[Chain]:
    """Yield every file whose entries the spec has, in their order: what is included comes first."""
    yield from _chains((spec,))


def _chains(chain: Chain) -> Iterator[Chain]:
    for included in chain[0].includes:
        yield from _chains((included, *chain))
    yield chain


def gathered(chain: Chain, item: Field) -> dict[str, Field] | None:
    """Return all fields of an entry: `defaults` from the inside out, then its own on top.

    None when it would use a default whose shape is wrong; that has been reported already.
    """
    found: dict[str, Field] = {}
    for spec in chain:
        if "model" in spec.document.data and spec.sound(("model",)):
            found["model"] = Field(spec.document.data["model"], spec.document, ("model",))
    unsound = set()
    for spec in chain:
        for name, field in _members(spec, "defaults"):
            if spec.sound(field.path):
                _lay(found, name, field)
            else:
                unsound.add(name)
    for name in item.value:
        _lay(found, name, item.part(name))
    return None if unsound - item.value.keys() else found


def _lay(found: dict[str, Field], name: str, field: Field) -> None:
    """Put a field over what was there; a prompt takes the place of a prompt file and back."""
    other = found.get(_ALTERNATIVES.get(name, ""))
    if other is not None and other.path[:-1] != field.path[:-1]:
        del found[_ALTERNATIVES[name]]
    found[name] = field


def variables(chain: Chain) -> dict[str, Field]:
    """Return the `vars` that hold for a file's entries; those of the including file win."""
    return {name: field for spec in chain for name, field in _members(spec, "vars")}


def listed_environment(chain: Chain) -> set[str]:
    """Return the names that templates of a file's entries may read as `env.NAME`."""
    return {
        name
        for spec in chain
        if spec.sound(("env",))
        for name in spec.document.data.get("env") or ()
    }


def _members(spec: Spec, section: str) -> Iterator[tuple[str, Field]]:
    document = spec.document
    members: Mapping[str, Any] = document.data.get(section) or {}
    if isinstance(members, dict):
        for name, value in members.items():
            yield name, Field(value, document, (section, name))
