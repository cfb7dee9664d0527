"""What templates may see of the environment: the names that the spec lists, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pipeline.entries.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class Surroundings(Mapping[str, str]):
    """The listed variables by name. Asking for another, or for one that is not set, is a fault."""

    def __init__(
        self, listed: AbstractSet[str], environ: Mapping[str, str], *, whole: bool = True
    ) -> None:
        """Let the `listed` names be seen; not `whole` when some could not be read."""
        self._listed = listed
        self._whole = whole
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        """Return the variable. Raises `Fault` when it is not listed, or not set."""
        if name not in self._listed:
            raise Fault(
                "unlisted-environment",
                f"`env.{name}` is not listed in the spec",
                why="A spec reads only what it lists, so that nobody's secrets end in a prompt.",
                fix=f"Add it at the top of the spec: `env: [{name}]`.",
                silent=not self._whole,
            )
        if name not in self._environ:
            raise Fault(
                "unset-environment",
                f"the environment variable {name} is not set",
                why="The spec lists it and a template reads it.",
                fix=f"Set it:\n  export {name}=…",
            )
        return self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter(name for name in self._listed if name in self._environ)

    def __len__(self) -> int:
        return sum(1 for _ in self)
