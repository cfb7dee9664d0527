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
    """One value as written, with the file it stands in and the way to it.

    One that is not `sound` has a shape that is wrong, which has been reported: it says where it
    stands, and its value must not be used.
    """

    value: Any
    document: Document
    path: tuple[str | int, ...]
    sound: bool = True

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


def gathered(chain: Chain, item: Field) -> dict[str, Field]:
    """Return all fields of an entry: `defaults` from the inside out, then its own on top."""
    found: dict[str, Field] = {}
    for spec in chain:
        if "model" in spec.document.data:
            found["model"] = _field(spec, ("model",), spec.document.data["model"])
    for spec in chain:
        for name, field in _members(spec, "defaults"):
            _lay(found, name, field)
    for name, value in item.value.items():
        _lay(found, name, _field(chain[0], (*item.path, name), value))
    return found


def torn(chain: Chain, item: Field) -> bool:
    """Say whether fields may be missing from an entry because what should hold them is wrong."""
    return chain[0].torn(item.path) or any(spec.torn(("defaults",)) for spec in chain)


def _field(spec: Spec, path: tuple[str | int, ...], value: Any) -> Field:
    """Return a field; of a list that holds something wrong, the items that are right."""
    sound = spec.sound(path)
    if not sound and isinstance(value, list):
        value = [one if spec.sound((*path, i)) else None for i, one in enumerate(value)]
    return Field(value, spec.document, path, sound)


def _lay(found: dict[str, Field], name: str, field: Field) -> None:
    """Put a field over what was there; a prompt takes the place of a prompt file and back."""
    alternative = _ALTERNATIVES.get(name)
    other = found.get(alternative) if alternative else None
    if alternative and other and other.path[:-1] != field.path[:-1]:
        del found[alternative]
    found[name] = field


def variables(chain: Chain) -> dict[str, Field]:
    """Return the `vars` that hold for a file's entries; those of the including file win."""
    return {name: field for spec in chain for name, field in _members(spec, "vars")}


def variables_missing(chain: Chain) -> bool:
    """Say whether names may be unknown because the `vars` that hold them are wrong."""
    return any(not spec.sound(("vars",)) for spec in chain)


def listed_environment(chain: Chain) -> tuple[set[str], bool]:
    """Return the names that templates of a file's entries may read as `env.NAME`.

    And whether these are all: False when something is wrong with the list.
    """
    sound = [spec for spec in chain if spec.sound(("env",))]
    names = {name for spec in sound for name in spec.document.data.get("env") or ()}
    return names, len(sound) == len(chain)


def _members(spec: Spec, section: str) -> Iterator[tuple[str, Field]]:
    document = spec.document
    members: Mapping[str, Any] = document.data.get(section) or {}
    if isinstance(members, dict):
        for name, value in members.items():
            yield name, _field(spec, (section, name), value)
