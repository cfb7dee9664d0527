"""One file makes a model usable, from the spec's check to the picture, with no line of Python."""

from __future__ import annotations

import json
import os
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from models_desk import NAME, card, world

from pipeline import schema, spec
from pipeline.commands.run import RunOptions, run
from pipeline.commands.validate import validate
from pipeline.entries import expand
from pipeline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models"
    place.mkdir()
    (place / f"{NAME}.json").write_text(json.dumps(card()), encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str, *, models: str = "") -> None:
    head = f"version: 1\nname: b\nmodel: {NAME}\n{models}"
    (folder / "b.yaml").write_text(f"{head}entries:\n{text}", encoding="utf-8")


def told(folder: Path, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
    outside = world(folder, **(environ or {}))
    code = validate(outside, ["b.yaml"])
    return code, outside.stdout.getvalue()  # type: ignore[attr-defined]


def sent(folder: Path, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run the spec against the sandbox; return what its first job asked for, once it is made."""
    outside = world(folder, **(environ or {}))
    asked = RunOptions("b.yaml", sandbox=True, faults=("plain=true", "latency=0"))
    code = run(outside, asked)
    assert code == 0, outside.stderr.getvalue()  # type: ignore[attr-defined]
    manifest = json.loads((folder / "out/b-sandbox/manifest.json").read_text(encoding="utf-8"))
    first: dict[str, Any] = manifest["entries"][0]["jobs"][0]
    assert first["status"] == "downloaded"
    return first


def test_a_folder_that_the_spec_names_makes_a_model_usable(folder: Path) -> None:
    text = "  - {id: a, prompt: A dot, size: 9:1, brush: broad, strokes: 3}\n"
    write(folder, text, models="models: models\n")
    assert told(folder) == (0, "b.yaml: 1 entry, 1 job, no errors\n")
    assert sent(folder)["model"] == NAME


def test_a_folder_of_the_environment_makes_a_model_usable(folder: Path) -> None:
    write(folder, "  - {id: a, prompt: A dot, brush: broad}\n")
    named = {"BANANA_BATCH_MODELS": os.pathsep.join(["", "models"])}
    assert told(folder, named)[0] == 0
    assert sent(folder, named)["model"] == NAME


def test_without_the_folder_the_model_is_unknown(folder: Path) -> None:
    write(folder, "  - {id: a, prompt: A dot}\n")
    code, out = told(folder)
    assert code == 2
    assert "unknown-model" in out


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("brush: bold", "unknown-value"),
        ("strokes: 10", "out-of-range"),
        ("size: 16:9", "unknown-value"),
        ("resolution: 1K", "not-available"),
        ("bruhs: fine", "unknown-key"),
        ("references: [https://example.com/a.png]", "not-available"),
        ("size: any", "unpredictable-size"),
    ],
)
def test_the_limits_of_the_file_are_the_limits_of_the_spec(
    folder: Path, field: str, code: str
) -> None:
    write(folder, f"  - {{id: a, prompt: A dot, {field}}}\n", models="models: models\n")
    assert f"[{code}]" in told(folder)[1]


def test_the_extra_parameter_and_its_default_reach_the_request(folder: Path) -> None:
    text = "  - {id: a, prompt: A dot}\n  - {id: b, prompt: A dot, strokes: 2}\n"
    write(folder, text, models="models: models\n")
    loaded = spec.load("b.yaml", environ={}, cwd=folder)
    entries = list(expand(loaded, environ={}, today=date(2026, 1, 1), report=lambda problem: None))
    requests = [json.loads(job.request) for entry in entries for job in entry.jobs]
    assert [one["brush"] for one in requests] == ["fine", "fine"]
    assert [one.get("strokes") for one in requests] == [None, 2]
    assert all("n" not in one and "resolution" not in one for one in requests)


@pytest.mark.parametrize("name", ["gemini-3.1-flash-image-preview", "gemini-3-pro-image-preview"])
def test_the_preview_models_are_files_and_nothing_else(folder: Path, name: str) -> None:
    found = schema.models()[name]
    assert found.card == json.loads(
        (schema.folder() / "models" / f"{name}.json").read_text(encoding="utf-8")
    )
    (folder / "b.yaml").write_text(
        f"version: 1\nname: b\nmodel: {name}\nentries: [{{id: a, prompt: x, resolution: 4K}}]\n",
        encoding="utf-8",
    )
    assert sent(folder)["model"] == name


def test_the_first_preview_model_has_its_own_ratios_and_searches(folder: Path) -> None:
    (folder / "b.yaml").write_text(
        "version: 1\nmodel: gemini-3.1-flash-image-preview\nentries:\n"
        + "".join(
            f"  - {{prompt: x, size: {size}, resolution: 0.5K, google_search: true}}\n"
            for size in ("1:4", "4:1", "1:8", "8:1")
        ),
        encoding="utf-8",
    )
    assert told(folder) == (0, "b.yaml: 4 entries, 4 jobs, no errors\n")


# ── the files themselves ────────────────────────────────────────────────────────────────────


def shipped() -> list[Path]:
    return sorted((schema.folder() / "models").glob("*.json"))


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.stem)
def test_every_model_file_that_ships_obeys_the_rule(path: Path) -> None:
    found = schema.model(json.loads(path.read_text(encoding="utf-8")))
    assert found.name == path.stem


def change(way: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        *steps, last = way.split("/")
        for step in steps:
            document = document[step]
        document[last] = value

    return apply


BROKEN = {
    "no price": change("x-price", None),
    "price is text": change("x-price/output_per_million_tokens", "much"),
    "no tokens": change("x-price/output_tokens_per_image", {}),
    "endless tokens": change("x-price/output_tokens_per_image", {"1K": 10**30}),
    "name with a slash": change("model", "../evil"),
    "name is a number": change("model", 5),
    "title is a list": change("title", ["x"]),
    "parameter is true": change("properties/brush", True),
    "parameter has an odd name": change("properties/a b", {}),
    "no prompt": change("properties", {"model": {}}),
    "no schema": change("properties/brush", {"type": "brush"}),
    "refers elsewhere": change("properties/brush", {"$ref": "http://127.0.0.1/x"}),
    "refers to a file": change("properties/brush", {"$ref": "file:///etc/passwd"}),
    "refers to nothing": change("properties/brush", {"$ref": "#/$defs/none"}),
    "keys of one library only": change("properties/brush", {"patternProperties": {r"\p{L}": {}}}),
    "pattern of none": change("properties/brush", {"pattern": "("}),
    "sizes are numbers": change("properties/size", {"enum": [1, 2]}),
    "words of refusal missing": change("properties/brush", {"x-refused": {}}),
    "references of a text": change("x-references", "none"),
    "open for more": change("additionalProperties", True),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_file_is_named_with_what_is_wrong(folder: Path, name: str) -> None:
    document = card()
    BROKEN[name](document)
    (folder / "models" / f"{NAME}.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match=f"{NAME}.json is not a model file: ."):
        schema.models(folder / "models")
    write(folder, "  - {prompt: A dot}\n", models="models: models\n")
    code, out = told(folder)
    assert code == 2
    assert "b.yaml:4:9: error[models-folder]" in out


@pytest.mark.parametrize(
    "content", ["", "[]", "null", '{"model": 1}', "{", "\ufeff{}", "[" * 100_000, "NaN", "\udc80"]
)
def test_a_file_that_is_no_json_object_is_named(folder: Path, content: str) -> None:
    path = folder / "models" / "x.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="is not a model file"):
        schema.models(folder / "models")


def test_a_model_file_is_read_again_when_it_changed(folder: Path) -> None:
    assert schema.models(folder / "models")[NAME].title == "Tiny Brush"
    again = schema.models(folder / "models")[NAME]
    assert again is schema.models(folder / "models")[NAME]
    path = folder / "models" / f"{NAME}.json"
    path.write_text(json.dumps(card(title="Another Brush")), encoding="utf-8")
    assert schema.models(folder / "models")[NAME].title == "Another Brush"
