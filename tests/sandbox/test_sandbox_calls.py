"""The wire format: what a client that follows the API's pages may rely on."""

from __future__ import annotations

import base64

import pytest

from pipeline import schema
from pipeline.sandbox import BANNER

MODEL = "gemini-3.1-flash-lite-image"


def test_a_submit_is_answered_in_the_shape_of_the_models_page(play):
    async def scenario(bench):
        answer = await bench.submit()
        assert answer.status == 200
        assert answer.json["code"] == 200
        [accepted] = answer.json["data"]
        assert accepted["status"] == "submitted"
        assert accepted["task_id"].startswith("task_")

    play(scenario)


def test_the_version_header_asks_for_the_newer_shape(play):
    async def scenario(bench):
        answer = await bench.submit(headers={"X-APIMart-Response-Version": "2026-07-27"})
        assert answer.json["request_id"]
        assert answer.json["data"]["object"] == "generation.task"
        assert (await bench.look(answer.json["data"]["id"]))["status"] == "completed"

    play(scenario)


def test_a_task_goes_from_submitted_through_growing_progress_to_completed(play, clock):
    async def scenario(bench):
        task_id = (await bench.submit()).task_id
        seen = []
        for _ in range(5):
            task = await bench.look(task_id)
            seen.append((task["status"], task["progress"]))
            clock.time += 2.5
        assert seen == [
            ("submitted", 0),
            ("processing", 25),
            ("processing", 50),
            ("processing", 75),
            ("completed", 100),
        ]

    play(scenario, "task_seconds=10")


def test_a_finished_task_tells_its_cost_its_times_and_its_images(play, clock):
    async def scenario(bench):
        started = clock.time
        task_id = (await bench.submit()).task_id
        clock.time += 10
        task = await bench.look(task_id)
        assert task["created"] == started
        assert task["completed"] == started + 10
        assert task["estimated_time"] == task["actual_time"] == 10
        assert task["cost"] == pytest.approx(0.0336, abs=0.0001)
        assert task["credits_cost"] == pytest.approx(10 * task["cost"])
        [image] = task["result"]["images"]
        assert len(image["url"]) == 1
        assert image["expires_at"] == started + 10 + 86400

    play(scenario, "task_seconds=10")


def test_several_images_are_billed_by_what_is_delivered(play):
    async def scenario(bench):
        one = await bench.look((await bench.submit()).task_id)
        bench.sandbox.faults = type(bench.sandbox.faults)(partial=1.0)
        four = await bench.look((await bench.submit(n=4)).task_id)
        delivered = len(four["result"]["images"][0]["url"])
        assert 1 <= delivered < 4
        assert four["cost"] == pytest.approx(delivered * one["cost"])

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"n": "2"}, "n"),
        ({"n": 2.0}, "n"),
        ({"n": 5}, "n"),
        ({"size": "16x9"}, "size"),
        ({"resolution": "2K"}, "resolution"),
        ({"prompt": "  "}, "prompt"),
        ({"model": "no-such"}, "no-such"),
        ({"google_search": True}, "google_search"),
        ({"image_urls": ["ftp://example.com/a.png"]}, "image_urls"),
        ({"image_urls": ["https://example.com/a.png"] * 15}, "image_urls"),
        ({"image_urls": ["data:image/png;base64,%%%"]}, "base64"),
        ({"image_urls": ["data:image/png;base64,aGVsbG8="]}, "not an image"),
    ],
)
def test_a_wrong_request_is_refused_and_not_billed(play, fields, word):
    async def scenario(bench):
        answer = await bench.submit(**fields)
        assert answer.status == answer.error["code"] == 400
        assert answer.error["type"] == "invalid_request_error"
        assert word in answer.error["message"]
        assert bench.sandbox.ledger.entries == []

    play(scenario)


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(play, body):
    async def scenario(bench):
        assert (await bench.call("POST", "/v1/images/generations", data=body)).status == 400

    play(scenario)


def test_an_inline_reference_may_have_the_largest_allowed_size(play, picture):
    most = schema.models()[MODEL].max_reference_bytes

    async def scenario(bench):
        for size, status in ((most, 200), (most + 1, 400)):
            text = base64.b64encode(picture.ljust(size, b"\0")).decode()
            answer = await bench.submit(image_urls=[f"data:image/png;base64,{text}"])
            assert answer.status == status

    play(scenario)


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic x"}])
def test_a_call_without_a_key_is_refused(play, header):
    async def scenario(bench):
        answer = await bench.call("GET", "/v1/tasks/task_x", headers=header)
        assert answer.status == 401
        assert answer.error["type"] == "authentication_error"

    play(scenario)


