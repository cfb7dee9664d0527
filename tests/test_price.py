"""Estimates from a model's price data, exact to the billionth."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline import money, price, schema

MODEL = schema.models()["gemini-3.1-flash-lite-image"]


def request(prompt: str = "", **more: object) -> dict[str, object]:
    return {"prompt": prompt, "resolution": "1K", "n": 1, **more}


def test_tokens_count_characters_references_and_images():
    assert price.tokens(MODEL, request("abc"), 2) == (Decimal("2241.5"), 1120)
    assert price.tokens(MODEL, request("图", n=4), 0) == (Decimal("0.5"), 4480)


@pytest.mark.parametrize(
    ("body", "references", "dollars"),
    [
        (request(), 0, "0.0336"),
        (request("abcd"), 0, "0.0336005"),
        (request("abcd"), 1, "0.0338805"),
        (request("abcd", n=3), 0, "0.1008005"),
        (request("x" * 1001), 14, "0.037645125"),
    ],
)
def test_an_estimate_is_input_and_output_by_the_models_prices(body, references, dollars):
    assert money.text(price.estimate(MODEL, body, references)) == dollars


def test_a_resolution_without_a_figure_counts_as_the_dearest():
    assert price.tokens(MODEL, request(resolution="8K"), 0)[1] == 1120
