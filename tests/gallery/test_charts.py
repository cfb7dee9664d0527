"""The drawings in the header."""

from __future__ import annotations

import pytest

from pipeline.gallery.charts import durations, shares, span_text, spending
from pipeline.lifecycle import Status
from pipeline.money import parse


def test_shares_fill_the_whole_width_in_a_fixed_order() -> None:
    found = shares({Status.FAILED: 1, Status.DOWNLOADED: 2, Status.PENDING: 1})
    assert [(one.status, one.x, one.width) for one in found] == [
        (Status.DOWNLOADED, 0, 50),
        (Status.PENDING, 50, 25),
        (Status.FAILED, 75, 25),
    ]


def test_no_jobs_have_no_shares() -> None:
    assert shares({Status.PENDING: 0}) == ()


def test_every_status_has_its_place() -> None:
    assert {one.status for one in shares(dict.fromkeys(Status, 1))} == set(Status)


def test_spending_climbs_from_nothing_to_the_total() -> None:
    curve = spending([20.0, 0.0, 10.0], [parse(1), parse(1), parse(2)])
    assert curve
    assert curve.line == "M0.00 40.00 L0.00 30.00 L50.00 10.00 L100.00 0.00"
    assert curve.total == "$4.00"
    assert (curve.start, curve.end) == ("00:00", "00:00")


def test_spending_over_days_names_the_days() -> None:
    curve = spending([0.0, 90_000.0], [1, 1])
    assert curve
    assert (curve.start, curve.end) == ("01 Jan 00:00", "02 Jan 01:00")


def test_a_long_run_is_drawn_with_few_points() -> None:
    curve = spending([float(n) for n in range(100_000)], [1] * 100_000)
    assert curve
    assert curve.line.count("L") <= 101
    assert curve.line.endswith("L100.00 0.00")


@pytest.mark.parametrize(
    ("times", "costs"), [([], []), ([1.0], [5]), ([1.0, 1.0], [5, 5]), ([1.0, 2.0], [0, 0])]
)
def test_what_makes_no_curve_is_not_drawn(times: list[float], costs: list[int]) -> None:
    assert spending(times, costs) is None


def test_every_duration_is_in_one_bar() -> None:
    found = durations([float(n % 37) for n in range(400)])
    assert found
    assert sum(int(one.label.split()[0]) for one in found.bars) == 400
    assert max(one.height for one in found.bars) == 40


def test_one_slow_task_does_not_squeeze_the_others_together() -> None:
    found = durations([*(float(n % 10) for n in range(200)), 100_000.0])
    assert found
    assert sum(one.height > 0 for one in found.bars) >= 10
    assert found.high == "27 h 46 min"


def test_equal_durations_make_one_full_bar() -> None:
    found = durations([5.0, 5.0, 5.0])
    assert found
    assert [one.height for one in found.bars] == [40, 0, 0]


def test_nothing_measured_is_not_drawn() -> None:
    assert durations([]) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (8.43, "8.4 s"), (125, "2 min 05 s"), (12_000, "3 h 20 min")],
)
def test_lengths_of_time_are_written_for_people(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
