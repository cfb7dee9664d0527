"""The wire format of the answers: plain data in, JSON text out. `API.md` is the source.

[seed] marks the model's own page; the rest is the API's other public pages.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from pipeline import money
from pipeline.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.sandbox.faults import Faults
    from pipeline.sandbox.tasks import Task

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "payment_required",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
}
"""The `type` of each status. 400 to 429 (but for 404, 409, 413), 500 and 502 are [seed]."""

CHINESE = {
    400: "请求参数无效",
    401: "身份验证失败，请检查您的API密钥",
    402: "账户余额不足，请充值后再试",
    403: "访问被禁止，您没有权限访问此资源",
    404: "任务不存在",
    429: "请求过于频繁，请稍后再试",
    500: "服务器内部错误，请稍后重试",
    502: "网关错误，服务器暂时不可用",
}
"""[seed]'s own example messages, which are in Chinese (404 in its manner)."""

_ODD_RUNNING = ("queued", "warming_up", "PENDING_REVIEW", "in_progress", "pending")
_ODD_DONE = ("success", "succeeded")
_CREDITS_PER_DOLLAR = 10
_PER_DOLLAR = 10**9


class Denied(Exception):
    """The API says no, with this status.

    `code` is the word that stands in the body's `code` instead of the number; only the newer
    error shape has such words, so a denial with one always comes in that shape.
    """

    def __init__(
        self, status: int, message: str, *, code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})


class HangUp(Exception):
    """The connection is cut without an answer."""


class Nonsense(Exception):
    """An answer 200 with this body, which does not say what it should."""

    def __init__(self, body: bytes) -> None:
        super().__init__("rubbish")
        self.body = body


def as_json(data: object) -> bytes:
    """Return compact UTF-8 JSON; a lone surrogate goes out escaped."""
    return json.dumps(data, separators=(",", ":")).encode()


def error(denied: Denied, faults: Faults, request_id: str) -> bytes:
    """Return an error body in the shape that the faults ask for."""
    message = denied.message
    if faults.language == "zh" and not denied.code:
        message = CHINESE.get(denied.status, message)
    kind = KINDS.get(denied.status, "server_error")
    if denied.code or faults.error_shape == "public":
        inner = {
            "message": message,
            "type": kind,
            "param": None,
            "code": denied.code or str(denied.status),
        }
        return as_json({"request_id": request_id, "error": inner})
    if faults.error_shape == "success":
        return as_json({"success": False, "message": message})
    return as_json({"error": {"code": denied.status, "message": message, "type": kind}})


def accepted(task: Task, *, versioned: bool, request_id: str) -> bytes:
    """Return the answer to a submit: [seed]'s, or that of `X-APIMart-Response-Version`."""
    if versioned:
        data = {"id": task.id, "object": "generation.task", "status": "submitted"}
        return as_json({"request_id": request_id, "data": data})
    return as_json({"code": 200, "data": [{"status": "submitted", "task_id": task.id}]})


def rubbish(kind: float) -> bytes:
    """Return one of the answers that say nothing, by a number from 0 to 1."""
    bodies = (
        b"<html><body>OK</body></html>",
        b'{"code":200,"data":[]}',
        b'{"code":200,"data":[{"status":"submitted"}]}',
        b"",
        b'{"code":200,"da',
    )
    return bodies[int(kind * len(bodies)) % len(bodies)]


def retry_after(seconds: float, now: float, faults: Faults) -> dict[str, str]:
    """Return the header for a wait of `seconds`: whole seconds rounded up, a date, or none."""
    whole = max(1, int(-(-seconds // 1)))
    if faults.retry_after == "missing":
        return {}
    if faults.retry_after == "date":
        date = datetime.fromtimestamp(int(now) + whole, UTC)
        return {"Retry-After": format_datetime(date, usegmt=True)}
    return {"Retry-After": str(whole)}


def balance(faults: Faults, billed: Money) -> bytes:
    """Return the account's money; -1 when it is unlimited."""
    unlimited = faults.balance is None
    remaining = -1.0 if faults.balance is None else (faults.balance - billed) / _PER_DOLLAR
    return as_json(
        {
            "success": True,
            "remain_balance": remaining,
            "used_balance": billed / _PER_DOLLAR,
            "unlimited_quota": unlimited,
        }
    )


# ── a task ──────────────────────────────────────────────────────────────────────────────────


def look(task: Task, now: float, faults: Faults, base: str) -> bytes:
    """Return the body of `GET /v1/tasks/{id}` and of a callback. `base` serves the files."""
    data: dict[str, Any] = {
        "id": task.id,
        "status": _status(task, now, faults),
        "progress": task.progress(now),
        "estimated_time": round(sum(faults.task_seconds) / 2),
    }
    data |= _time("created", task.accepted_at, faults)
    if task.finished(now):
        data["actual_time"] = round(task.seconds)
        data |= _time("completed", task.finished_at, faults)
        data |= _cost(task.cost, faults)
        if task.failure:
            data["error"] = {"code": 500, "message": task.failure, "type": "task_failed"}
        else:
            data["result"] = {"images": _images(task, now, faults, base)}
    return as_json({"code": 200, "data": data})


def _status(task: Task, now: float, faults: Faults) -> str:
    word = task.outcome(now)
    if not faults.odd_status or word == "failed":
        return word
    odd = _ODD_DONE if word == "completed" else _ODD_RUNNING
    return odd[(task.number + task.progress(now)) % len(odd)]


def _time(name: str, at: float, faults: Faults) -> dict[str, int]:
    if faults.timestamps == "missing":
        return {}
    return {name: int(at * 1000) if faults.timestamps == "milliseconds" else int(at)}


def _cost(cost: Money, faults: Faults) -> dict[str, float | str]:
    if faults.cost == "missing":
        return {}
    credits_cost = Money(cost * _CREDITS_PER_DOLLAR)
    if faults.cost == "text":
        return {"cost": money.text(cost), "credits_cost": money.text(credits_cost)}
    return {"cost": cost / _PER_DOLLAR, "credits_cost": credits_cost / _PER_DOLLAR}


def expiry(task: Task, now: float, faults: Faults) -> float:
    """Return when the urls given out now expire. With `fresh_urls` they are renewed when due."""
    first = task.finished_at + faults.url_ttl
    if now < first or not faults.fresh_urls:
        return first
    if faults.url_ttl == 0:
        return now
    lives = (now - task.finished_at) // faults.url_ttl + 1
    return task.finished_at + lives * faults.url_ttl


def _images(task: Task, now: float, faults: Faults, base: str) -> list[dict[str, Any]]:
    expires = expiry(task, now, faults)
    ending = "jpg" if faults.format == "jpeg" else faults.format
    urls = [
        f"{base}/files/{expires * 1000:.0f}/{task.id}-{index}.{ending}"
        for index in range(1, task.delivered + 1)
    ]
    told = {} if faults.timestamps == "missing" else {"expires_at": int(expires)}
    if faults.timestamps == "milliseconds":
        told = {"expires_at": int(expires * 1000)}
    if faults.shape == "items":
        return [{"url": [url], **told} for url in urls]
    if faults.shape == "string":
        return [{"url": url, **told} for url in urls]
    return [{"url": urls, **told}]


def request_id(number: int) -> str:
    """Return the id of the sandbox's `number`-th request, as random-looking as the API's."""
    return f"req_{hashlib.blake2b(str(number).encode(), digest_size=10).hexdigest()}"