def test_only_the_accepted_keys_are_accepted(play):
    async def scenario(bench):
        assert (await bench.submit()).status == 401
        assert (await bench.submit(headers={"Authorization": "Bearer right"})).status == 200

    play(scenario, keys=frozenset({"right"}))


def test_an_unknown_task_is_a_404(play):
    async def scenario(bench):
        assert (await bench.call("GET", "/v1/tasks/task_nope")).status == 404

    play(scenario)


@pytest.mark.parametrize("path", ["/v1/balance", "/v1/user/balance"])
def test_the_balance_tells_what_is_left_and_what_was_used(play, path):
    async def scenario(bench):
        await bench.submit()
        balance = (await bench.call("GET", path)).json
        assert balance["success"] is True
        assert balance["unlimited_quota"] is False
        assert balance["remain_balance"] + balance["used_balance"] == pytest.approx(5)
        assert balance["used_balance"] == pytest.approx(0.0336, abs=0.0001)

    play(scenario, "balance=5")


def test_an_unlimited_account_has_a_balance_of_minus_one(play):
    async def scenario(bench):
        balance = (await bench.call("GET", "/v1/balance")).json
        assert balance["remain_balance"] == -1
        assert balance["unlimited_quota"] is True

    play(scenario)


def test_a_failing_balance_call_comes_as_a_200(play):
    async def scenario(bench):
        answer = await bench.call("GET", "/v1/balance", headers={})
        assert answer.status == 200
        assert answer.json["success"] is False
        assert answer.json["message"]

    play(scenario)


def test_the_models_and_their_schemas_are_told(play):
    async def scenario(bench):
        listed = (await bench.call("GET", "/v1/models")).json["data"]
        assert MODEL in {one["id"] for one in listed}
        told = (await bench.call("GET", f"/v1/model-schema?model={MODEL}")).json["data"]
        assert told["input_schema"]["properties"]["n"]["maximum"] == 4
        assert "google_search" not in told["input_schema"]["properties"]
        assert (await bench.call("GET", "/v1/model-schema?model=x")).status == 404

    play(scenario)


def test_an_upload_is_told_as_the_api_tells_it_and_can_be_fetched(play, picture):
    async def scenario(bench):
        told = (await bench.upload(picture)).json
        assert told["bytes"] == len(picture)
        assert told["content_type"] == "image/png"
        assert told["filename"] == "mug.png"
        assert told["created_at"] == bench.clock.time
        fetched = await bench.fetch(told["url"])
        assert fetched.body == picture
        assert (await bench.submit(image_urls=[told["url"]])).status == 200

    play(scenario)


def test_an_upload_dies_after_its_lifetime_and_is_no_reference_any_more(play, picture, clock):
    async def scenario(bench):
        url = (await bench.upload(picture)).json["url"]
        clock.time += schema.api("upload", "lifetime_seconds")
        assert (await bench.fetch(url)).status == 404
        assert (await bench.submit(image_urls=[url])).status == 400

    play(scenario)


def test_an_upload_is_judged_by_its_contents(play):
    async def scenario(bench):
        assert (await bench.upload(b"#!/bin/sh\n")).status == 400

    play(scenario)


def test_an_upload_over_the_limit_is_refused(play, picture):
    async def scenario(bench):
        most = schema.api("upload", "max_bytes")
        largest = await bench.upload(picture.ljust(most, b"\0"))
        assert largest.status == 200
        assert len((await bench.fetch(largest.json["url"])).body) == most
        assert (await bench.upload(picture.ljust(most + 1, b"\0"))).status == 413

    play(scenario)


def test_an_upload_without_the_field_or_the_form_is_refused(play, picture):
    async def scenario(bench):
        assert (await bench.upload(picture, name="image")).status == 400
        assert (await bench.call("POST", "/v1/uploads/images", data=picture)).status == 400

    play(scenario)


def test_the_ledger_can_be_asked_for_over_http(play):
    async def scenario(bench):
        task_id = (await bench.submit(key="k1")).task_id
        book = (await bench.call("GET", "/_sandbox/ledger", headers={})).json
        [task] = book["tasks"]
        assert (task["task_id"], task["key"], task["outcome"]) == (task_id, "k1", "completed")
        assert task["body"]["prompt"] == "a red mug"
        assert task["billed"] == book["billed"] > 0
        assert book["requests"]["submit"] == 1
        assert set(book["requests"]) >= {"task", "upload", "file", "refused_429", "leaked_keys"}

    play(scenario)


def test_the_banner_says_what_is_not_imitated():
    assert "does not imitate" in BANNER
