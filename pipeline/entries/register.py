"""Who has which id, which file and which request already. Small, however many entries there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import explain
from pipeline.entries.fault import Fault
from pipeline.entries.identity import Seen, folded

if TYPE_CHECKING:
    from pipeline.entries.fields import Field
    from pipeline.problem import Place

_LINE_BITS = 32


class Register:
    """Keeps what must be unique. `stand` says whose names the next ones are."""

    def __init__(self) -> None:
        self._items: list[tuple[Field, str]] = []
        self._ids = Seen()
        self._files = Seen()
        self._requests = Seen()
        self._repeated: dict[str, int] = {}
        self._here = 0

    def open(self, item: Field, rows: str) -> None:
        """Begin with an item of the spec; `rows` is the name of its row file, `""` without one."""
        self._items.append((item, rows))

    def stand(self, line: int) -> None:
        """Begin with an entry of the item: the one from that line of the row file, or 0."""
        self._here = (len(self._items) - 1) << _LINE_BITS | line

    def take_id(self, name: str) -> None:
        """Take an id that the user gave. Raises `Fault` when another entry has it."""
        first = self._ids.put(name, self._here)
        if first is None:
            return
        same = first >> _LINE_BITS == self._here >> _LINE_BITS
        raise Fault(
            "duplicate-id",
            f"the id {explain.shown(name)} is used twice; first {self._where(first)}",
            why="The id names an entry's files and its line in the manifest.",
            fix="Put into the id what tells these entries apart: another column, a name of the"
            " matrix, or `${{ index }}`."
            if same
            else "Give one of them another id.",
        )

    def made_id(self, name: str) -> str:
        """Take an id that was made, with `-2`, `-3` behind it when entries are the same."""
        if self._ids.put(name, self._here) is None:
            return name
        count = self._repeated.get(name, 1)
        while True:
            count += 1
            if self._ids.put(f"{name}-{count}", self._here) is None:
                self._repeated[name] = count
                return f"{name}-{count}"

    def take_file(self, stem: str, name: str) -> None:
        """Take a file stem for an image of entry `name`. Raises `Fault` when it is taken."""
        first = self._files.put(folded(stem), self._here)
        if first is None:
            return
        raise Fault(
            "same-file",
            f"{explain.shown(name)} would write the file {explain.shown(stem)}, which is taken:"
            f" first {self._where(first)}",
            why="One picture would overwrite the other. Some systems see no difference between"
            " upper and lower case.",
            fix="Give one of them another id, or put `${{ id }}` into `output: name:`.",
        )

    def note_request(self, fingerprint: str, name: str) -> Fault | None:
        """Note what an entry asks for; return a warning when another asks for the very same."""
        first = self._requests.put(fingerprint, self._here)
        if first is None:
            return None
        return Fault(
            "identical-prompts",
            f"{explain.shown(name)} asks for exactly the same picture as another entry, first"
            f" {self._where(first)}",
            why="Both are made and paid for.",
            fix="Remove one of them, or write one entry with `n: 2`.",
        )

    def _where(self, number: int) -> str:
        item, rows = self._items[number >> _LINE_BITS]
        place: Place = item.place()
        line = number & ((1 << _LINE_BITS) - 1)
        return f"on line {line} of {rows}" if rows and line else f"at {place.file}:{place.line}"
