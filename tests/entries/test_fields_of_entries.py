"""Layers of fields, the names templates see, prompt files, and the limits of models."""

from __future__ import annotations

import json

import pytest

from pipeline import money, schema
from pipeline.problem import Severity


def test_an_entrys_own_field_wins_over_the_defaults(desk):
    got = desk.expand(
        "defaults: {size: '16:9', prompt_prefix: 'A ', tags: [x]}\n"
        "entries: [{prompt: mug}, {prompt: cup, size: '1:1', prompt_prefix: '', tags: []}]"
    )
    assert [(job.prompt, job.size, job.tags) for job in got.jobs] == [
        ("A mug", "16:9", ("x",)),
        ("cup", "1:1", ()),
    ]


def test_the_spec_names_the_model_for_entries_that_name_none(desk):
    ext, plain = "gemini-3.1-flash-lite-image-ext", "gemini-3.1-flash-lite-image"
    got = desk.expand(f"model: {ext}\nentries: [{{prompt: a}}, {{prompt: b, model: {plain}}}]")
    assert [job.model for job in got.jobs] == [ext, plain]


def test_a_problem_that_comes_from_the_defaults_is_placed_there(desk):
    got = desk.expand("defaults:\n  size: 16x9\nentries: [{prompt: a}, {prompt: b}]\n")
    assert (got.only.code, got.only.place.line) == ("unknown-value", 3)
    assert got.entries == []


def test_included_entries_come_first_with_their_own_vars_and_this_files_values_win(desk):
    desk.put(
        "common.yaml",
        "version: 1\nvars: {style: oil, tone: warm}\ndefaults: {size: '3:2', prompt_suffix: '!'}\n"
        "entries: [{id: inner, prompt: '${{ style }} ${{ tone }}'}]\n",
    )
    got = desk.expand(
        "include: [common.yaml]\nvars: {style: ink}\ndefaults: {size: '16:9'}\n"
        "entries: [{id: outer, prompt: '${{ style }}'}]\n"
    )
    assert [(job.entry_id, job.prompt, job.size) for job in got.jobs] == [
        ("inner", "ink warm!", "16:9"),
        ("outer", "ink", "16:9"),
    ]
    assert [entry.position for entry in got.entries] == [0, 1]


def test_paths_are_relative_to_the_file_they_stand_in(desk, png):
    desk.put("sub/a.png", png)
    desk.put("sub/common.yaml", "version: 1\nentries: [{prompt: p, references: [a.png]}]\n")
    got = desk.expand("include: [sub/common.yaml]\n")
    assert got.problems == []
    assert got.jobs[0].references[0].path == desk.folder / "sub/a.png"


def test_an_id_may_not_be_used_again_by_an_including_file(desk):
    desk.put("common.yaml", "version: 1\nentries: [{id: a, prompt: p}]\n")
    got = desk.expand("include: [common.yaml]\nentries: [{id: a, prompt: q}]\n")
    assert "common.yaml:2" in got.only.message


@pytest.mark.parametrize(
    ("written", "count"),
    [("false", 0), ("true", 1), ("'${{ on }}'", 1), ("\"${{ 'FALSE' }}\"", 0)],
)
def test_a_disabled_entry_is_as_if_it_were_not_there(desk, written, count):
    got = desk.expand(f"vars: {{on: true}}\nentries: [{{prompt: p, enabled: {written}}}]")
    assert (len(got.entries), got.problems) == (count, [])


def test_a_disabled_entry_may_be_broken(desk):
    got = desk.expand("entries: [{prompt: '${{ nobody }}', from: no.csv, enabled: false}]")
    assert got.problems == []


def test_enabled_must_come_to_true_or_false(desk):
    got = desk.entry("prompt: p\nenabled: ${{ 'maybe' }}")
    assert (got.only.code, got.only.place.line) == ("wrong-type", 4)


@pytest.mark.parametrize(("count", "jobs"), [("2", 2), ("' 3 '", 3)])
def test_n_may_come_from_a_template(desk, count, jobs):
    got = desk.expand(f"vars: {{count: {count}}}\nentries: [{{prompt: p, n: '${{{{ count }}}}'}}]")
    assert len(got.jobs) == jobs


