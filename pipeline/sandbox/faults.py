"""What the stand-in may do wrong, each asked for by a word `name=value`; nothing by default.

A *share* is a number from 0 (never) to 1 (always), thrown for with the sandbox's dice. A *span*
is one number, or `low-high` for a number drawn evenly between the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline import money
from pipeline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.money import Money


class Span(NamedTuple):
    """Numbers from `low` to `high`, both included."""

    low: float = 0.0
    high: float = 0.0


# ── reading one value; each raises ValueError with what it wants ────────────────────────────


def _number(text: str, wanted: str, low: float = 0.0, high: float = 1e9) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(wanted) from None
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(wanted)
    return value


def _share(text: str) -> float:
    return _number(text, "a share from 0 (never) to 1 (always), such as 0.1", 0, 1)


def _count(text: str) -> int:
    wanted = "a whole number, 0 or more"
    if not text.isdecimal():
        raise ValueError(wanted)
    return int(_number(text, wanted))


def _seconds(text: str) -> float:
    return _number(text, "seconds, 0 or more")


def _rate(text: str) -> float:
    return _number(text, "requests a second, from 0.001 up", 0.001)


def _span(text: str) -> Span:
    wanted = "seconds, such as 2, or a range such as 5-60"
    low, _, high = text.partition("-")
    span = Span(_number(low, wanted), _number(high or low, wanted))
    if span.low > span.high:
        raise ValueError(wanted)
    return span


def _yes(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _dollars(text: str) -> Money:
    try:
        return money.parse(text)
    except ValueError:
        raise ValueError("US dollars, such as 5.00") from None


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return read


def _status(text: str) -> int:
    return int(_one_of("401", "402", "403")(text))


def _scheme(text: str) -> str:
    if not text.partition("://")[0].isalpha():
        raise ValueError("the start of an address, such as http:// or file:///")
    return text


def _option(default: object, read: Callable[[str], object], meaning: str) -> Any:
    return field(default=default, metadata={"read": read, "meaning": meaning})


# ── the faults ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Faults:
    """How the sandbox behaves. Every field is a word of the command line; see `describe`."""

    # the API's calls: submit, task, upload, balance
    latency: Span = _option(  # noqa: RUF009 - a field in all but name
        Span(), _span, "seconds before the API answers, or a range"
    )
    error: float = _option(0.0, _share, "share of calls answered 5xx; nothing was executed")
    cut_before: float = _option(0.0, _share, "share of calls cut off; nothing was executed")
    error_shape: str = _option(
        "seed",
        _one_of("seed", "public", "success"),
        'error bodies: {"error":{code…}}, with request_id, or {"success":false}',
    )
    language: str = _option("en", _one_of("en", "zh"), "language of the API's messages")
    refuse_with: int = _option(0, _status, "401, 402 or 403 for every call after refuse_after")
    refuse_after: int = _option(0, _count, "how many tasks are accepted before refuse_with")
    balance: Money | None = _option(  # noqa: RUF009 - a field in all but name
        None, _dollars, "US dollars on the account; else unlimited"
    )

    # limits
    rate: float | None = _option(None, _rate, "requests a second; 429 above")
    rate_kind: str = _option(
        "window", _one_of("window", "bucket"), "fixed windows, or a token bucket"
    )
    rate_scope: str = _option("submit", _one_of("submit", "all"), "what the rate counts")
    retry_after: str = _option(
        "seconds", _one_of("seconds", "date", "missing"), "how a 429 says when to come again"
    )
    running: int | None = _option(None, _count, "most unfinished tasks; 429 above")

    # submits
    build_request_failed: float = _option(0.0, _share, "share of submits refused by a 500")
    cut_after: float = _option(0.0, _share, "share of submits accepted, billed, then cut off")
    error_after: float = _option(0.0, _share, "share of submits accepted, billed, answered 5xx")
    rubbish: float = _option(
        0.0, _share, "share of submits accepted, billed, answered without a task id"
    )
    in_progress: float = _option(
        0.0, _share, "share of submits accepted, billed, answered 409 idempotency_in_progress"
    )
    indeterminate: float = _option(
        0.0,
        _share,
        "share of submits accepted, billed, answered 409 idempotency_result_indeterminate",
    )
    unavailable: float = _option(
        0.0, _share, "share of submits answered 503 idempotency_unavailable; nothing was executed"
    )
    key_ttl: float | None = _option(
        None, _seconds, "seconds an idempotency key is remembered; else a day"
    )

    # tasks
    task_seconds: Span = _option(  # noqa: RUF009 - a field in all but name
        Span(), _span, "seconds a task takes, or a range such as 5-60"
    )
    fail: float = _option(0.0, _share, "share of tasks that fail")
    fail_first: int = _option(0, _count, "how many tasks fail before others succeed")
    partial: float = _option(0.0, _share, "share of tasks with n>1 that deliver fewer images")
    forget: float = _option(0.0, _share, "share of tasks the API no longer knows")
    odd_status: bool = _option(False, _yes, "status words that nobody documented")
    shape: str = _option(
        "list", _one_of("list", "string", "items"), "several urls in one item, or several items"
    )
    timestamps: str = _option(
        "seconds", _one_of("seconds", "milliseconds", "missing"), "how tasks tell times"
    )
    cost: str = _option("number", _one_of("number", "text", "missing"), "how tasks tell the cost")

    # result files
    format: str = _option("jpeg", _one_of("jpeg", "png", "webp"), "file type of the images")
    plain: bool = _option(False, _yes, "tiny images, drawn once: for load tests")
    url_ttl: float = _option(86400.0, _seconds, "seconds a result url lives")
    fresh_urls: bool = _option(True, _yes, "asking again after that gives fresh urls")
    truncate: float = _option(0.0, _share, "share of files cut short")
    not_image: float = _option(0.0, _share, "share of files that are a web page")
    huge: float = _option(0.0, _share, "share of files that never end")
    redirect: float = _option(0.0, _share, "share of files that redirect first")
    redirect_scheme: str = _option("", _scheme, "where to, such as file:///; else to the file")

    # callbacks
    callback_lost: float = _option(0.0, _share, "share of callbacks never sent")
    callback_twice: float = _option(0.0, _share, "share of callbacks sent twice")
    callback_late: Span = _option(  # noqa: RUF009 - a field in all but name
        Span(), _span, "seconds a callback comes late, or a range"
    )
    callback_scale: float = _option(
        1.0, _seconds, "factor on the callbacks' waits: 10 s time-out, retries at 10, 30, 60 s"
    )


def describe() -> list[tuple[str, str]]:
    """Return the name and the meaning of every fault, in the order of the class."""
    return [(one.name, one.metadata["meaning"]) for one in fields(Faults)]


def faults(words: Iterable[str]) -> Faults:
    """Read words such as `fail=0.1` and `task_seconds=5-60`; of two of a name the last holds.

    Raises `InputError` for an unknown name and for a value out of its range.
    """
    known = {one.name: one for one in fields(Faults)}
    chosen: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise InputError(
                f"the sandbox has no fault named {name!r}",
                fix=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}.",
            )
        try:
            chosen[name] = known[name].metadata["read"](value.strip())
        except ValueError as error:
            raise InputError(
                f"the fault {name!r} cannot be {value!r}" if equals else f"{name!r} needs a value",
                why=f"It wants {error}.",
                fix=f"{name}: {known[name].metadata['meaning']}.",
            ) from None
    return Faults(**chosen)
