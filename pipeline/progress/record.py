"""An event as a line of JSON: what the JSON lines and the log file hold.

A line has `time` in UTC, `event`, its kind, and then the event's own fields; money is in US
dollars.
"""

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


def line(event: Event, hide: Hide = unchanged) -> str:
    """Return `event` as one line of JSON, safe to print on a terminal and to encode.

    `hide` is applied to every text that did not come from this program.
    """
    told = _step(event, hide) if isinstance(event, Stepped) else _ENCODE(_record(event, hide))
    return terminal.escape(told) + "\n"


def _record(event: Started | Waiting | Noted | Ended, hide: Hide) -> dict[str, Any]:
    at = stamp(event.at, "milliseconds")
    match event:
        case Started():
            return {
                "time": at,
                "event": "started",
                "spec": hide(event.spec),
                "output": hide(event.output),
                "host": hide(event.host),
                "todo": event.todo,
                "totals": _totals(event.totals),
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
                "totals": _totals(event.totals),
            }


def _totals(standing: Totals) -> dict[str, Any]:
    """Return how things stand as plain data."""
    return {
        "jobs": standing.jobs,
        "counts": {str(status): count for status, count in standing.counts.items()},
        "images": standing.images,
        "spent_usd": standing.spent / 1_000_000_000,
        "reserved_usd": standing.reserved / 1_000_000_000,
        "to_pay_usd": standing.to_pay / 1_000_000_000,
    }


def _step(event: Stepped, hide: Hide) -> str:
    """Return a step as JSON; what is empty is left out, for there are millions of these.

    Most of an encoder's time goes into asking what it is given; here that is known.
    """
    before = "" if event.before is None else f',"before":"{event.before}"'
    task = f',"task_id":{_ENCODE(hide(event.task_id))}' if event.task_id else ""
    cost = "" if event.cost is None else f',"cost_usd":{event.cost / 1_000_000_000!r}'
    error = ""
    if event.error_type or event.error_message:
        error = (
            f',"error_type":{_ENCODE(hide(event.error_type))}'
            f',"error_message":{_ENCODE(hide(event.error_message))}'
        )
    return (
        f'{{"time":"{stamp(event.at, "milliseconds")}","event":"stepped","step":"{event.step}"'
        f',"status":"{event.status}","entry_id":{_ENCODE(hide(event.entry_id))}'
        f',"image_index":{event.image_index},"job":{event.number}{before}{task}{cost}{error}}}'
    )
