"""Each fault does what its word says, and none is on unless asked for."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from pipeline.errors import InputError
from pipeline.sandbox import Faults, Span, describe, faults


def test_nothing_is_wrong_by_default():
    assert faults([]) == Faults()


def test_words_are_read_by_their_kind():
    read = faults(["fail=0.25", "task_seconds=5-60", "rate=20", "plain=true", "balance=1.50"])
    assert read.fail == 0.25
    assert read.task_seconds == Span(5, 60)
    assert read.rate == 20
    assert read.plain is True
    assert read.balance == 1_500_000_000


def test_a_near_miss_is_told_the_right_name():
    with pytest.raises(InputError) as caught:
        faults(["trunkate=1"])
    assert "trunkate" in caught.value.summary
    assert "truncate" in caught.value.fix


@pytest.mark.parametrize(
    "word",
    [
        "fail=2",
        "fail=-1",
        "fail=nan",
        "fail",
        "latency=fast",
        "latency=5-1",
        "rate=0",
        "running=1.5",
        "rate_kind=leaky",
        "plain=yes",
        "balance=much",
        "refuse_with=500",
        "redirect_scheme=://",
    ],
)
def test_a_value_out_of_range_is_refused_with_what_is_wanted(word):
    with pytest.raises(InputError) as caught:
        faults([word])
    assert word.partition("=")[0] in caught.value.summary
    assert caught.value.why


def test_every_fault_says_what_it_means():
    assert all(meaning for _, meaning in describe())


def test_latency_is_slept_on_the_clock(play):
    async def scenario(bench):
        await bench.submit()
        assert len(bench.clock.slept) == 1
        assert 0.5 <= bench.clock.slept[0] <= 2

    play(scenario, "latency=0.5-2")


def test_errors_are_a_mix_of_5xx_that_execute_nothing(play):
    async def scenario(bench):
        seen = {(await bench.submit()).status for _ in range(40)}
        assert seen == {500, 502, 503, 504}
        assert bench.sandbox.ledger.entries == []

    play(scenario, "error=1")


def test_error_after_is_a_5xx_for_a_task_that_was_accepted(play):
    async def scenario(bench):
        assert (await bench.submit(key="k")).status >= 500
        assert len(bench.sandbox.ledger.entries) == 1

    play(scenario, "error_after=1")


def test_a_share_falls_on_about_its_share(play):
    async def scenario(bench):
        failed = [await bench.submit() for _ in range(200)]
        assert 60 < sum(one.status == 500 for one in failed) < 140

    play(scenario, "build_request_failed=0.5")


def test_a_disguised_refusal_says_build_request_failed(play):
    async def scenario(bench):
        answer = await bench.submit()
        assert answer.status == 500
        assert answer.error["message"].startswith("build_request_failed:")
        assert bench.sandbox.ledger.entries == []

    play(scenario, "build_request_failed=1")


@pytest.mark.parametrize(("word", "accepted"), [("cut_before=1", 0), ("cut_after=1", 1)])
def test_a_cut_connection_has_no_answer(play, word, accepted):
    async def scenario(bench):
        # The client sends a request without a key only once: `POST` is never repeated.
        with pytest.raises(aiohttp.ClientError):
            await bench.submit(key="k")
        assert len(bench.sandbox.ledger.entries) == accepted

    play(scenario, word)


def test_after_a_cut_the_same_key_finds_the_task(play):
    async def scenario(bench):
        with pytest.raises(aiohttp.ClientError):
            await bench.submit(key="k")
        bench.sandbox.faults = Faults()
        answer = await bench.submit(key="k")
        assert answer.headers["Idempotency-Replayed"] == "true"
        assert [one.task_id for one in bench.sandbox.ledger.entries] == [answer.task_id]

    play(scenario, "cut_after=1")


def test_rubbish_names_no_task_although_there_is_one(play):
    async def scenario(bench):
        for number in range(20):
            answer = await bench.submit(key=f"k{number}")
            assert answer.status == 200
            assert b"task_" not in answer.body
        assert len(bench.sandbox.ledger.entries) == 20

    play(scenario, "rubbish=1")


@pytest.mark.parametrize("kind", ["window", "bucket"])
def test_above_the_rate_comes_429_until_the_time_it_names(play, kind, clock):
    async def scenario(bench):
        clock.time = float(int(clock.time))
        answers = [await bench.submit() for _ in range(6)]
        assert [one.status for one in answers] == [200] * 5 + [429]
        assert answers[-1].error["type"] == "rate_limit_error"
        assert bench.requests["refused_429"] == 1
        clock.time += float(answers[-1].headers["Retry-After"])
        assert (await bench.submit()).status == 200

    play(scenario, "rate=5", f"rate_kind={kind}")


def test_a_rate_below_one_a_second_has_a_longer_window(play, clock):
    async def scenario(bench):
        clock.time = 1_800_000_000.0
        assert [(await bench.submit()).status for _ in range(2)] == [200, 429]
        clock.time += 2
        assert (await bench.submit()).status == 200

    play(scenario, "rate=0.5")


@pytest.mark.parametrize(("scope", "status"), [("submit", 404), ("all", 429)])
def test_the_rate_counts_submits_or_every_call(play, scope, status):
    async def scenario(bench):
        await bench.submit()
        assert (await bench.call("GET", "/v1/tasks/task_x")).status == status

    play(scenario, "rate=1", f"rate_scope={scope}")


def test_retry_after_may_be_a_date_or_missing(play, clock):
    async def scenario(bench):
        await bench.submit()
        date = (await bench.submit()).headers["Retry-After"]
        assert parsedate_to_datetime(date).timestamp() == int(clock.time) + 1
        bench.sandbox.faults = faults(["rate=1", "retry_after=missing"])
        assert "Retry-After" not in (await bench.submit()).headers

    play(scenario, "rate=1", "retry_after=date")


def test_too_many_running_tasks_are_refused_until_one_is_done(play, clock):
    async def scenario(bench):
        assert [(await bench.submit()).status for _ in range(3)] == [200, 200, 429]
        clock.time += 10
        assert (await bench.submit()).status == 200

    play(scenario, "running=2", "task_seconds=10")


def test_an_empty_balance_is_a_402_and_a_failed_task_is_refunded(play, clock):
    async def scenario(bench):
        assert (await bench.submit()).status == 200
        refused = await bench.submit()
        assert refused.status == 402
        assert refused.error["type"] == "payment_required"
        clock.time += 10
        assert (await bench.submit()).status == 200

    play(scenario, "balance=0.05", "task_seconds=10", "fail_first=1")


@pytest.mark.parametrize("status", [401, 402, 403])
def test_the_account_may_be_refused_after_some_tasks(play, status):
    async def scenario(bench):
        seen = [(await bench.submit()).status for _ in range(4)]
        assert seen == [200, 200, status, status]

    play(scenario, f"refuse_with={status}", "refuse_after=2")


def test_a_failed_task_says_why_and_costs_nothing(play):
    async def scenario(bench):
        task = await bench.look((await bench.submit()).task_id)
        assert task["status"] == "failed"
        assert task["cost"] == 0
        assert "safety filter" in task["error"]["message"]
        [entry] = bench.sandbox.ledger.entries
        assert (entry.outcome, entry.billed) == ("failed", 0)

    play(scenario, "fail=1")


def test_only_the_first_tasks_fail(play):
    async def scenario(bench):
        tasks = [await bench.look((await bench.submit()).task_id) for _ in range(3)]
        assert [one["status"] for one in tasks] == ["failed", "failed", "completed"]

    play(scenario, "fail_first=2")


def test_messages_can_be_chinese(play):
    async def scenario(bench):
        task = await bench.look((await bench.submit()).task_id)
        assert not task["error"]["message"].isascii()
        assert (await bench.submit(n="1")).error["message"] == "请求参数无效"

    play(scenario, "fail=1", "language=zh")


def test_error_bodies_come_in_every_shape(play):
    async def scenario(bench):
        public = (await bench.submit(n="1")).json
        assert public["request_id"]
        assert public["error"]["code"] == "400"
        bench.sandbox.faults = Faults(error_shape="success")
        flat = (await bench.submit(n="1")).json
        assert flat["success"] is False
        assert flat["message"]

    play(scenario, "error_shape=public")


@pytest.mark.parametrize(
    ("shape", "items", "kind"), [("list", 1, list), ("items", 3, list), ("string", 3, str)]
)
def test_results_come_in_every_shape(play, shape, items, kind):
    async def scenario(bench):
        images = (await bench.look((await bench.submit(n=3)).task_id))["result"]["images"]
        assert len(images) == items
        assert all(isinstance(image["url"], kind) for image in images)

    play(scenario, f"shape={shape}")


def test_status_words_can_be_unheard_of(play, clock):
    async def scenario(bench):
        task_id = (await bench.submit()).task_id
        seen = set()
        for _ in range(9):
            seen.add((await bench.look(task_id))["status"])
            clock.time += 1
        assert not seen & {"submitted", "processing"}
        clock.time += 1
        assert (await bench.look(task_id))["status"] in ("success", "succeeded")

    play(scenario, "odd_status=true", "task_seconds=10")


def test_times_and_costs_can_be_told_otherwise_or_not_at_all(play, clock):
    async def scenario(bench):
        task_id = (await bench.submit()).task_id
        told = await bench.look(task_id)
        assert told["created"] == int(clock.time * 1000)
        assert told["cost"].startswith("0.03")
        bench.sandbox.faults = faults(["timestamps=missing", "cost=missing"])
        bare = await bench.look(task_id)
        assert not {"created", "completed", "cost", "credits_cost"} & set(bare)
        assert "expires_at" not in bare["result"]["images"][0]

    play(scenario, "timestamps=milliseconds", "cost=text")


def test_a_forgotten_task_is_a_404_although_it_was_billed(play):
    async def scenario(bench):
        task_id = (await bench.submit()).task_id
        assert (await bench.call("GET", f"/v1/tasks/{task_id}")).status == 404
        assert bench.sandbox.ledger.billed > 0

    play(scenario, "forget=1")


def test_the_same_dice_give_the_same_faults(play):
    runs = []

    async def scenario(bench):
        runs.append([(await bench.submit()).body for _ in range(20)])

    for _ in range(2):
        play(scenario, "build_request_failed=0.5", seed=3)
    assert runs[0] == runs[1]
