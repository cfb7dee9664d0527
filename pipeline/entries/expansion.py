"""Walks through a spec and what it includes: items, rows and combinations, one entry at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.entries import matrix, rows
from pipeline.entries.complaints import Complaints
from pipeline.entries.drafting import Drafter
from pipeline.entries.fault import Fault
from pipeline.entries.fields import (
    Chain,
    Field,
    chains,
    gathered,
    listed_environment,
    torn,
    variables,
    variables_missing,
)
from pipeline.entries.naming import Naming, name_field
from pipeline.entries.recipe import Recipe, compiled
from pipeline.entries.register import Register
from pipeline.entries.surroundings import Surroundings
from pipeline.entries.template import Templates, holds_template
from pipeline.problem import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date

    from pipeline.model import Entry
    from pipeline.problem import Problem
    from pipeline.spec import Spec

RESERVED = ("id", "index", "row", "spec", "date", "env")
"""Names that mean the same in every spec; a column with such a name is read as `row['id']`."""


def expand(
    spec: Spec,
    *,
    environ: Mapping[str, str],
    today: date,
    report: Callable[[Problem], None],
) -> Iterator[Entry]:
    """Yield every entry of the spec in its order, those of included files first.

    `report` is given everything that is wrong, as it is found; an entry with an error is not
    yielded and all others are. After very many errors it ends with a problem that says so. Of an
    item whose shape is wrong, which `spec` has reported, the fields that are right are looked at
    all the same, and nothing is said that only follows from those that are not. Files are read,
    never written; memory does not grow with rows but for the hashes of ids, files and requests.
    """
    expansion = _Expansion(spec, environ, today, Complaints(report))
    yield from expansion.entries()


@dataclass(frozen=True, slots=True)
class _Order:
    """An item with its fields: `torn` when some may be missing, `broken` when one is wrong."""

    item: Field
    fields: dict[str, Field]
    torn: bool
    broken: bool


class _Expansion:
    def __init__(
        self, spec: Spec, environ: Mapping[str, str], today: date, complaints: Complaints
    ) -> None:
        self._spec = spec
        self._environ = environ
        self._today = today.isoformat()
        self._complaints = complaints
        self._names: dict[str, Any] = {}
        self._templates = Templates(self._names)
        self._register = Register()
        self._position = 0
        self._partial = False

    def entries(self) -> Iterator[Entry]:
        try:
            naming = Naming(self._spec)
        except Fault as fault:
            field, naming = name_field(self._spec), None
            self._complaints.error(fault, field.place(), field.line())
        drafter = Drafter(
            self._spec.known_models(),
            self._templates,
            self._names,
            naming,
            name_field(self._spec),
            self._register,
            self._complaints,
        )
        for chain in chains(self._spec):
            yield from self._of_file(chain, drafter)
            if self._complaints.full:
                self._complaints.close(Place(self._spec.document.file))
                return

    def _of_file(self, chain: Chain, drafter: Drafter) -> Iterator[Entry]:
        document = chain[0].document
        base = self._base(chain)
        items = document.data.get("entries")
        for number, written in enumerate(items if isinstance(items, list) else ()):
            path = ("entries", number)
            item = Field(written, document, path)
            if isinstance(written, dict):
                self._partial = variables_missing(chain)
                yield from self._of_item(self._ordered(chain, item), base, drafter)
            if self._complaints.full:
                return

    def _ordered(self, chain: Chain, item: Field) -> _Order:
        fields = gathered(chain, item)
        if "model" not in fields:
            fields["model"] = Field(self._spec.model, self._spec.document, ())
        is_torn = torn(chain, item)
        return _Order(item, fields, is_torn, is_torn or not chain[0].sound(item.path))

    def _base(self, chain: Chain) -> dict[str, Any]:
        """Return the names that hold for every entry of a file; report `vars` that cannot."""
        found: dict[str, Any] = {}
        for name, field in variables(chain).items():
            fault = _wrong_name(name) or _written_template(
                name, field.value, f"the variable `{name}`"
            )
            if fault:
                place = field.document.place(field.path, key=fault.code == "reserved-name")
                self._complaints.error(fault, place, field.document.line(place))
            if field.sound:
                found[name] = field.value
        listed, whole = listed_environment(chain)
        found["env"] = Surroundings(listed, self._environ, whole=whole)
        found["spec"] = self._spec.name
        found["date"] = self._today
        return found

    # ── one item ────────────────────────────────────────────────────────────────────────────

    def _of_item(self, order: _Order, base: dict[str, Any], drafter: Drafter) -> Iterator[Entry]:
        item, fields = order.item, order.fields
        switch = fields.get("enabled")
        if switch is not None and switch.value is False:
            return
        self._templates.partial = self._partial
        combinations = self._combinations(fields.get("matrix"))
        shown, lines = self._rows(fields.get("from"), base) or ("", None)
        blind = combinations is None or lines is None
        recipe = compiled(
            item,
            fields,
            self._templates,
            self._complaints,
            broken=blind or order.broken,
            torn=order.torn,
        )
        # Without its rows or its matrix an item is still looked at once, as far as that goes.
        self._templates.partial = self._partial or blind
        combinations, lines = combinations or [{}], lines or [None]
        self._register.open(item, shown)
        number = 0
        for row in lines:
            if isinstance(row, rows.BadRow):
                self._report_row(row, item, shown)
                if self._complaints.full:
                    return
                continue
            for combination in combinations:
                number += 1
                entry = self._one(recipe, drafter, base, row, combination, number, shown)
                if entry is not None:
                    self._position += 1
                    yield entry
                elif self._complaints.full:
                    return
        if not number:
            self._templates.partial = True
            self._one(replace(recipe, broken=True), drafter, base, None, {}, 1, shown)

    def _one(
        self,
        recipe: Recipe,
        drafter: Drafter,
        base: dict[str, Any],
        row: rows.Row | None,
        combination: dict[str, Any],
        number: int,
        shown: str,
    ) -> Entry | None:
        names = self._names
        names.clear()
        names.update(base)
        if row is not None:
            names.update(row.values)
        names.update(combination)
        for name in ("env", "spec", "date"):
            names[name] = base[name]
        names["index"] = number
        if row is not None:
            names["row"] = row.values
        elif "row" in names:
            del names["row"]
        self._register.stand(row.line if row else 0)
        return drafter.entry(recipe, self._position, lambda: _within(row, combination, shown))

    def _combinations(self, field: Field | None) -> Iterable[dict[str, Any]] | None:
        if field is None:
            return [{}]
        if not field.sound:
            return None
        try:
            found = matrix.Matrix(field.value)
            for name in sorted(found.names()):
                if fault := _wrong_name(name):
                    raise fault
            if fault := _written_template("matrix", field.value, "the matrix"):
                raise fault
            if next(iter(found), None) is None:
                raise Fault(
                    "empty-matrix",
                    "`exclude` leaves no combination of the matrix",
                    fix="Exclude less, or remove the entry.",
                )
        except Fault as fault:
            self._complaints.error(fault, field.place(), field.line())
            return None
        return found

    def _rows(
        self, field: Field | None, base: dict[str, Any]
    ) -> tuple[str, Iterable[rows.Row | rows.BadRow | None]] | None:
        """Return the row file's name for messages and its rows; one None without a row file."""
        if field is None:
            return "", [None]
        if not field.sound:
            return None
        self._names.clear()
        self._names.update(base)
        try:
            written = self._templates.text(field.value).render()
            return written, rows.read(field.document.folder / written, written)
        except Fault as fault:
            if not fault.silent:
                self._complaints.error(fault, field.place(), field.line())
            return None

    def _report_row(self, row: rows.BadRow, item: Field, shown: str) -> None:
        file = str(Path(item.document.file).parent / shown)
        within = f"row {row.number} of {shown}" if row.number else ""
        self._complaints.error(row.fault, Place(file, row.line), within=within)


def _within(row: rows.Row | None, combination: Mapping[str, Any], shown: str) -> str:
    parts = []
    if row is not None:
        parts.append(f"row {row.number} of {shown}, line {row.line}")
    if combination:
        parts.append(f"matrix {matrix.words(combination)}")
    return ", ".join(parts)


def _wrong_name(name: str) -> Fault | None:
    if name not in RESERVED:
        return None
    return Fault(
        "reserved-name",
        f"`{name}` is a name with a meaning of its own here",
        why=f"Templates read {', '.join(RESERVED)} from the program.",
        fix="Give it another name.",
    )


def _written_template(name: str, value: Any, what: str) -> Fault | None:
    if not holds_template(value):
        return None
    return Fault(
        "template-in-value",
        f"{what} holds a `${{{{ … }}}}`, which would not be filled in",
        why="Values are put in as they are; templates stand in the fields of entries.",
        fix=f"Write the template in the field itself, where `{name}` is used.",
    )
