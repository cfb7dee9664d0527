"""One mistake hides no other, and no mistake is told twice in other words."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import pytest

from pipeline.clock import SystemClock
from pipeline.commands.plan import PlanOptions, plan
from pipeline.commands.world import World
from pipeline.errors import SpecError

if TYPE_CHECKING:
    from entries_desk import Desk

OTHERS = "size: 16x9\nreferences: [none.png]\n"
FOUND = {"unknown-value", "missing-reference"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('n: "2"', "wrong-type"),
        ("nn: 2", "unknown-key"),
        ("promt: x", "unknown-key"),
        ("prompt: ", "empty-value"),
        ("prompt: [x]", "wrong-type"),
        ("prompt: ${{ a", "template-syntax"),
        ("prompt: ${{ a }}", "unknown-name"),
        ("model: []", "wrong-type"),
        ("model: no-such-model-at-all", "unknown-model"),
        ("tags: a", "wrong-type"),
        ("tags: [[a]]", "wrong-type"),
        ("matrix: {a: b}", "wrong-type"),
        ("matrix: {a: []}", "empty-value"),
        ("from: none.csv", "missing-file"),
        ("from: 5", "wrong-type"),
        ("split: maybe", "wrong-type"),
        ("enabled: ${{ nothing }}", "unknown-name"),
        ("<<: *nothing", "unknown-alias"),
        ("prompt_suffix: {}", "wrong-type"),
    ],
)
def test_one_wrong_field_hides_no_other_and_has_no_echo(desk: Desk, line: str, code: str) -> None:
    prompt = "" if "prompt:" in line or "promt" in line or "<<" in line else "prompt: ${{ spec }}\n"
    outcome = desk.entry(f"{prompt}{OTHERS}{line}")
    assert outcome.entries == []
    unknown = line.startswith("model:")  # then nobody knows which limits hold
    assert set(outcome.codes) == {code, *(FOUND - {"unknown-value"} if unknown else FOUND)}
    assert len(outcome.codes) == len(set(outcome.codes)), outcome.problems


def test_names_that_a_broken_matrix_or_row_file_would_give_are_not_missed(desk: Desk) -> None:
    outcome = desk.expand(
        "entries:\n"
        "  - {matrix: {leg: oak}, id: 'a-${{ leg }}', prompt: 'a ${{ leg | upper }}'}\n"
        "  - {from: none.csv, id: '${{ sku }}', prompt: '${{ title }}'}\n"
    )
    assert outcome.codes == ["wrong-type", "missing-file"]


def test_broken_vars_are_not_missed_in_templates(desk: Desk) -> None:
    outcome = desk.expand("vars: [oak]\nentries: [{prompt: '${{ oak }}', size: 7:1}]\n")
    assert outcome.codes == ["wrong-type", "unknown-value"]


def test_broken_defaults_are_told_once_and_not_for_each_entry(desk: Desk) -> None:
    outcome = desk.expand(
        "defaults: {prompt: [x], size: 1:9}\nentries: [{id: a}, {id: b}, {id: a, prompt: y}]\n"
    )
    assert sorted(outcome.codes) == ["duplicate-id", "unknown-value", "wrong-type"]


def test_a_misspelt_model_is_checked_as_the_one_that_was_meant(desk: Desk) -> None:
    outcome = desk.expand(
        "model: gemini-3.1-flash-lite-imag\nentries: [{prompt: x, resolution: 2K}]\n"
    )
    assert outcome.codes == ["unknown-model", "unknown-value"]


def test_a_sound_entry_beside_a_broken_one_is_yielded(desk: Desk) -> None:
    outcome = desk.expand("entries: [{prompt: x, n: '2'}, {id: good, prompt: y}]\n")
    assert outcome.ids == ["good"]


def test_rows_that_all_are_broken_do_not_hide_what_is_wrong_with_the_entry(desk: Desk) -> None:
    desk.put("r.jsonl", "[]\n5\n")
    outcome = desk.entry("from: r.jsonl\nprompt: ${{ a }}\nresolution: 9K")
    assert sorted(outcome.codes) == ["not-a-row", "not-a-row", "unknown-value"]


def test_a_whole_number_with_a_point_counts_images(desk: Desk) -> None:
    assert len(desk.entry("prompt: x\nn: 2.0").jobs) == 2


def test_plan_tells_every_problem_too(desk: Desk) -> None:
    desk.put("spec.yaml", "version: 1\nentries: [{prompt: x, n: '2', size: 16x9}]\n")
    world = World(
        environ={},
        cwd=desk.folder,
        stdin=io.BytesIO(),
        stdout=io.StringIO(),
        stderr=io.StringIO(),
        clock=SystemClock(),
        dice=random.Random(1),
    )
    with pytest.raises(SpecError) as caught:
        plan(world, PlanOptions("spec.yaml"))
    assert [one.code for one in caught.value.problems] == ["wrong-type", "unknown-value"]
