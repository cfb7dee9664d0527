"""The API's yes: JSON made into plain answers, whatever shape it came in.

Everything here is hostile until proven: ids have the characters of ids, urls are http(s), numbers
are numbers and finite. What cannot be used is left out, and only what an answer cannot do without
makes it `Rubbish`.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipeline import money, schema
from pipeline.api import Accepted, Balance, Phase, Result, Task, Uploaded
from pipeline.errors import Rubbish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.client.text import Censor
    from pipeline.money import Money

TASK_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._:-]{1,200}")
_URL = re.compile(r"https?://[!-~]{1,8000}", re.IGNORECASE)
_DECODER = json.JSONDecoder(parse_float=Decimal)
_MAX_RESULTS = 100
_MAX_SECONDS = 10**7
_PHASES = {
    "completed": Phase.COMPLETED,
    "success": Phase.COMPLETED,
    "succeeded": Phase.COMPLETED,
    "failed": Phase.FAILED,
    "cancelled": Phase.FAILED,
    "canceled": Phase.FAILED,
}


def parse(body: bytes) -> Any:
    """Return the JSON in `body`, numbers with a point exact. Raises `Rubbish` when it is none."""
    try:
        return _DECODER.decode(str(body, "utf-8-sig"))
    except (ValueError, RecursionError):
        raise Rubbish(f"the API answered with {len(body)} bytes that are not JSON") from None


def accepted(document: Any, censor: Censor, *, replayed: bool) -> Accepted:
    """Read the answer to a submit: `data` a list with a `task_id`, or `{"data": {"id"}}`.

    Raises `Rubbish` without a task id that could be one.
    """
    data = _data(document)
    found = data.get("task_id") or data.get("id") if data is not document else data.get("task_id")
    if not isinstance(found, str) or not TASK_ID.fullmatch(found) or censor.holds(found):
        raise Rubbish(
            "the API accepted the request without a task id",
            why="The task may run and be paid for, and nobody knows its name.",
        )
    return Accepted(found, replayed=replayed)


def task(document: Any, task_id: str, censor: Censor) -> Task:
    """Read one look at the task `task_id`. Raises `Rubbish` when it has no status."""
    data = _data(document)
    status = data.get("status")
    if not isinstance(status, str) or not status:
        raise Rubbish("the API answered without the task's status")
    error = data.get("error")
    told = error if isinstance(error, dict) else {"message": error}
    return Task(
        id=task_id,
        phase=_PHASES.get(status.strip().lower(), Phase.RUNNING),
        progress=min(_number(data.get("progress")), 100.0),
        created=_moment(data.get("created")),
        completed=_moment(data.get("completed")),
        estimated=_seconds(data.get("estimated_time")),
        actual=_seconds(data.get("actual_time")),
        cost=_cost(data),
        results=tuple(_results(data.get("result"), censor)),
        error_type=censor.plain(told.get("type") or told.get("code"), 80),
        error_message=censor.plain(told.get("message")),
    )


def uploaded(document: Any, censor: Censor) -> Uploaded:
    """Read the answer to an upload. Raises `Rubbish` without an http(s) url."""
    data = _data(document)
    url = _url(data.get("url"), censor)
    if not url:
        raise Rubbish("the API took the reference image and gave no url for it")
    return Uploaded(url, _moment(data.get("created_at") or data.get("created")))


def balance(document: Any) -> Balance:
    """Read the account's money; -1 and `unlimited_quota` mean no limit. Raises `Rubbish`."""
    data = _data(document)
    remaining = _amount(data.get("remain_balance"))
    used = _amount(data.get("used_balance"))
    unlimited = data.get("unlimited_quota") is True or remaining == money.parse(-1)
    if remaining is None and not unlimited:
        raise Rubbish("the API answered without the account's balance")
    return Balance(None if unlimited else remaining, used)


