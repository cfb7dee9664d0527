"""The fast JSON Schema library and the exact one say the same of every instance."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import editor, schema
from pipeline.schema import Validator

MODELS = sorted(schema.models())


@cache
def validator(name: str) -> Validator:
    if name in MODELS:
        return Validator(schema.models()[name].request)
    document = schema.document(name)
    return Validator(editor.without_rules(document) if name == "spec" else document)


TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["", " ", "\x1c", "\x85", "\u2028", "\ufeff", "16:9", "16:9\n", "1K", "x\n"]),
    st.sampled_from(["${{ a }}", "https://a", "HTTPS://a", "data:image/png;base64,", "٣", "10/s"]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 20),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2.0, 1.5, -0.0, 1e300, 4.0000000001, float(2**53)]),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def requests(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return strategies for bodies near those that a model takes."""
    properties = schema.models()[name].request["properties"]
    near = {
        key: st.sampled_from(part.get("enum", [part.get("const", 1)])) | VALUES
        for key, part in properties.items()
    }
    near["image_urls"] = st.lists(TEXTS, max_size=16) | VALUES
    near["n"] = st.integers(-1, 6) | VALUES
    return st.fixed_dictionaries({}, optional={**near, "other": VALUES})


def agree(name: str, instance: Any) -> None:
    rule = validator(name)
    assert rule.valid(instance) == (not rule.violations(instance)), instance


@pytest.mark.parametrize("name", MODELS)
def test_of_requests(name: str) -> None:
    @given(requests(name))
    @example({"model": name, "prompt": "\x1c"})
    @example({"model": name, "prompt": "\ufeff"})
    @example({"model": name, "prompt": "x", "n": 1.0})
    @example({"model": name, "prompt": "x", "n": True})
    @settings(max_examples=50, deadline=None)
    def check(body: dict[str, Any]) -> None:
        agree(name, body)
        agree(name, {"model": name, "prompt": "x", **body})

    check()


KEYS = sorted(
    {
        key
        for part in (schema.document("spec"), *schema.document("spec")["$defs"].values())
        for key in part.get("properties", {})
    }
)
NEAR = dict.fromkeys((key for key in KEYS if key != "version"), VALUES)


@given(
    st.fixed_dictionaries({"version": st.just(1) | VALUES}, optional=NEAR),
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5),
    st.sampled_from(["run", "output", "defaults", "entries"]),
)
@settings(max_examples=120, deadline=None)
def test_of_specs(top: dict[str, Any], inner: dict[str, Any], where: str) -> None:
    agree("spec", top)
    agree("spec", {"version": 1, "entries": [{}], where: [inner] if where == "entries" else inner})


@given(VALUES, st.sampled_from(MODELS), st.data())
@settings(max_examples=50, deadline=None)
def test_of_model_files(value: Any, name: str, data: st.DataObject) -> None:
    card = json.loads(json.dumps(schema.models()[name].card))
    part = data.draw(
        st.sampled_from([card, card["properties"], card["x-references"], card["x-price"]])
    )
    part[data.draw(st.sampled_from(sorted(part)))] = value
    agree("model", card)
