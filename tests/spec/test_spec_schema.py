"""The spec's schema serves editors, and its reference page is what it says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from pipeline import editor, schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SPEC = schema.document("spec")
LITE = "gemini-3.1-flash-lite-image"


def fields(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field of a schema that a user can write, by its path."""
    for name, inner in part.get("properties", {}).items():
        yield f"{path}/{name}", inner
        yield from fields(inner, f"{path}/{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(part.get(key), dict):
            yield from fields(part[key], f"{path}/{key}")
    for branch in part.get("anyOf", ()):
        yield from fields(branch, path)


def all_fields() -> list[tuple[str, dict[str, Any]]]:
    found = list(fields(SPEC))
    for name, part in editor.without_rules(SPEC)["$defs"].items():
        found += fields(part, name)
    return found


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    path = Path(__file__).parents[2] / "docs/make_spec_reference.py"
    found = importlib.util.spec_from_file_location("make_spec_reference", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def strict() -> Draft202012Validator:
    """Return the schema as an editor reads it, with the model files beside it."""

    def near(uri: str) -> Resource[Any]:
        text = (schema.folder() / uri.removeprefix("file:///")).read_text(encoding="utf-8")
        return Resource.from_contents(json.loads(text))

    registry: Registry[Any] = Registry(retrieve=near)  # type: ignore[call-arg]
    root = {"$id": "file:///spec.schema.json", **SPEC}
    return Draft202012Validator(root, registry=registry)


def spec_of(**parts: Any) -> dict[str, Any]:
    return {"version": 1, "entries": [{"prompt": "x"}], **parts}


def test_the_committed_page_is_up_to_date(generator: ModuleType) -> None:
    assert generator.PAGE.read_text(encoding="utf-8") == generator.page(SPEC)


def test_the_committed_rules_for_editors_are_up_to_date(generator: ModuleType) -> None:
    assert generator.with_rules(SPEC) == SPEC


@pytest.mark.parametrize(("path", "part"), all_fields(), ids=[path for path, _ in all_fields()])
def test_every_field_has_a_description_and_examples_that_validate(
    path: str, part: dict[str, Any]
) -> None:
    plain = editor.without_rules(SPEC)
    if "$ref" in part:
        part = {**plain["$defs"][part["$ref"].removeprefix("#/$defs/")], **part}
    assert part.get("description")
    assert part.get("examples")
    validator = Draft202012Validator({**part, "$defs": plain["$defs"]})
    for example in [*part["examples"], *([part["default"]] if "default" in part else [])]:
        assert list(validator.iter_errors(example)) == []


@pytest.mark.parametrize(
    "parts",
    [
        {"defaults": {"size": "16x9"}},
        {"entries": [{"prompt": "x", "size": "16x9"}]},
        {"entries": [{"prompt": "x", "resolution": "2K"}]},
        {"entries": [{"prompt": "x", "n": 9}]},
        {"entries": [{"prompt": "x", "model": f"{LITE}-ext", "size": "7:1"}]},
        {"model": f"{LITE}-ext", "defaults": {"google_search": True}},
        {"defaults": {"model": LITE}, "entries": [{"prompt": "x", "size": "7:1"}]},
    ],
)
def test_an_editor_flags_what_the_model_cannot_do(
    strict: Draft202012Validator, parts: dict[str, Any]
) -> None:
    assert not strict.is_valid(spec_of(**parts))
    assert not Draft202012Validator(editor.bundle(schema.models())).is_valid(spec_of(**parts))


@pytest.mark.parametrize(
    "parts",
    [
        {"defaults": {"size": "16:9"}},
        {"defaults": {"size": "${{ ratio }}", "n": "${{ count }}", "split": "${{ split }}"}},
        {"model": "model-of-my-own", "entries": [{"prompt": "x", "size": "7:1"}]},
        {"entries": [{"prompt": "x", "model": "model-of-my-own", "size": "7:1"}]},
        {"defaults": {"model": "model-of-my-own"}, "entries": [{"prompt": "x", "size": "7:1"}]},
    ],
)
def test_an_editor_leaves_alone_what_is_right(
    strict: Draft202012Validator, parts: dict[str, Any]
) -> None:
    assert strict.is_valid(spec_of(**parts))
    assert Draft202012Validator(editor.bundle(schema.models())).is_valid(spec_of(**parts))


def test_the_bundle_needs_no_other_file() -> None:
    text = json.dumps(editor.bundle(schema.models()))
    assert "models/" not in text.replace("models/<", "")


def test_defaults_follow_references() -> None:
    assert schema.defaults("entry")["split"] is True
