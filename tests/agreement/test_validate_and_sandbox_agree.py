"""Whatever `validate` accepts the sandbox accepts too; what it refuses for a limit, so does it."""

from __future__ import annotations

import base64
import io
import json
import random
import tempfile
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline import schema, spec
from pipeline.clock import SystemClock
from pipeline.commands.validate import validate
from pipeline.commands.world import World
from pipeline.entries import expand
from pipeline.model import ReferenceKind
from pipeline.sandbox.answers import Denied
from pipeline.sandbox.checks import Checks

MODELS = schema.models()
CHECKS = Checks(lambda url: True)
LIMITS = {
    "near-miss",
    "not-available",
    "out-of-range",
    "too-long",
    "too-many",
    "unknown-model",
    "unknown-value",
    "wrong-image-type",
}
"""The codes of problems that say that the API would refuse the request, or do something else."""


def uri(kind: str, media_type: str) -> str:
    data = BytesIO()
    Image.new("RGB", (2, 2)).save(data, kind)
    return f"data:{media_type};base64,{base64.b64encode(data.getvalue()).decode()}"


URIS = [uri(kind, f"image/{kind.lower()}") for kind in ("PNG", "JPEG", "WEBP", "GIF")]
ADDRESSES = st.integers(0, 99).map(lambda n: f"https://example.com/{n}.png")


def values(name: str, part: Any) -> st.SearchStrategy[Any]:
    """Return values around what a parameter's schema takes."""
    near: list[Any] = [*part.get("enum", []), part.get("default", "1:1"), True, False]
    if "maximum" in part:
        near += [part["minimum"] - 1, part["minimum"], part["maximum"], part["maximum"] + 1]
    strange = ["2K", "8K", "16x9", "16:10", "1:1 ", "AUTO", "", 0, 1, 2, 5, 1001, 1.0, 1.5, "2"]
    return st.sampled_from(near + strange)


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(MODELS)))
    properties = MODELS[name].request["properties"]
    fields = {
        key: values(key, part)
        for key, part in properties.items()
        if key not in ("model", "prompt", "image_urls", "webhook")
    }
    entry: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=fields))
    entry["prompt"] = draw(
        st.text(max_size=10) | st.sampled_from(["", " ", "\x85", "猫", "x" * 500])
    )
    entry["model"] = draw(st.just(name) | st.just(name) | st.just("gemini-9"))
    entry["references"] = draw(
        st.lists(ADDRESSES | st.sampled_from(URIS), max_size=3)
        | st.lists(ADDRESSES, min_size=13, max_size=16)
    )
    if draw(st.booleans()):
        entry["split"] = draw(st.booleans())
    assume("${{" not in entry["prompt"])
    return {key: value for key, value in entry.items() if value != []}


def told(folder: Path, entry: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """Return what the command says of a spec with this entry."""
    document = {"version": 1, "name": "b", "entries": [entry]}
    (folder / "b.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    out = io.StringIO()
    world = World(
        environ={},
        cwd=folder,
        stdin=BytesIO(),
        stdout=out,
        stderr=io.StringIO(),
        clock=SystemClock(),
        dice=random.Random(1),
    )
    code = validate(world, ["b.yaml"], format="json")
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def bodies(folder: Path) -> list[dict[str, Any]]:
    """Return the bodies that a run would send."""
    loaded = spec.load("b.yaml", environ={}, cwd=folder)
    found = []
    for entry in expand(loaded, environ={}, today=date(2026, 1, 1), report=lambda problem: None):
        for job in entry.jobs:
            body = json.loads(job.request)
            if job.references:
                assert all(one.kind is not ReferenceKind.LOCAL for one in job.references)
                body["image_urls"] = [one.source for one in job.references]
            found.append(body)
    return found


def refusal(body: dict[str, Any]) -> str:
    """Return why the sandbox refuses a body, `""` when it does not."""
    try:
        CHECKS.body(json.dumps(body).encode())
    except Denied as denied:
        return str(denied) or "refused"
    return ""


@given(entries())
@example({"model": "gemini-3.1-flash-lite-image", "prompt": "x", "n": 1.0})
@example({"model": "gemini-3.1-flash-lite-image", "prompt": "x", "n": 4, "split": False})
@example({"model": "gemini-3-pro-image-preview", "prompt": "x", "n": 4})
@example({"model": "gemini-3-pro-image-preview", "prompt": "x", "size": "auto"})
@example({"model": "gemini-3.1-flash-lite-image", "prompt": "\x85"})
@settings(max_examples=120, deadline=None)
def test_of_requests_around_the_limits(entry: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        code, problems = told(folder, entry)
        made = bodies(folder)
    wrong = [one for one in problems if one["severity"] == "error"]
    assert (code == 2) == bool(wrong)
    if code == 0:
        assert made
        assert [refusal(body) for body in made] == [""] * len(made)
    else:
        assert made == []
    if any(one["code"] in LIMITS for one in wrong):
        assert refusal(as_typed(entry))


def as_typed(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the request that would go out if nobody had looked at it."""
    body = {key: value for key, value in entry.items() if key not in ("references", "split")}
    if "references" in entry:
        body["image_urls"] = entry["references"]
    return body
