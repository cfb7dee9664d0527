"""Plain words mean what YAML 1.2's core rules say."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.spec.scalars import NotANumber, resolve

TEXTS = (
    "16:9 yes no on off 2026-03-14 1_000 0b1 12:30:45 08:15 1e 0x 0o8 .5.5 + - . nul <<"
    " 1:1 TrUe 1,000"
)


@pytest.mark.parametrize("word", TEXTS.split(" "))
def test_it_stays_text(word: str) -> None:
    assert resolve(word, 100) == word
    assert isinstance(resolve(word, 100), str)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("7", 7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("+5", 5),
        ("-3", -3),
        ("1.10", 1.1),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
    ],
)
def test_a_number_counts_as_one_and_prints_as_typed(word: str, value: float) -> None:
    found = resolve(word, 100)
    assert found == value
    assert type(found + 0) is type(value)  # type: ignore[operator]
    assert (str(found), f"{found}") == (word, word)
    assert json.loads(json.dumps(found)) == value


@pytest.mark.parametrize(
    ("word", "value"), [("", None), ("~", None), ("Null", None), ("TRUE", True), ("false", False)]
)
def test_words_of_the_core_schema(word: str, value: object) -> None:
    assert resolve(word, 100) is value


@pytest.mark.parametrize("word", [".inf", "-.INF", ".nan", "1e999", "9" * 101, "1." + "0" * 100])
def test_what_is_no_usable_number_is_refused(word: str) -> None:
    with pytest.raises(NotANumber):
        resolve(word, 100)


@pytest.mark.parametrize("word", ["007", "1.10"])
def test_copies_keep_what_was_typed(word: str) -> None:
    number = resolve(word, 100)
    assert str(copy.deepcopy(number)) == word
    assert str(pickle.loads(pickle.dumps(number))) == word


@given(st.text(max_size=20))
def test_any_word_prints_as_it_was_typed(word: str) -> None:
    try:
        value = resolve(word, 100)
    except NotANumber:
        return
    if value is not None and not isinstance(value, bool):
        assert str(value) == word
