"""A model's limits are explained in words that lead to the mending."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import schema
from pipeline.explain import explain, meant, shown
from pipeline.problem import Place, Problem
from pipeline.schema import Validator

MODEL = "gemini-3.1-flash-lite-image"
SIZES = schema.document(MODEL)["properties"]["size"]["enum"]


def told(**request: Any) -> Problem:
    body = {"model": MODEL, "prompt": "x", **request}
    (violation,) = Validator(schema.document(MODEL)).violations(body)
    return explain(violation, Place("a.yaml", 1, 1), "the line", "color: red")


def test_a_size_with_an_x_is_understood() -> None:
    found = told(size="16x9")
    assert found.message == "`size` cannot be `16x9`; did you mean `16:9`?"
    assert found.fix == "Write `size: 16:9`."
    assert "21:9" in found.why


def test_a_resolution_that_would_be_downgraded_says_why() -> None:
    refused = schema.document(MODEL)["properties"]["resolution"]["x-refused"]
    found = told(resolution="2K")
    assert (found.why, found.fix) == (refused["why"], refused["fix"])


def test_a_resolution_in_small_letters_is_only_misspelt() -> None:
    found = told(resolution="1k")
    assert found.fix == "Write `resolution: 1K`."
    assert "silently" not in found.why


def test_a_parameter_without_effect_says_so() -> None:
    refused = schema.document(MODEL)["properties"]["google_search"]["x-refused"]
    found = told(google_search=True)
    assert found.code == "not-available"
    assert (found.why, found.fix) == (refused["why"], refused["fix"])


def test_too_many_images_name_the_limit() -> None:
    most = schema.document(MODEL)["properties"]["n"]["maximum"]
    assert told(n=9).message == f"`n` must be at most {most}; it is `9`"


def test_a_number_in_quotes_is_called_that() -> None:
    assert told(n="2").message == "`n` must be a whole number without quotes"


def test_too_many_references_are_named_as_the_spec_names_them() -> None:
    most = schema.document(MODEL)["properties"]["image_urls"]["maxItems"]
    found = told(image_urls=["https://example.com/a.png"] * (most + 2))
    assert found.message == f"`references` holds {most + 2}; at most {most} are allowed"
    assert found.fix == "Take 2 away."


def test_a_parameter_of_another_model_is_refused_by_the_models_name() -> None:
    assert told(strength=1).message == f"there is no `strength` in a request to {MODEL}"


def test_the_line_and_the_combination_are_passed_on() -> None:
    found = told(n=9)
    assert (found.text, found.within, found.place) == (
        "the line",
        "color: red",
        Place("a.yaml", 1, 1),
    )


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("16x9", "16:9"),
        ("16/9", "16:9"),
        ("16-9", "16:9"),
        ("1920x1080", "16:9"),
        ("1366x768", "16:9"),
        ("1024x1024", "1:1"),
        ("1080×1920", "9:16"),
        ("AUTO", "auto"),
        ("square", ""),
        ("1000:1", ""),
        ("0:0", ""),
    ],
)
def test_a_ratio_is_recognised(word: str, right: str) -> None:
    assert meant(word, SIZES) == right


KEY = "sk-live0123456789abcdefghij"


@pytest.mark.parametrize("value", ["a\x1b[2Jb", "a\nb", "x" * 10_000, KEY])
def test_a_value_is_shown_short_and_harmless(value: str) -> None:
    said = shown(value)
    assert said.isprintable()
    assert len(said) < 100
    assert "0123456789" not in said


@pytest.mark.parametrize("keyword", ["contains", "dependentRequired", "if", "propertyNames"])
def test_a_rule_without_words_of_its_own_is_still_explained(keyword: str) -> None:
    violation = schema.Violation(("a",), keyword, None, "x", "because\x1b of it", {})
    found = explain(violation, Place("a.yaml"), "")
    assert keyword in found.message
    assert found.why == "because  of it"
    assert found.fix