def model_schema(document: Any, censor: Censor) -> dict[str, Any]:
    """Read a model's `input_schema`, as plain JSON. Raises `Rubbish` when it is none, or huge."""
    data = _data(document)
    found = data.get("input_schema", data.get("schema"))
    if not isinstance(found, dict):
        raise Rubbish("the API answered without the model's `input_schema`")
    try:
        plain: dict[str, Any] = _bounded(found)
    except OverflowError:
        raise Rubbish("the model's `input_schema` is too large or too deep to be one") from None
    if censor.holds(json.dumps(plain, ensure_ascii=False)):
        raise Rubbish("the API put the key into the model's `input_schema`")
    return plain


# ── what the parts may look like ────────────────────────────────────────────────────────────


def _data(document: Any) -> dict[str, Any]:
    """Return what an answer is about: its `data`, the first item of it, or the whole."""
    if not isinstance(document, dict):
        raise Rubbish("the API answered with JSON that is no object")
    data = document.get("data", document)
    if isinstance(data, list):
        data = next((item for item in data if isinstance(item, dict)), None)
    if not isinstance(data, dict):
        raise Rubbish("the API answered without data")
    return data


def _bounded(value: Any) -> Any:
    """Return a copy of JSON with plain numbers. Raises `OverflowError` for too much of it."""
    limits: dict[str, int] = schema.document("limits")["model_schema"]
    left = limits["characters"]

    def copy(part: Any, depth: int) -> Any:
        nonlocal left
        left -= 1 + (len(part) if isinstance(part, str) else 0)
        if depth > limits["depth"] or left < 0:
            raise OverflowError
        if isinstance(part, dict):
            return {copy(key, depth): copy(inner, depth + 1) for key, inner in part.items()}
        if isinstance(part, list):
            return [copy(inner, depth + 1) for inner in part]
        if isinstance(part, Decimal | float):
            number = float(part)
            return number if math.isfinite(number) else None
        if isinstance(part, int) and part.bit_length() > limits["number_bits"]:
            raise OverflowError
        return part

    return copy(value, 0)


def _results(result: Any, censor: Censor) -> Iterator[Result]:
    """Yield every image: one item or several, each with a url, a list of them, or being one."""
    images = result.get("images") if isinstance(result, dict) else result
    count = 0
    for image in images if isinstance(images, list) else [images]:
        item = image if isinstance(image, dict) else {"url": image}
        urls = item.get("url")
        for candidate in urls if isinstance(urls, list) else [urls]:
            if count < _MAX_RESULTS and (url := _url(candidate, censor)):
                count += 1
                yield Result(url, _moment(item.get("expires_at")))


def _url(value: Any, censor: Censor) -> str:
    """Return an http(s) url that can be asked for, else `""`."""
    if not isinstance(value, str) or not _URL.fullmatch(value) or censor.holds(value):
        return ""
    try:
        parts = urlsplit(value)
        return value if parts.hostname and parts.port != 0 else ""
    except ValueError:
        return ""


def _number(value: Any) -> float:
    """Return a finite number from 0, read from a number or from text such as `45%`; else 0."""
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
    if value is None or isinstance(value, bool | dict | list):
        return 0.0
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _seconds(value: Any) -> float:
    number = _number(value)
    return number if number < _MAX_SECONDS else 0.0


def _moment(value: Any) -> float:
    """Return seconds since 1970 UTC, from seconds, milliseconds or ISO 8601 text; 0 when none."""
    number = _number(value)
    if not number and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            number = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return 0.0
    while number > 10**11:  # milliseconds, or finer: seconds have ten digits until 2286
        number /= 1000
    return max(number, 0.0)


def _cost(data: dict[str, Any]) -> Money | None:
    """Return what was charged: `cost` in dollars, or a tenth of `credits_cost`."""
    cost = _amount(data.get("cost"))
    if cost is None and (credits_ := _amount(data.get("credits_cost"))) is not None:
        cost = money.Money(credits_ // 10)
    return cost if cost is not None and cost >= 0 else None


def _amount(value: Any) -> Money | None:
    if isinstance(value, str):
        value = value.strip().removeprefix("$")
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        return money.parse(value)
    except (ValueError, InvalidOperation):
        return None
