"""What a request will cost, from the price data in its model's file. Pure.

Exact: decimals until the last step, then whole billionths of a dollar. An estimate all the same,
because the account's multiplier may differ; what was really charged comes from the task.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline import money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.model import Model
    from pipeline.money import Money

_MILLION = 10**6


def tokens(model: Model, request: Mapping[str, Any], references: int) -> tuple[Decimal, int]:
    """Return the tokens that `request` puts in and gets out, for all its images together.

    Input is the prompt's characters and the `references`, by the model file's `input_tokens`;
    output is `output_tokens_per_image` of the resolution. A resolution without a figure counts
    as the dearest one, so that an estimate never promises too little.
    """
    price = model.card["x-price"]
    each = price.get("input_tokens", {})
    read = len(request["prompt"]) * _decimal(each.get("per_prompt_character", 0))
    read += references * _decimal(each.get("per_reference", 0))
    figures = price["output_tokens_per_image"]
    image = figures.get(request.get("resolution")) or max(figures.values())
    return read, int(image) * int(request.get("n", 1))


def estimate(model: Model, request: Mapping[str, Any], references: int) -> Money:
    """Return what `request` will cost with so many reference images, rounded to a billionth."""
    price = model.card["x-price"]
    read, made = tokens(model, request, references)
    dollars = read * _decimal(price.get("input_per_million_tokens", 0))
    dollars += made * _decimal(price["output_per_million_tokens"])
    return money.parse(dollars / _MILLION)


def _decimal(figure: str | int | float) -> Decimal:
    return Decimal(str(figure))
