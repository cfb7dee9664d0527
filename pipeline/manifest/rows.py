"""From records to rows: one row for each image, unknown things None."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import money
from pipeline.clock import stamp
from pipeline.errors import InputError
from pipeline.money import Money
from pipeline.ratio import mismatch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from pipeline.lifecycle import Status
    from pipeline.model import Image, Record

COLUMNS: tuple[str, ...] = (
    "entry_id", "image_index", "task_id", "status", "file", "prompt", "model", "size", "width",
    "height", "bytes", "sha256", "url", "url_expires_at", "cost_usd", "attempts", "error_type",
    "error_message", "submitted_at", "completed_at", "fingerprint", "idempotency_key", "tags",
)  # fmt: skip
"""The columns, in the order that the product promises."""


class Told(NamedTuple):
    """What a manifest tells of one job: what its rows share, and its images in order."""

    job: dict[str, Any]
    images: list[dict[str, Any]]
    paid: Money | None


def rows(record: Record) -> Iterator[dict[str, Any]]:
    """Yield one row for each image of a job, also of those it does not have yet.

    Keys are `COLUMNS`. What is unknown is None; times are ISO 8601 UTC text, `cost_usd` a
    `Decimal`, `tags` a list. The cost of the job, earlier attempts included, is split over its
    rows so that their sum is the cost exactly; what cannot be split evenly is on the first row.
    """
    for row in merged(tell(record)):
        yield {name: row[name] for name in COLUMNS}


def merged(told: Told) -> Iterator[dict[str, Any]]:
    """Yield the rows of a job with more keys than the columns, in no promised order."""
    for one, cost in zip(told.images, _shares(told.paid, len(told.images)), strict=True):
        yield {**told.job, **one, "cost_usd": cost}


def tell(record: Record) -> Told:
    """Return what is known of a job, unknown things None, under the names of the columns."""
    job = {
        "entry_id": record.entry_id,
        "task_id": record.task_id or None,
        "status": record.status.value,
        "prompt": record.prompt,
        "model": record.model,
        "size": record.size or None,
        "attempts": record.attempt,
        "error_type": record.error_type or None,
        "error_message": record.error_message or None,
        "submitted_at": _utc(int(record.submitted_at)),
        "completed_at": _utc(int(record.completed_at)),
        "fingerprint": record.fingerprint,
        "idempotency_key": record.key or None,
        "tags": list(record.tags),
    }
    return Told(job, images(record), paid(record))


@lru_cache(maxsize=4096)  # jobs that are neighbours in the spec were sent within seconds
def _utc(seconds: int) -> str | None:
    return stamp(seconds) or None


def images(record: Record) -> list[dict[str, Any]]:
    """Return what is known of each image of a job, in order, under the names of the columns.

    A task that gave more pictures than were asked for keeps them all.
    """
    found: dict[int, Image] = {}
    for image in record.results:
        first = record.image_index if image.index >= record.image_index else 1
        found[image.index - first] = image
    count = max([record.images - 1, *found]) + 1
    return [_image(found.get(offset), record.image_index + offset) for offset in range(count)]


def _image(image: Image | None, index: int) -> dict[str, Any]:
    if image is None:
        return {"image_index": index, **_UNKNOWN}
    return {
        "image_index": index,
        "file": image.file or None,
        "width": image.width or None,
        "height": image.height or None,
        "bytes": image.bytes or None,
        "sha256": image.sha256 or None,
        "url": image.url or None,
        "url_expires_at": _utc(int(image.url_expires_at)),
    }


_UNKNOWN = dict.fromkeys(("file", "width", "height", "bytes", "sha256", "url", "url_expires_at"))


def warnings(size: str, image: Mapping[str, Any]) -> list[str]:
    """Return what is odd about a picture, given the size asked for and its fields or its row."""
    odd = mismatch(size, image["width"] or 0, image["height"] or 0)
    return [odd] if odd else []


def paid(record: Record) -> Money | None:
    """Return what a job has cost so far, earlier attempts included; None while nothing is known."""
    if record.cost is None and not record.sunk:
        return None
    return Money(record.sunk + (record.cost or 0))


def _shares(cost: Money | None, count: int) -> list[Decimal | None]:
    if cost is None:
        return [None] * count
    share, rest = divmod(cost, count)
    return [_dollars(share + rest), *[_dollars(share)] * (count - 1)]


@lru_cache(maxsize=256)  # most jobs cost the same
def _dollars(amount: int) -> Decimal:
    return Decimal(money.text(Money(amount)))


def selected(records: Iterable[Record], status: Collection[Status] | None) -> Iterable[Record]:
    """Return the records whose status is asked for; all of them for None."""
    if status is None:
        return records
    return (record for record in records if record.status in status)


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns named, in the order named; every column for none.

    Raises `InputError` for a name that is no column, and for one named twice.
    """
    for name in names:
        if name not in COLUMNS or names.count(name) > 1:
            twice = "twice" if name in COLUMNS else "and is none"
            raise InputError(
                f"the column {name!r} is named {twice}",
                why="A table needs known columns, each once.",
                fix=f"The columns are: {', '.join(COLUMNS)}.",
            )
    return tuple(names) or COLUMNS
