"""Between a row of the table `jobs` and a `Record`: the one place that knows both shapes."""

from __future__ import annotations

import json
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.lifecycle import Status
from pipeline.model import Image, Record, Reference, ReferenceKind
from pipeline.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.model import Job

_DERIVED = ("model", "prompt", "size")
"""Fields of a record that the column `request` already holds."""

COLUMNS = tuple(field.name for field in fields(Record) if field.name not in _DERIVED)
SELECT = ", ".join(f'j."{name}"' for name in COLUMNS)
"""The columns of a record, of a table named `j`."""

_FIELDS = tuple(field.name for field in fields(Record))
_PLACES = {name: place for place, name in enumerate(_FIELDS)}
_values = attrgetter(*_FIELDS)

_image_row = attrgetter(*(field.name for field in fields(Image)))


_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def dump(value: Any) -> str:
    """Write JSON compactly; nothing at all is the empty text."""
    return _ENCODE(value) if value else ""


def altered(record: Record, status: Status, changed: Mapping[str, Any]) -> Record:
    """Return `dataclasses.replace` of a record, in half the time: every step makes one."""
    values = list(_values(record))
    values[_PLACES["status"]] = status
    for name, value in changed.items():
        values[_PLACES[name]] = value
    return Record(*values)


def record(row: Sequence[Any]) -> Record:
    """Make a record of one row selected with `SELECT`."""
    at = dict(zip(COLUMNS, row, strict=True))
    request = json.loads(at["request"])
    at["active"] = bool(at["active"])
    at["status"] = Status(at["status"])
    at["references"] = _references(at["references"])
    at["stems"] = tuple(json.loads(at["stems"]))
    at["tags"] = tuple(json.loads(at["tags"])) if at["tags"] else ()
    at["results"] = tuple(Image(*one) for one in json.loads(at["results"])) if at["results"] else ()
    return Record(
        model=request.get("model", ""),
        prompt=request.get("prompt", ""),
        size=request.get("size", ""),
        **at,
    )


def cell(name: str, value: Any) -> Any:
    """Turn one field of a record into what its column holds."""
    if name == "references":
        return dump([_reference_row(one) for one in value])
    if name == "results":
        return dump([_image_row(one) for one in value])
    if name in ("stems", "tags"):
        return dump(list(value))
    return value


def asked(job: Job) -> dict[str, Any]:
    """Return the columns that come from the spec, as they stand for `job`."""
    names = (
        "entry_id", "image_index", "images", "position", "request", "references",
        "references_as", "webhook", "fingerprint", "stems", "tags", "estimate",
    )  # fmt: skip
    return {name: cell(name, getattr(job, name)) for name in names}


def _reference_row(one: Reference) -> list[Any]:
    return [
        one.kind,
        one.source,
        one.identity,
        one.role,
        str(one.path or ""),
        one.media_type,
        one.size,
    ]


def _references(text: str) -> tuple[Reference, ...]:
    return tuple(
        Reference(
            ReferenceKind(kind), source, identity, role, Path(path) if path else None, media, size
        )
        for kind, source, identity, role, path, media, size in (json.loads(text) if text else ())
    )


def money(amount: int | None) -> Money:
    """Read a sum of money; SQL's NULL is nothing."""
    return Money(amount or 0)
