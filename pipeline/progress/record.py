"""An event as plain data: what the JSON lines and the log file hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline import terminal
from pipeline.clock import stamp
from pipeline.events import Ended, Noted, Started, Stepped, Waiting

if TYPE_CHECKING:
    from pipeline.events import Event
    from pipeline.model import Totals

Hide = Callable[[str], str]
"""Takes secrets out of a text before it is written anywhere."""

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def unchanged(text: str) -> str:
    """Hide nothing."""
    return text


def record(event: Event, hide: Hide = unchanged) -> dict[str, Any]:
    """Return `event` as plain data: `time` in UTC, `event` its kind, then its own fields.

    Money is in US dollars. `hide` is applied to every text that did not come from this program.
    """
    at = stamp(event.at, "milliseconds")
    match event:
        case Stepped():
            return _stepped(event, at, hide)
        case Started():
            return {
                "time": at,
                "event": "started",
                "spec": hide(event.spec),
                "output": hide(event.output),
                "host": hide(event.host),
                "todo": event.todo,
                "totals": totals(event.totals),
            }
        case Waiting():
            return {
                "time": at,
                "event": "waiting",
                "reason": hide(event.reason),
                "seconds": round(event.seconds, 3),
            }
        case Noted():
            return {
                "time": at,
                "event": "noted",
                "level": event.level,
                "message": hide(event.message),
                "details": {hide(name): hide(value) for name, value in event.details.items()},
            }
        case Ended():
            return {
                "time": at,
                "event": "ended",
                "exit": int(event.exit),
                "reason": hide(event.reason),
                "seconds": round(event.seconds, 3),
                "totals": totals(event.totals),
            }


def _stepped(event: Stepped, at: str, hide: Hide) -> dict[str, Any]:
    """Return one step; what is empty is left out, for there are millions of these."""
    told: dict[str, Any] = {
        "time": at,
        "event": "stepped",
        "step": event.step,
        "status": event.status,
        "entry_id": hide(event.entry_id),
        "image_index": event.image_index,
        "job": event.number,
    }
    if event.before is not None:
        told["before"] = event.before
    if event.task_id:
        told["task_id"] = hide(event.task_id)
    if event.cost is not None:
        told["cost_usd"] = event.cost / 1_000_000_000
    if event.error_type or event.error_message:
        told["error_type"] = hide(event.error_type)
        told["error_message"] = hide(event.error_message)
    return told


def totals(standing: Totals) -> dict[str, Any]:
    """Return how things stand as plain data."""
    return {
        "jobs": standing.jobs,
        "counts": {str(status): count for status, count in standing.counts.items()},
        "images": standing.images,
        "spent_usd": standing.spent / 1_000_000_000,
        "reserved_usd": standing.reserved / 1_000_000_000,
        "to_pay_usd": standing.to_pay / 1_000_000_000,
    }


def line(event: Event, hide: Hide = unchanged) -> str:
    """Return `event` as one line of JSON, safe to print on a terminal and to encode."""
    return terminal.escape(_ENCODE(record(event, hide))) + "\n"