@pytest.mark.parametrize("written", ["two", "2.5", "'-1'", "''", "'²'"])
def test_n_that_does_not_come_to_a_whole_number_is_an_error(desk, written):
    got = desk.expand(f"vars: {{c: {written}}}\nentries:\n  - {{prompt: p, n: '${{{{ c }}}}'}}\n")
    assert got.entries == []
    assert (got.only.code, got.only.place.line) == ("wrong-type", 4)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("size: 16x9", "unknown-value"),
        ("size: 7:5", "unknown-value"),
        ("resolution: 2K", "unknown-value"),
        ("google_search: true", "not-available"),
        ("google_search: false", "not-available"),
        ("mask_url: https://example.com/m.png", "not-available"),
        ("n: 9", "out-of-range"),
        ("model: gemini-3.1-flash-lite-imag", "unknown-model"),
        ("model: dall-e", "unknown-model"),
        ("model: ${{ '' }}", "unknown-model"),
    ],
)
def test_what_the_model_does_not_take_is_an_error_at_its_field(desk, line, code):
    got = desk.entry(f"prompt: p\n{line}")
    assert (got.only.code, got.only.place.line, got.entries) == (code, 4, [])
    assert got.only.text.strip() == line


def test_all_that_is_wrong_with_an_entry_is_told_at_once(desk):
    got = desk.entry(
        "prompt: p ${{ nobody }}\nsize: 16x9\nn: 9\nreferences: [none.png]\ntags: ['${{ no }}']"
    )
    assert sorted(got.codes) == sorted(
        ["unknown-name", "unknown-value", "out-of-range", "missing-reference", "unknown-name"]
    )


def test_a_blank_prompt_is_one_error(desk):
    got = desk.expand("vars: {x: ''}\nentries: [{prompt: ' ${{ x }} '}]")
    assert got.codes == ["empty-value"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [("{id: a}", "missing-prompt"), ("{prompt: a, prompt_file: b.txt}", "two-prompts")],
)
def test_an_entry_has_exactly_one_prompt(desk, fields, code):
    assert desk.expand(f"entries: [{fields}]").only.code == code


def test_a_prompt_of_its_own_takes_the_place_of_a_default_prompt_file(desk):
    desk.put("a.txt", "from the file")
    got = desk.expand("defaults: {prompt_file: a.txt}\nentries: [{prompt: own}, {id: x}]")
    assert got.prompts == ["own", "from the file"]


def test_a_prompt_file_may_hold_templates_and_loses_its_last_line_break(desk):
    desk.put("p/hero.txt", "\ufeffA ${{ c }} mug,\r\non oak\r\n".encode())
    got = desk.entry("prompt_file: p/${{ f }}.txt\nmatrix: {c: [red], f: [hero]}")
    assert got.prompts == ["A red mug,\non oak"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "missing-file"),
        (b"caf\xe9", "not-utf8"),
        (b"x" * 1_048_577, "file-too-large"),
        (b"a\0b", "not-text"),
        (b"${{ nobody }}", "unknown-name"),
        (b"\n", "empty-value"),
    ],
)
def test_a_prompt_file_that_cannot_be_used_is_an_error_at_its_field(desk, content, code):
    if content is not None:
        desk.put("a.txt", content)
    got = desk.entry("id: x\nprompt_file: a.txt")
    assert (got.only.code, got.only.place.line) == (code, 4)
    assert got.only.fix


def test_the_environment_is_visible_only_as_far_as_the_spec_lists_it(desk):
    text = "env: [SEASON, MOOD]\nentries: [{{prompt: '${{{{ env.{} }}}}'}}]"
    environ = {"SEASON": "spring", "SECRET": "s3cret"}
    assert desk.expand(text.format("SEASON"), environ).prompts == ["spring"]
    unset = desk.expand(text.format("MOOD"), environ).only
    assert (unset.code, "MOOD" in unset.message) == ("unset-environment", True)
    hidden = desk.expand(text.format("SECRET"), environ).only
    assert (hidden.code, "s3cret" in repr(hidden)) == ("unlisted-environment", False)


@pytest.mark.parametrize("name", ["id", "index", "row", "spec", "date", "env"])
def test_a_variable_cannot_have_a_reserved_name(desk, name):
    got = desk.expand(f"vars:\n  {name}: x\nentries: [{{prompt: p}}]\n")
    assert (got.only.code, got.only.place.line) == ("reserved-name", 3)


def test_a_variable_cannot_hold_a_template(desk):
    got = desk.expand("vars:\n  a: {b: ['${{ x }}']}\nentries: [{prompt: p}]\n")
    assert (got.only.code, got.only.place.line) == ("template-in-value", 3)
    assert "`a`" in got.only.fix


def test_a_row_beats_a_variable_and_the_matrix_beats_the_row(desk):
    desk.put("a.csv", "x,y\nrow,row\n")
    got = desk.expand(
        "vars: {x: var, y: var, z: var}\n"
        "entries: [{from: a.csv, matrix: {y: [mat]}, prompt: '${{ x }} ${{ y }} ${{ z }}'}]"
    )
    assert got.prompts == ["row mat var"]


