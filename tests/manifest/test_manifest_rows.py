from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifest_samples import downloaded, image, record

from pipeline import money
from pipeline.errors import InputError
from pipeline.manifest import COLUMNS, chosen, rows
from pipeline.money import Money

PROMISED = (
    "entry_id, image_index, task_id, status, file, prompt, model, size, width, height, bytes,"
    " sha256, url, url_expires_at, cost_usd, attempts, error_type, error_message, submitted_at,"
    " completed_at, fingerprint, idempotency_key, tags"
).replace(" ", "")


def test_the_columns_are_the_promised_ones_in_the_promised_order() -> None:
    assert ",".join(COLUMNS) == PROMISED


def test_a_row_has_exactly_the_columns_in_order() -> None:
    assert tuple(next(rows(downloaded()))) == COLUMNS


def test_a_job_of_three_images_has_three_rows_before_it_is_sent() -> None:
    found = list(rows(record(images=3)))
    assert [row["image_index"] for row in found] == [1, 2, 3]
    assert {row["file"] for row in found} == {None}


def test_an_image_that_the_api_left_out_keeps_its_row_empty() -> None:
    results = (image(1), image(3))
    found = list(rows(downloaded(images=3, results=results)))
    assert [row["file"] for row in found] == ["images/1.png", None, "images/3.png"]


def test_an_image_more_than_asked_for_gets_a_row() -> None:
    found = list(rows(downloaded(images=1, results=(image(1), image(2)))))
    assert [row["file"] for row in found] == ["images/1.png", "images/2.png"]


def test_the_second_job_of_an_entry_has_the_second_index() -> None:
    (row,) = rows(downloaded(2, 2))
    assert (row["image_index"], row["file"]) == (2, "images/night-city-2.png")


@given(cost=st.integers(0, 10**12), sunk=st.integers(0, 10**12), count=st.integers(1, 14))
def test_the_rows_of_a_job_add_up_to_what_it_cost(cost: int, sunk: int, count: int) -> None:
    job = record(images=count, cost=Money(cost), sunk=Money(sunk))
    total = sum((row["cost_usd"] for row in rows(job)), Decimal(0))
    assert total == Decimal(cost + sunk) / 10**9


def test_what_cannot_be_split_evenly_is_on_the_first_row() -> None:
    costs = [row["cost_usd"] for row in rows(record(images=3, cost=money.parse("0.000000004")))]
    assert costs == [Decimal("0.000000002"), Decimal("0.000000001"), Decimal("0.000000001")]


def test_an_unknown_cost_is_none_and_no_zero() -> None:
    assert next(rows(record()))["cost_usd"] is None


def test_earlier_attempts_count_although_the_last_cost_is_unknown() -> None:
    (row,) = rows(record(sunk=money.parse("0.0336")))
    assert row["cost_usd"] == Decimal("0.0336")


def test_times_are_utc_with_a_z() -> None:
    assert next(rows(downloaded()))["submitted_at"] == "2026-01-02T12:00:00Z"


def test_a_date_that_is_none_becomes_nothing() -> None:
    job = downloaded(results=(image(url_expires_at=1e300),))
    assert next(rows(job))["url_expires_at"] is None


def test_chosen_columns_keep_the_order_asked_for() -> None:
    assert chosen(["status", "entry_id"]) == ("status", "entry_id")


def test_no_chosen_column_means_all() -> None:
    assert chosen([]) == COLUMNS


@pytest.mark.parametrize("names", [["filename"], ["file", "file"]])
def test_an_unknown_or_repeated_column_is_refused_with_the_known_ones(names: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        chosen(names)
    assert "entry_id" in caught.value.fix
