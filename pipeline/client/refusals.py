"""The API's no: every shape an error body has been seen in, and the error of ours it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pipeline.errors import (
    AccountError,
    ApiError,
    BalanceEmpty,
    Disguised,
    Indeterminate,
    InProgress,
    KeyRefused,
    KeyReused,
    NotExecuted,
    NotPermitted,
    RateLimited,
    Refused,
    Rubbish,
    Unavailable,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.client.text import Censor

_IDEMPOTENCY = re.compile(
    r"idempotency_(?:in_progress|key_reused|result_indeterminate|unavailable)"
)
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "payment_required": 402,
    "permission_error": 403,
    "rate_limit_error": 429,
    "server_error": 500,
    "bad_gateway": 502,
}
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_MOVED = frozenset({301, 302, 307, 308})
_MAX_WAIT = 10**7
"""Seconds that any Retry-After is cut to; what is obeyed of it is the pace's to decide."""

_MONEY = "Top up the account, then run again: it goes on from here."
_KEY = (
    "Check APIMART_API_KEY, then run again: it goes on from here. To test the key:\n"
    "  banana-batch balance"
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the API itself says went wrong, already fit to show. `status` is the HTTP status that
    it claims in words or numbers, None when it claims none."""

    message: str = ""
    kind: str = ""
    request_id: str = ""
    status: int | None = None


def complains(document: Any) -> bool:
    """Say whether an answer that came as a success is an error all the same."""
    return isinstance(document, dict) and (
        bool(document.get("error"))
        or document.get("success") is False
        or _status(document.get("code")) is not None
    )


def complaint(document: Any, censor: Censor) -> Complaint:
    """Read an error body, in any of its shapes.

    `{"error": {code, message, type}}`, the same with `request_id` and a code in words,
    `{"success": false, message}`, `{code, message}` and `{"error": "text"}`.
    """
    if not isinstance(document, dict):
        return Complaint()
    told = document.get("error")
    inner: dict[str, Any] = told if isinstance(told, dict) else document
    code = inner.get("code", document.get("code"))
    kind_word, code_word = censor.plain(inner.get("type"), 80), censor.plain(code, 80)
    words = [word for word in (kind_word, code_word) if word and not word.isdigit()]
    kind = next((word for word in words if _IDEMPOTENCY.fullmatch(word)), "".join(words[:1]))
    message = told if isinstance(told, str) else _first(inner, "message", "msg", "detail")
    return Complaint(
        censor.plain(message),
        kind,
        censor.plain(document.get("request_id") or inner.get("request_id"), 80),
        _status(code) or _STATUS_OF_TYPE.get(kind),
    )


def unreadable(body: bytes, censor: Censor) -> Complaint:
    """Read an error body that is no JSON: the title of a page of HTML, or its first words."""
    title = _TITLE.search(body[:65536])
    page = body.lstrip()[:1] == b"<"
    text = title.group(1) if title else b"" if page else body[:2048]
    return Complaint(censor.plain(text.decode("utf-8", "replace"), 200))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that `Retry-After` asks for, written as seconds or as a date.

    None when there is none or it says nothing. `now` is seconds since 1970 UTC.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError, TypeError):
            return None
    return min(max(seconds, 0.0), _MAX_WAIT) if seconds == seconds else None  # not a NaN


def refusal(status: int, said: Complaint, wait: float | None, location: str = "") -> ApiError:
    """Return the error that an answer with `status` is. `location` is where a redirect leads."""
    kind = said.kind
    if status == 409:
        error = _conflict(kind, said)
    elif status == 503 and kind == "idempotency_unavailable":
        error = NotExecuted(_told("the API could not execute the request just now", said))
    elif status == 500 and said.message.startswith("build_request_failed:"):
        error = Disguised(_told("the API refused the request", said))
    elif status in _MOVED:
        error = _moved(location)
    else:
        error = _plain(status, said)
    error.kind = kind or error.kind
    error.code = status
    error.retry_after = wait
    return error


def trouble(summary: str, status: int, wait: float | None) -> ApiError:
    """Return what heals by waiting, said by the host of an image: 408, 425, 429 or a 5xx."""
    kind = RateLimited if status == 429 else Unavailable
    return kind(f"{summary} ({status})", code=status, retry_after=wait)


def _plain(status: int, said: Complaint) -> ApiError:
    match status:
        case 401:
            return KeyRefused(_told("the API refused the key", said), fix=_KEY)
        case 402:
            return BalanceEmpty(_told("the account's balance is empty", said), fix=_MONEY)
        case 403:
            return NotPermitted(
                _told("the API does not permit this", said),
                why="The key may not use this model or call, or the account is locked.",
                fix=_KEY,
            )
        case 407:
            return Unreachable(
                "the proxy on the way to the API wants credentials",
                why="Nothing was sent to the API.",
                fix="Put them in HTTPS_PROXY: http://user:password@host:port",
            )
        case 429:
            return RateLimited(_told("the API asks to slow down", said))
        case 408 | 425:
            return Unavailable(_told(f"the API gave up on the request ({status})", said))
        case _ if 400 <= status < 500:
            return Refused(_told(f"the API refused the request ({status})", said))
        case _ if status >= 500:
            return Unavailable(_told(f"the API is in trouble ({status})", said))
        case _:
            return Rubbish(_told(f"the API answered {status}, which says nothing", said))


def _conflict(kind: str, said: Complaint) -> ApiError:
    """409: what the idempotency key can still settle."""
    match kind:
        case "idempotency_in_progress":
            return InProgress(_told("the first request with this key still runs", said))
        case "idempotency_key_reused":
            return KeyReused(
                _told("this idempotency key was used with another request", said),
                why="What became of that request, the key cannot tell any more.",
            )
        case "idempotency_result_indeterminate":
            return Indeterminate(
                _told("the API cannot tell what became of the request", said),
                why="It may have been executed and paid for.",
            )
        case _:
            return Rubbish(_told("the API answered 409 without saying what conflicts", said))


def _moved(location: str) -> AccountError:
    """A redirect: every request would get it, and the key must not travel to another address."""
    return AccountError(
        f"the API's address is not right: it redirects to {location or 'another one'}",
        why="Redirects of the API are not followed: the key must not travel.",
        fix="Set the address that answers by itself:\n  export APIMART_BASE_URL=https://…",
        kind="redirect",
    )


def _told(summary: str, said: Complaint) -> str:
    text = f"{summary}: {said.message}" if said.message else summary
    return f"{text} (request {said.request_id})" if said.request_id else text


def _status(code: Any) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    wanted = isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599
    return code if wanted else None


def _first(document: Mapping[str, Any], *names: str) -> Any:
    return next((document[name] for name in names if document.get(name)), None)
