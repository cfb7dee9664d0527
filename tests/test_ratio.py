from __future__ import annotations

import pytest

from pipeline import schema
from pipeline.ratio import mismatch


@pytest.mark.parametrize(
    ("size", "width", "height"),
    [("16:9", 1376, 768), ("21:9", 1584, 672), ("1:1", 1024, 1024), ("4:5", 928, 1152)],
)
def test_what_the_api_delivers_for_a_ratio_is_fine(size: str, width: int, height: int) -> None:
    assert mismatch(size, width, height) == ""


def test_another_ratio_is_said_with_both() -> None:
    assert mismatch("16:9", 1024, 1024) == "asked for 16:9, delivered 1024×1024 (1:1)"


def test_an_odd_ratio_is_said_in_decimals() -> None:
    assert mismatch("1:1", 1376, 769) == "asked for 1:1, delivered 1376×769 (1.79:1)"


def test_portrait_is_not_landscape() -> None:
    assert mismatch("16:9", 768, 1376)


@pytest.mark.parametrize("size", ["", "auto", "0:0", "0:1", "16x9", "a:b"])
def test_nothing_is_said_where_nothing_can_be_compared(size: str) -> None:
    assert mismatch(size, 1000, 10) == ""


def test_nothing_is_said_of_a_picture_of_unknown_size() -> None:
    assert mismatch("1:1", 0, 0) == ""


def test_the_tolerance_is_that_of_the_schema() -> None:
    tolerance = schema.document("limits")["ratio"]["tolerance"]
    edge = round(10000 * (1 + tolerance))
    assert not mismatch("1:1", edge, 10000)
    assert mismatch("1:1", edge + 1, 10000)
