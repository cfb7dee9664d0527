"""Ids, file stems and fingerprints: stable, unique, and safe whatever they are made of."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.entries import canonical, fingerprint
from pipeline.entries.identity import Seen, made_id, piece, stem
from pipeline.problem import Severity

TWO = """
entries:
  - {id: a, prompt: A red mug, n: 2}
  - {prompt: A blue mug, size: "16:9"}
  - {prompt: A blue mug}
"""


def test_an_entry_without_an_id_gets_one_from_its_prompt(desk):
    (name,) = desk.entry("prompt: A cyberpunk city at night, neon lights and rain everywhere").ids
    assert name.startswith("a-cyberpunk-city-at-night-neon-lights-")
    assert len(name.rsplit("-", 1)[1]) == 8


def test_moving_entries_changes_neither_ids_nor_fingerprints(desk):
    first, *rest = TWO.strip().splitlines()
    got, moved = desk.expand(TWO), desk.expand("\n".join([first, *reversed(rest)]) + "\n")
    assert got.ids == moved.ids[::-1]
    prints = [[job.fingerprint for job in entry.jobs] for entry in got.entries]
    assert prints == [[job.fingerprint for job in entry.jobs] for entry in moved.entries[::-1]]


def test_the_same_prompt_twice_is_told_apart_by_the_other_fields(desk):
    got = desk.expand(TWO)
    assert got.problems == []
    assert len(set(got.ids)) == 3


def test_what_is_really_the_same_gets_a_number_and_a_warning(desk):
    got = desk.expand("entries: [{prompt: A mug}, {prompt: A mug}, {prompt: A mug}]")
    base = got.ids[0]
    assert got.ids == [base, f"{base}-2", f"{base}-3"]
    assert got.codes == ["identical-prompts"] * 2
    assert {one.severity for one in got.problems} == {Severity.WARNING}


def test_two_ids_that_ask_for_the_same_are_only_a_warning(desk):
    got = desk.expand("entries: [{id: a, prompt: A mug}, {id: b, prompt: A mug}]")
    assert got.ids == ["a", "b"]
    assert got.only.message == (
        "`b` asks for exactly the same picture as another entry, first at spec.yaml:2"
    )


def test_a_duplicate_id_names_both_places(desk):
    got = desk.expand("entries:\n  - {id: a, prompt: x}\n  - {id: a, prompt: y}\n")
    assert got.ids == ["a"]
    assert (got.only.code, got.only.place.line) == ("duplicate-id", 4)
    assert "spec.yaml:3" in got.only.message


def test_a_duplicate_id_in_a_row_file_names_both_rows(desk):
    desk.put("a.csv", "sku\nA\nB\nA\n")
    problem = desk.entry("from: a.csv\nid: ${{ sku }}\nprompt: p ${{ index }}").only
    assert "first on line 2 of a.csv" in problem.message
    assert problem.within == "row 3 of a.csv, line 4"


def test_a_fixed_id_for_a_whole_matrix_says_what_to_put_in(desk):
    got = desk.entry("id: same\nprompt: ${{ c }}\nmatrix: {c: [a, b]}")
    assert got.only.code == "duplicate-id"
    assert "tells these entries apart" in got.only.fix


@pytest.mark.parametrize(("one", "two"), [("Mug", "mug"), ("a/b", "a:b"), ("e\u0301", "\u00e9")])
def test_two_entries_that_would_write_one_file_are_an_error(desk, one, two):
    got = desk.expand(f"entries:\n  - {{id: '{one}', prompt: x}}\n  - {{id: '{two}', prompt: y}}\n")
    assert got.ids == [one]
    assert got.only.code == "same-file"
    assert "spec.yaml:3" in got.only.message


def test_an_image_number_can_meet_another_id(desk):
    got = desk.expand("entries: [{id: a, prompt: x, n: 2}, {id: a-2, prompt: y}]")
    assert got.only.code == "same-file"


def test_the_images_of_an_entry_are_named_by_their_number(desk):
    got = desk.entry("id: a\nprompt: p\nn: 3")
    assert [job.stems for job in got.jobs] == [("a",), ("a-2",), ("a-3",)]
    assert [(job.image_index, job.images) for job in got.jobs] == [(1, 1), (2, 1), (3, 1)]


def test_one_request_for_all_images_has_all_their_names(desk):
    (job,) = desk.entry("id: a\nprompt: p\nn: 3\nsplit: false").jobs
    assert (job.image_index, job.images, job.stems) == (1, 3, ("a", "a-2", "a-3"))
    assert json.loads(job.request)["n"] == 3


def test_the_output_name_may_make_folders_but_values_may_not(desk):
    got = desk.expand(
        "output: {name: '${{ tags[0] }}/${{ size }}/${{ id }}-${{ index }}'}\n"
        "entries: [{id: ../../x, prompt: p, tags: [../up], size: '16:9'}]"
    )
    assert got.jobs[0].stems == ("-up/16-9/-..-x-1",)


def test_an_output_name_without_the_number_is_an_error_for_several_images(desk):
    got = desk.expand("output: {name: '${{ id }}'}\nentries: [{id: a, prompt: p, n: 2}]")
    assert got.only.code == "same-file"


def test_an_output_name_that_fails_is_told_where_it_stands(desk):
    got = desk.expand("entries: [{prompt: p}]\noutput:\n  name: ${{ nobody }}\n")
    assert (got.only.code, got.only.place.line) == ("unknown-name", 4)
    got = desk.expand("entries: [{prompt: p}]\noutput:\n  name: ${{\n")
    assert (got.only.code, got.only.place.line) == ("template-syntax", 4)


_ANY = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400)
_HOSTILE = st.lists(st.sampled_from(["..", "/", "\\", ".", "~", "CON", "a", "\n", " "]), max_size=9)


@given(_ANY | _HOSTILE.map("".join))
@settings(deadline=None, max_examples=300)
def test_no_text_becomes_a_name_that_leaves_its_folder(text):
    for name in (piece(text), stem(piece(text))):
        assert name not in ("", ".", "..")
        assert not set(name) & set('/\\<>:"|?*\0\n')
        assert not name.startswith(".")
        assert not name.endswith((".", " "))
        assert len(name.encode()) <= 180
        assert name.split(".")[0].upper() not in ("CON", "NUL", "AUX", "PRN", "COM1")


@given(_ANY | _HOSTILE.map("".join))
@settings(deadline=None, max_examples=300)
def test_no_rendered_name_leaves_the_folder_of_images(text):
    parts = PurePosixPath(stem(text[:200])).parts
    assert parts
    assert not set(parts) & {"..", ".", "/"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("night-city", "night-city"),
        ("a b", "a b"),
        ("../../etc/passwd", "-..-etc-passwd"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("a\nb\0c", "a-b-c"),
        ("e\u0301", "\u00e9"),
        ("夜景", "夜景"),
        ("x\u202egnp", "x-gnp"),
    ],
)
def test_names_stay_as_near_to_the_text_as_is_safe(text, expected):
    assert piece(text) == expected


def test_a_long_name_is_cut_and_keeps_a_hash_of_the_whole():
    one, two = piece("图" * 300), piece("图" * 301)
    assert one != two
    assert len(one.encode()) <= 180
    assert one.startswith("图图图")


@pytest.mark.parametrize(("name", "code"), [("' '", "empty-value"), ("x" * 1001, "too-long")])
def test_ids_that_cannot_be_are_errors(desk, name, code):
    assert desk.entry(f"id: {name}\nprompt: p").only.code == code


def test_an_id_keeps_the_text_that_was_typed(desk):
    assert desk.entry("id: 007\nprompt: p").ids == ["007"]


def test_a_made_id_does_not_depend_on_the_number_of_images(desk):
    assert desk.entry("prompt: p\nn: 2").ids == desk.entry("prompt: p").ids


def test_a_made_id_has_words_of_any_script():
    assert made_id("夜晚的赛博朋克城市", "x").startswith("夜晚的赛博朋克城市-")
    assert made_id("!!!", "x").startswith("entry-")


@given(st.lists(st.text(max_size=3), max_size=300))
@settings(deadline=None, max_examples=50)
def test_what_was_seen_is_remembered_with_its_first_number(texts):
    seen, first = Seen(), {}
    for number, text in enumerate(texts):
        assert seen.put(text, number) == first.get(text)
        first.setdefault(text, number)


def test_what_was_seen_is_remembered_when_the_table_grows():
    seen = Seen()
    for number in range(5000):
        assert seen.put(str(number), number) is None
    assert all(seen.put(str(number), 0) == number for number in range(5000))


# ── fingerprints ────────────────────────────────────────────────────────────────────────────


def test_the_fingerprint_is_the_hash_of_the_canonical_json_of_its_parts(desk, png):
    desk.put("a.png", png)
    got = desk.entry("prompt: 夜 city\nn: 2\nreferences: [a.png, 'https://example.com/b.png']")
    for index, job in enumerate(got.jobs, 1):
        whole = {
            "rule": 1,
            "request": {
                "model": "gemini-3.1-flash-lite-image",
                "prompt": "夜 city",
                "size": "1:1",
                "resolution": "1K",
                "n": 1,
            },
            "references": [f"sha256:{sha256(png).hexdigest()}", "https://example.com/b.png"],
            "image_index": index,
        }
        assert job.fingerprint == sha256(canonical(whole).encode()).hexdigest()
        assert json.loads(job.request) == whole["request"]
        assert job.request == canonical(whole["request"])


@pytest.mark.parametrize(
    "changed",
    [
        "# a note\nprompt: p\nid: x",
        "id: other\nprompt: p",
        "prompt: p\ntags: [a, b]",
        "prompt: p\nsize: '1:1'",
        "size: 1:1\nresolution: 1K\nprompt: p",
        "prompt: p\nn: 1",
        "prompt: p\nmodel: gemini-3.1-flash-lite-image",
        "prompt: ${{ 'p' }}",
        "prompt: p\nwebhook: https://example.com/hook",
        "prompt: p\nreferences_as: inline",
        "prompt: p\nsplit: false",
    ],
)
def test_what_asks_for_the_same_picture_has_the_same_fingerprint(desk, changed):
    plain = desk.entry("prompt: p").jobs[0].fingerprint
    assert desk.entry(changed).jobs[0].fingerprint == plain


@pytest.mark.parametrize(
    "changed",
    [
        "prompt: q",
        "prompt: p\nsize: '16:9'",
        "prompt: p\nmodel: gemini-3.1-flash-lite-image-ext",
        "prompt: p\nreferences: ['https://example.com/a.png']",
        "prompt: p\nn: 2\nsplit: false",
    ],
)
def test_what_asks_for_another_picture_has_another_fingerprint(desk, changed):
    plain = desk.entry("prompt: p").jobs[0].fingerprint
    assert desk.entry(changed).jobs[0].fingerprint != plain


def test_roles_do_not_enter_the_fingerprint(desk):
    url = "'https://example.com/a.png'"
    one = desk.entry(f"prompt: p\nreferences: [{url}]")
    two = desk.entry(f"prompt: p\nreferences: [{{file: {url}, role: character}}]")
    assert one.jobs[0].fingerprint == two.jobs[0].fingerprint


def test_the_contents_of_a_reference_enter_the_fingerprint_not_its_name(desk, png, jpeg):
    prints = []
    for name, data in (("a.png", png), ("b.png", png), ("b.png", jpeg)):
        desk.put(name, data)
        prints.append(desk.entry(f"prompt: p\nreferences: [{name}]").jobs[0].fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_defaults_that_come_to_the_same_change_nothing(desk):
    one = desk.expand("entries: [{prompt: A mug in oil, size: '16:9'}]")
    two = desk.expand(
        "vars: {style: oil}\n"
        "defaults: {size: '16:9', prompt_prefix: 'A ', prompt_suffix: ' in ${{ style }}'}\n"
        "entries: [{prompt: mug}]"
    )
    assert one.jobs[0].fingerprint == two.jobs[0].fingerprint
    assert one.jobs[0].request == two.jobs[0].request


def test_the_rule_of_today_gives_what_state_files_hold():
    request = canonical({"model": "m", "prompt": "p"})
    assert fingerprint(request, ["https://example.com/a.png"], 2) == (
        sha256(
            b'{"image_index":2,"references":["https://example.com/a.png"],'
            b'"request":{"model":"m","prompt":"p"},"rule":1}'
        ).hexdigest()
    )
