"""The manifest as one JSON document, written as a stream: a million jobs take no memory."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

from pipeline.clock import stamp
from pipeline.manifest.rows import selected, tell, warnings
from pipeline.terminal import escape

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pipeline.lifecycle import Status
    from pipeline.manifest.rows import Told
    from pipeline.model import About, Record, Totals
    from pipeline.money import Money

VERSION = 1
"""The version of the document's shape. It grows when a reader would have to change."""

_SCHEMA = "urn:banana-batch:manifest:1"
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def write_json(
    about: About,
    records: Iterable[Record],
    stream: TextIO,
    status: Collection[Status] | None = None,
) -> None:
    """Write the document to `stream`, valid against `schemas/manifest.schema.json`.

    `records` come in spec order; those of one entry follow each other. With `status` only jobs
    of these statuses are in it; the totals stay those of the whole spec. Raises what `stream`
    and `records` raise.
    """
    stream.write(opening(about))
    comma = ""
    for text in map(entry, entries(selected(records, status))):
        stream.write(comma + text)
        comma = ","
    stream.write(CLOSING)


CLOSING = "\n]}\n"
"""What ends a document after its last entry."""


def opening(about: About) -> str:
    """Return everything of a document before its first entry."""
    head = escape(_ENCODE(_head(about)))
    return head.removesuffix("}") + ',"entries":['


def entries(records: Iterable[Record]) -> Iterator[list[Told]]:
    """Yield what is told of the jobs of each entry, together."""
    return (
        [tell(record) for record in group]
        for _, group in groupby(records, lambda record: record.entry_id)
    )


def entry(jobs: list[Told]) -> str:
    """Return one entry on a line of its own; a line is what `diff` and `grep` can show."""
    entry_id = jobs[0].job["entry_id"]
    return "\n" + escape(_ENCODE({"entry_id": entry_id, "jobs": [_job(told) for told in jobs]}))


def _head(about: About) -> dict[str, Any]:
    return {
        "$schema": _SCHEMA,
        "version": VERSION,
        "name": about.name,
        "spec": about.spec,
        "git_commit": about.git_commit or None,
        "host": about.host or None,
        "sandbox": about.sandbox,
        "generated_at": stamp(about.generated_at) or None,
        "generator": f"banana-batch {about.version}",
        "totals": _totals(about.totals),
    }


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "jobs": totals.jobs,
        "images": totals.images,
        "counts": {status.value: count for status, count in totals.counts.items()},
        "spent_usd": _usd(totals.spent),
        "reserved_usd": _usd(totals.reserved),
        "to_pay_usd": _usd(totals.to_pay),
    }


def _job(told: Told) -> dict[str, Any]:
    size = told.job["size"] or ""
    job = {name: value for name, value in told.job.items() if name != "entry_id"}
    job["cost_usd"] = None if told.paid is None else _usd(told.paid)
    job["images"] = [{**one, "warnings": warnings(size, one)} for one in told.images]
    return job


def _usd(amount: Money) -> float:
    # The double nearest to the decimal: written out, it is that decimal again.
    return amount / 1_000_000_000
