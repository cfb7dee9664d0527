"""Loading: names, folders, includes, standard input, and what is no spec at all."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import schema, spec
from pipeline.errors import InputError, SpecError
from pipeline.problem import Place

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = "entries:\n  - id: one\n    prompt: A red mug\n"
GOOD = "version: 1\n" + ENTRY


def load(folder: Path, text: str | bytes, **more: Any) -> spec.Spec:
    (folder / "a.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return spec.load("a.yaml", **{"environ": {}, "cwd": folder, **more})


def refusal(folder: Path, source: str, **more: Any) -> tuple[str, int]:
    with pytest.raises(SpecError) as caught:
        spec.load(source, **{"environ": {}, "cwd": folder, **more})
    (problem,) = caught.value.problems
    return problem.code, problem.place.line


def codes(loaded: spec.Spec) -> list[str]:
    return [problem.code for problem in loaded.problems]


def test_the_name_is_the_files_stem(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).name == "a"


def test_results_go_below_out_beside_the_spec(tmp_path: Path) -> None:
    assert load(tmp_path, "name: spring\n" + GOOD).output.folder == tmp_path / "out/spring"


def test_a_rehearsal_has_a_folder_of_its_own(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD, sandbox=True).output.folder == tmp_path / "out/a-sandbox"


def test_a_rehearsal_leaves_a_chosen_folder_alone_too(tmp_path: Path) -> None:
    loaded = load(tmp_path, "output: results/\n" + GOOD, sandbox=True)
    assert loaded.output.folder == tmp_path / "results-sandbox"


def test_a_spec_reached_through_a_link_is_the_same_spec(tmp_path: Path) -> None:
    direct = load(tmp_path, GOOD)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.yaml").symlink_to(tmp_path / "a.yaml")
    linked = spec.load("b.yaml", environ={}, cwd=tmp_path / "elsewhere")
    assert (linked.name, linked.output, linked.document.path) == (
        direct.name,
        direct.output,
        direct.document.path,
    )


def test_the_users_own_way_of_naming_the_file_is_shown(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    loaded = load(tmp_path / "sub", "version: 2\n" + ENTRY)
    again = spec.load("sub/../sub/a.yaml", environ={}, cwd=tmp_path)
    assert loaded.problems[0].place.file == "a.yaml"
    assert again.problems[0].place.file == "sub/../sub/a.yaml"


@pytest.mark.parametrize("stream", [io.StringIO(GOOD), io.BytesIO(GOOD.encode())])
def test_a_spec_comes_from_standard_input(tmp_path: Path, stream: Any) -> None:
    loaded = spec.load("-", stdin=stream, environ={}, cwd=tmp_path)
    assert (loaded.name, loaded.document.file) == ("stdin", "<stdin>")
    assert loaded.document.folder == tmp_path
    assert loaded.problems == ()


def test_included_specs_are_loaded_with_their_problems(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.yaml").write_text("version: 1\nmodel: nope\n" + ENTRY)
    loaded = load(tmp_path, "version: 1\ninclude: [sub/b.yaml]\n")
    assert loaded.includes[0].document.folder == tmp_path / "sub"
    assert [one.place for one in loaded.problems] == [Place("sub/b.yaml", 2, 8)]


def test_a_circle_through_two_files_is_told_where_it_closes(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("version: 1\ninclude: [a.yaml]\n")
    loaded = load(tmp_path, "version: 1\ninclude: [b.yaml]\n")
    assert [(one.code, one.place.file) for one in loaded.problems] == [("include-circle", "b.yaml")]


def test_a_file_included_twice_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("version: 2\n" + ENTRY)
    loaded = load(tmp_path, "version: 1\ninclude: [b.yaml, b.yaml]\n")
    assert codes(loaded) == ["unknown-value"]


def test_a_long_chain_of_includes_ends(tmp_path: Path) -> None:
    most = schema.document("limits")["spec"]["include_depth"]
    for number in range(most + 2):
        (tmp_path / f"c{number}.yaml").write_text(f"version: 1\ninclude: [c{number + 1}.yaml]\n")
    assert codes(spec.load("c0.yaml", environ={}, cwd=tmp_path)) == ["too-many"]


def test_a_wrong_entry_leaves_its_neighbours_sound(tmp_path: Path) -> None:
    loaded = load(tmp_path, "version: 1\nentries: [{id: a}, {id: b, n: x}, {id: c}]\n")
    assert [loaded.sound(("entries", index)) for index in range(3)] == [True, False, True]


def test_a_wrong_field_leaves_the_entrys_other_fields_sound(tmp_path: Path) -> None:
    loaded = load(tmp_path, "version: 1\nentries: [{id: b, n: x}]\n")
    assert loaded.sound(("entries", 0, "id"))
    assert not loaded.sound(("entries", 0, "n"))


def test_a_users_own_model_file_adds_a_parameter(tmp_path: Path) -> None:
    card = json.loads(json.dumps(schema.document("gemini-3.1-flash-lite-image")))
    card["model"] = "my-model"
    card["properties"]["model"] = {"const": "my-model"}
    card["properties"]["strength"] = {"type": "number"}
    (tmp_path / "models").mkdir()
    (tmp_path / "models/my-model.json").write_text(json.dumps(card))
    text = "version: 1\nmodel: my-model\nentries: [{prompt: x, strength: 0.5}]\n"
    assert codes(load(tmp_path, text)) == ["unknown-model", "unknown-key"]
    assert codes(load(tmp_path, "models: models\n" + text)) == []
    assert codes(load(tmp_path, text, environ={"BANANA_BATCH_MODELS": "models"})) == []


def test_a_models_folder_of_the_environment_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="models folder"):
        load(tmp_path, GOOD, environ={"BANANA_BATCH_MODELS": "nowhere"})


def test_a_broken_model_file_is_told_at_the_models_key(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/x.json").write_text("{}")
    loaded = load(tmp_path, GOOD + "models: models\n")
    assert [(one.code, one.place.line) for one in loaded.problems] == [("models-folder", 5)]


def test_no_key_is_ever_shown(tmp_path: Path) -> None:
    key, other = "sk-live0123456789abcdefghij", "Zx81kQp02mNv73LtRw55"
    text = f"version: 1\n{key}: {key}\nvars:\n  token:\n    {other}\n{ENTRY}    n: {key}\n"
    loaded = load(tmp_path, text)
    assert codes(loaded).count("secret-in-spec") == 2
    assert key not in repr(loaded.problems)
    assert other not in repr(loaded.problems)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (b"a: " + b"x" * (17 << 20), "line-too-long", 1),
        (b"a: 1\n" * (13 << 20) + b"b", "too-big", 0),
        (b"version: 1\x00\n", "binary-file", 0),
        (b"\xef\xbb\xbf", "empty-file", 0),
        (b"a: b\n\xff\xfe\n", "not-utf-8", 2),
    ],
    ids=["a huge line", "a huge file", "a NUL", "nothing but a BOM", "bytes"],
)
def test_what_is_no_text_is_refused(tmp_path: Path, text: bytes, code: str, line: int) -> None:
    (tmp_path / "a.yaml").write_bytes(text)
    assert refusal(tmp_path, "a.yaml") == (code, line)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (".", "not-a-file"),
        ("none.yaml", "no-such-file"),
        ("a\0b.yaml", "not-readable"),
        ("x" * 5000, "not-readable"),
        ("loop.yaml", "not-readable"),
        ("-", "not-readable"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, source: str, code: str) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    assert refusal(tmp_path, source)[0] == code


def test_a_near_miss_of_a_file_name_is_offered(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text(GOOD)
    with pytest.raises(SpecError) as caught:
        spec.load("catalgo.yaml", environ={}, cwd=tmp_path)
    assert "did you mean `catalog.yaml`?" in caught.value.problems[0].message


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, GOOD.encode())
    os.close(writing)
    try:
        assert spec.load(f"/dev/fd/{reading}", environ={}, cwd=tmp_path).problems == ()
    finally:
        os.close(reading)


def test_very_many_wrong_entries_are_all_unsound_but_not_all_told(tmp_path: Path) -> None:
    most = schema.document("limits")["spec"]["explained_items"]
    rows = "".join(f"  - {{id: e{number}, n: x}}\n" for number in range(most + 5))
    loaded = load(tmp_path, "version: 1\nentries:\n" + rows)
    assert len(loaded.problems) == most + 1
    assert not loaded.sound(("entries", most + 4))