def test_the_id_can_be_used_once_it_is_known(desk):
    assert desk.entry("id: a-${{ index }}\nprompt: for ${{ id }}").prompts == ["for a-1"]
    problem = desk.entry("prompt: for ${{ id }}").only
    assert problem.code == "unknown-name"
    assert "known once" in problem.message


def test_values_print_as_they_were_typed(desk):
    got = desk.expand(
        "vars: {price: 1.10, sku: 007, on: true, no: no}\n"
        "entries: [{prompt: '${{ price }} ${{ sku }} ${{ on }} ${{ no }}'}, {prompt: 1.50}]"
    )
    assert got.prompts == ["1.10 007 true no", "1.50"]


def test_size_auto_is_a_warning_once_for_all_rows(desk):
    got = desk.entry("prompt: p ${{ n }}\nsize: auto\nmatrix: {n: [1, 2, 3]}")
    assert len(got.entries) == 3
    assert (got.only.code, got.only.severity) == ("unpredictable-size", Severity.WARNING)


def test_warnings_come_to_an_end(desk):
    items = "".join(f"  - {{prompt: p{n}, size: auto}}\n" for n in range(150))
    got = desk.expand("entries:\n" + items)
    assert len(got.entries) == 150
    assert len(got.problems) == 101
    assert got.problems[-1].code == "too-many-warnings"


def test_what_is_wrong_in_shape_is_passed_over(desk):
    got = desk.expand("entries:\n  - {prompt: a, nn: 2}\n  - {prompt: b}\n")
    assert got.prompts == ["b"]
    assert got.codes == ["unknown-key"]


def test_an_entry_that_uses_a_broken_default_is_passed_over(desk):
    got = desk.expand("defaults: {n: x}\nentries: [{prompt: a}, {prompt: b, n: 1}]\n")
    assert got.prompts == ["b"]
    assert len(got.problems) == 1


def test_a_model_with_one_image_a_request_takes_any_n_in_requests_of_one(desk):
    card = json.loads(json.dumps(schema.document("gemini-3.1-flash-lite-image")))
    card["model"] = card["properties"]["model"]["const"] = "single"
    card["properties"]["n"] = {"type": "integer", "minimum": 1, "maximum": 1, "default": 1}
    desk.put("cards/single.json", json.dumps(card))
    text = "models: cards\nmodel: single\nentries: [{{id: a, prompt: p, n: {}{}}}]"
    assert len(desk.expand(text.format(3, "")).jobs) == 3
    assert desk.expand(text.format(3, ", split: false")).only.code == "out-of-range"
    assert desk.expand(text.format(5000, "")).only.code == "out-of-range"


def test_a_model_whose_requests_have_no_n_gets_none(desk):
    card = json.loads(json.dumps(schema.document("gemini-3.1-flash-lite-image")))
    card["model"] = card["properties"]["model"]["const"] = "plain"
    del card["properties"]["n"]
    desk.put("cards/plain.json", json.dumps(card))
    text = "models: cards\nmodel: plain\nentries: [{{id: a, prompt: p{}}}]"
    assert [set(json.loads(job.request)) for job in desk.expand(text.format(", n: 2")).jobs] == [
        {"model", "prompt", "size", "resolution"}
    ] * 2
    assert desk.expand(text.format(", n: 2, split: false")).only.code == "not-available"


def test_jobs_carry_what_the_engine_needs(desk):
    got = desk.entry(
        "id: a\nprompt: p\ntags: [x, 2]\nwebhook: https://example.com/${{ id }}\n"
        "references_as: inline\nsize: '16:9'"
    )
    (job,) = got.jobs
    assert (job.tags, job.webhook, job.references_as) == (
        ("x", "2"),
        "https://example.com/a",
        "inline",
    )
    assert (job.model, job.prompt, job.size) == ("gemini-3.1-flash-lite-image", "p", "16:9")
    assert "webhook" not in json.loads(job.request)
    assert got.entries[0].place.line == 3


def test_the_estimate_covers_the_images_of_a_job(desk):
    split = desk.entry("id: a\nprompt: abcd\nn: 2").jobs
    (whole,) = desk.entry("id: a\nprompt: abcd\nn: 2\nsplit: false").jobs
    assert [money.text(job.estimate) for job in split] == ["0.0336005"] * 2
    assert money.text(whole.estimate) == "0.0672005"
