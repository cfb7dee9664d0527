"""What the answer to a submit comes to: the row of the table, and the words for people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from client_desk import KEY, answer, ask, tell

from pipeline import errors
from pipeline.lifecycle import Submit

BODY = b'{"model":"m","prompt":"x"}'


def submit(*answers: bytes, seen: list[Any] | None = None) -> Any:
    return ask(lambda api: api.submit(BODY, "key-1"), tell(*answers, seen=seen))


def refused(*answers: bytes) -> errors.ApiError:
    with pytest.raises(errors.ApiError) as caught:
        submit(*answers)
    return caught.value


SEED = {"code": 200, "data": [{"status": "submitted", "task_id": "task_01"}]}


@pytest.mark.parametrize(
    "document",
    [
        SEED,
        {"request_id": "r", "data": {"id": "task_01", "object": "generation.task"}},
        {"code": "200", "data": {"task_id": "task_01"}},
        {"task_id": "task_01"},
    ],
)
def test_a_task_id_is_found_in_every_shape(document: object) -> None:
    assert submit(answer(document)).task_id == "task_01"


def test_the_body_and_the_key_go_out_unchanged() -> None:
    seen: list[Any] = []
    submit(answer(SEED), seen=seen)
    line, headers, body = seen[0]
    assert line == "POST /v1/images/generations HTTP/1.1"
    assert body == BODY
    assert headers["idempotency-key"] == "key-1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("banana-batch/")


def test_a_large_body_is_streamed_whole_with_its_length() -> None:
    seen: list[Any] = []
    body = b'{"x":"' + b"y" * 3_000_000 + b'"}'
    ask(lambda api: api.submit(body, "k"), tell(answer(SEED), seen=seen))
    assert seen[0][2] == body
    assert "transfer-encoding" not in seen[0][1]


def test_a_replayed_answer_says_so() -> None:
    assert submit(answer(SEED, headers={"Idempotency-Replayed": "true"})).replayed
    assert not submit(answer(SEED)).replayed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>ok</html>",
        b'{"code":200,"da',
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"data":[]}',
        b'{"data":null}',
        b'{"data":{"id":"../../etc/passwd"}}',
        b'{"data":{"id":".."}}',
        b'{"data":{"id":"a\\nb"}}',
        b'{"data":{"id":17}}',
        b'{"data":{"id":"' + b"x" * 201 + b'"}}',
        b'{"success":false,"message":"no"}',
        b'{"data":{"id":"' + KEY.encode() + b'"}}',
    ],
)
def test_a_success_without_a_task_id_is_rubbish(body: bytes) -> None:
    error = refused(answer(body))
    assert isinstance(error, errors.Rubbish)
    assert error.submit is Submit.RUBBISH


@pytest.mark.parametrize(
    ("status", "row"),
    [
        (400, Submit.REFUSED),
        (404, Submit.REFUSED),
        (413, Submit.REFUSED),
        (422, Submit.REFUSED),
        (401, Submit.STOPPED),
        (402, Submit.STOPPED),
        (403, Submit.STOPPED),
        (301, Submit.STOPPED),
        (308, Submit.STOPPED),
        (303, Submit.RUBBISH),
        (407, Submit.NEVER_SENT),
        (408, Submit.UNAVAILABLE),
        (409, Submit.RUBBISH),
        (429, Submit.THROTTLED),
        (500, Submit.UNAVAILABLE),
        (502, Submit.UNAVAILABLE),
        (503, Submit.UNAVAILABLE),
        (504, Submit.UNAVAILABLE),
        (520, Submit.UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html><title>Oops</title></html>", b'{"error":"no"}'])
def test_a_status_is_its_row_whatever_the_body(status: int, row: Submit, body: bytes) -> None:
    assert refused(answer(body, status, {"Location": "https://other.example"})).submit is row


@pytest.mark.parametrize("field", ["type", "code"])
@pytest.mark.parametrize(
    ("status", "word", "row"),
    [
        (409, "idempotency_in_progress", Submit.IN_PROGRESS),
        (409, "idempotency_key_reused", Submit.KEY_REUSED),
        (409, "idempotency_result_indeterminate", Submit.INDETERMINATE),
        (503, "idempotency_unavailable", Submit.NOT_EXECUTED),
    ],
)
def test_what_the_key_settles_is_read_as_type_or_code(
    field: str, status: int, word: str, row: Submit
) -> None:
    error = refused(answer({"request_id": "r", "error": {"message": "m", field: word}}, status))
    assert error.submit is row
    assert error.kind == word


def test_a_wrong_request_in_the_guise_of_a_500_is_known() -> None:
    told = {"error": {"code": 500, "message": "build_request_failed: bad size"}}
    assert refused(answer(told, 500)).submit is Submit.DISGUISED
    told["error"]["message"] = "upstream said build_request_failed: x"
    assert refused(answer(told, 500)).submit is Submit.UNAVAILABLE


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"error": {"code": 402, "message": "m"}}, errors.BalanceEmpty),
        ({"code": "401", "message": "m"}, errors.KeyRefused),
        ({"success": False, "error": {"type": "rate_limit_error"}}, errors.RateLimited),
        ({"error": {"type": "invalid_request_error", "message": "m"}}, errors.Refused),
    ],
)
def test_an_error_that_comes_as_a_200_is_the_error_it_names(
    document: object, kind: type[errors.ApiError]
) -> None:
    assert isinstance(refused(answer(document)), kind)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Tue, 14 Jul 2026 03:33:50 GMT", 30.0),
        ("Tue, 14 Jul 2020 03:33:50 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("1e999", 1e7),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert refused(answer(b"", 429, {"Retry-After": header})).retry_after == seconds


def test_a_message_is_told_in_its_language_with_the_request_id() -> None:
    told = {"request_id": "req_7", "error": {"code": 400, "message": "提示词\u202e 无效\x1b[31m"}}
    error = refused(answer(told, 400))
    assert error.summary == "the API refused the request (400): 提示词 无效 [31m (request req_7)"
    assert error.code == 400


def test_the_key_is_in_no_part_of_an_error() -> None:
    echo = f"Bearer {KEY} {KEY.upper()} " * 300
    told = {"request_id": KEY, "error": {"message": echo, "type": KEY, "code": KEY}}
    for status in (400, 401, 409, 500):
        error = refused(answer(told, status))
        parts = (error.summary, error.why, error.fix, error.kind, str(error), repr(error))
        assert not [part for part in parts if KEY[3:].lower() in part.lower()]
        assert "0123456789" not in "".join(parts)
        assert len(error.summary) < 600


def test_the_key_is_not_told_where_a_page_echoes_it() -> None:
    page = f"<html><title>Bad {KEY}</title></html>".encode()
    error = refused(answer(page, 502, {"Location": f"https://x/?k={KEY}"}))
    assert KEY not in error.summary
    error = refused(answer(b"", 302, {"Location": f"https://x/?k={KEY}"}))
    assert KEY not in error.summary


def test_a_redirect_of_the_api_is_not_followed() -> None:
    seen: list[Any] = []
    with pytest.raises(errors.AccountError, match=r"redirects to /elsewhere"):
        submit(answer(b"", 307, {"Location": "/elsewhere"}), seen=seen)
    assert len(seen) == 1


def test_an_endless_answer_ends_at_the_limit() -> None:
    huge = json.dumps({"data": "x" * (9 << 20)}).encode()
    error = refused(answer(huge))
    assert isinstance(error, errors.Rubbish)
    assert "more than" in error.summary
