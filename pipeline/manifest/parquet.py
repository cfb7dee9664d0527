"""Rows as Parquet, for those who have pyarrow."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline.errors import InputError
from pipeline.manifest.rows import COLUMNS, rows, selected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipeline.lifecycle import Status
    from pipeline.model import Record

_BATCH = 10_000
"""Rows in memory at once."""
_TIMES = frozenset({"url_expires_at", "submitted_at", "completed_at"})
_NUMBERS = frozenset({"image_index", "width", "height", "bytes", "attempts"})


def write_parquet(
    records: Iterable[Record],
    stream: BinaryIO,
    columns: Sequence[str] = COLUMNS,
    status: Collection[Status] | None = None,
) -> None:
    """Write one row for each image: times are UTC timestamps, money decimals, tags lists.

    Raises `InputError` when pyarrow is not installed, and what `stream` and `records` raise.
    """
    arrow, parquet = _pyarrow()
    schema = arrow.schema([(name, _type(arrow, name)) for name in columns])
    every = chain.from_iterable(map(rows, selected(records, status)))
    with parquet.ParquetWriter(stream, schema) as writer:
        while batch := list(islice(every, _BATCH)):
            cells = [[_value(name, row[name]) for row in batch] for name in columns]
            arrays = [
                arrow.array(column, field.type) for column, field in zip(cells, schema, strict=True)
            ]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            "Parquet needs pyarrow, which is not installed",
            why="It is large and few need it, so it is an extra.",
            fix="Install it beside banana-batch, with the one of these that you used:\n"
            "  pipx inject banana-batch pyarrow\n"
            "  pip install 'banana-batch[parquet]'",
        ) from error


def _type(arrow: Any, name: str) -> Any:
    if name in _TIMES:
        return arrow.timestamp("s", tz="UTC")
    if name in _NUMBERS:
        return arrow.int64()
    if name == "cost_usd":
        return arrow.decimal128(18, 9)
    return arrow.list_(arrow.string()) if name == "tags" else arrow.string()


def _value(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if value and name in _TIMES else value
