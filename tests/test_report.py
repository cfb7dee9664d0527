"""Problems reach people, scripts and GitHub whole, in order and harmless."""

from __future__ import annotations

import json

import pytest

from pipeline import report
from pipeline.errors import Trouble
from pipeline.problem import Place, Problem, Severity


def problem(**fields: object) -> Problem:
    usual = {
        "code": "wrong-type",
        "message": "`n` must be a whole number",
        "place": Place("a.yaml", 3, 8),
        "why": "The API takes a number.",
        "fix": "Write `n: 2`.",
        "text": '    n: "2"',
    }
    return Problem(**{**usual, **fields})  # type: ignore[arg-type]


def text(*problems: Problem, width: int = 80) -> str:
    return report.render(problems, "text", color=False, width=width)


def quoted(one: Problem, width: int = 80) -> tuple[str, str]:
    lines = text(one, width=width).split("\n")
    return lines[1], lines[2]


def test_a_problem_is_told_with_its_line_a_caret_why_and_what_to_do() -> None:
    assert text(problem()) == (
        "a.yaml:3:8: error[wrong-type]: `n` must be a whole number\n"
        '  3 | n: "2"\n'
        "    |    ^\n"
        "  why: The API takes a number.\n"
        "  fix: Write `n: 2`.\n"
        "\n"
        "1 error\n"
    )


def test_nothing_wrong_says_nothing() -> None:
    assert [report.render([], name, color=True, width=80) for name in report.FORMATS] == [""] * 3


def test_problems_come_in_the_order_of_their_places() -> None:
    places = [Place("b.yaml", 1, 1), Place("a.yaml", 10, 1), Place("a.yaml", 9, 2)]
    found = report.render([problem(place=one) for one in places], "json", color=False, width=80)
    told = [(one["file"], one["line"]) for one in map(json.loads, found.splitlines())]
    assert told == [("a.yaml", 9), ("a.yaml", 10), ("b.yaml", 1)]


def test_what_repeats_is_folded_and_still_counted() -> None:
    many = [problem(place=Place("a.yaml", line, 1)) for line in range(1, 1001)]
    said = text(*many, problem(code="other", place=Place("a.yaml", 2000, 1)))
    assert said.count("error[wrong-type]") == 20
    assert "… and 980 more like it (wrong-type) in a.yaml" in said
    assert "error[other]" in said
    assert said.endswith("1,001 errors\n")


def test_scripts_get_every_problem() -> None:
    many = [problem(place=Place("a.yaml", line, 1)) for line in range(1, 101)]
    assert len(report.render(many, "json", color=False, width=80).splitlines()) == 100


def test_errors_warnings_and_files_are_counted() -> None:
    warning = problem(severity=Severity.WARNING, place=Place("b.yaml", 1, 1))
    assert text(problem(), warning).endswith("1 error and 1 warning in 2 files\n")


def test_the_combination_is_named() -> None:
    assert "  in: color: red\n" in text(problem(within="color: red"))


def test_a_command_to_copy_stands_on_its_own_line() -> None:
    assert "  fix: Look:\n    banana-batch models\n" in text(
        problem(fix="Look:\n  banana-batch models")
    )


def test_a_problem_with_a_whole_file_has_no_line() -> None:
    said = text(problem(place=Place("a.yaml"), text=""))
    assert said.startswith("a.yaml: error[wrong-type]: ")
    assert "|" not in said


def test_wide_characters_keep_the_caret_in_place() -> None:
    line, caret = quoted(problem(text="夜景: x", place=Place("a.yaml", 3, 5)))
    assert line == "  3 | 夜景: x"
    assert caret == "    |       ^"


def test_combining_characters_keep_the_caret_in_place() -> None:
    line, caret = quoted(problem(text="e\u0301: x", place=Place("a.yaml", 3, 5)))
    assert line.endswith("e\u0301: x")
    assert caret == "    |    ^"


def test_tabs_keep_the_caret_in_place() -> None:
    _, caret = quoted(problem(text="a:\tx", place=Place("a.yaml", 3, 4)))
    assert caret == "    |       ^"


@pytest.mark.parametrize("column", [1, 50, 500, 999, 1001])
@pytest.mark.parametrize("letter", ["x", "景"])
def test_a_long_line_is_cut_around_the_caret(column: int, letter: str) -> None:
    content = letter * 999 + "!"
    place = Place("a.yaml", 3, column)
    line, caret = quoted(problem(text=content, place=place), width=60)
    columns = sum(2 if one == "景" else 1 for one in line)
    assert columns <= 60
    assert caret.index("^") <= 60


def test_the_caret_of_a_cut_line_points_at_its_character() -> None:
    line, caret = quoted(problem(text="x" * 500 + "!", place=Place("a.yaml", 3, 501)), width=60)
    assert line[caret.index("^")] == "!"


def test_a_place_outside_the_text_gets_no_caret() -> None:
    assert "^" not in text(problem(text="n: 2", place=Place("a.yaml", 3, 900)))


@pytest.mark.parametrize("hostile", ["\x1b[31m", "\r", "\x07", "\u202e", "\x9b"])
@pytest.mark.parametrize("name", report.FORMATS)
def test_nothing_from_a_file_has_power_over_the_terminal(hostile: str, name: str) -> None:
    bad = f"a{hostile}b"
    found = problem(message=bad, why=bad, fix=bad, text=bad, within=bad, place=Place(bad, 1, 1))
    assert hostile not in report.render([found], name, color=False, width=80)


def test_colour_is_only_where_it_is_wanted() -> None:
    assert "\x1b[" not in text(problem())
    assert "\x1b[31m" in report.render([problem()], "text", color=True, width=80)


def test_json_is_one_object_a_line() -> None:
    (line,) = report.render([problem()], "json", color=False, width=80).splitlines()
    assert json.loads(line) == {
        "severity": "error",
        "code": "wrong-type",
        "file": "a.yaml",
        "line": 3,
        "column": 8,
        "message": "`n` must be a whole number",
        "why": "The API takes a number.",
        "fix": "Write `n: 2`.",
        "within": "",
        "text": '    n: "2"',
    }


def test_github_gets_an_annotation_that_it_can_read() -> None:
    found = problem(place=Place("a,b:c.yaml", 3, 8), message="100% wrong", why="", fix="one\ntwo")
    assert report.render([found], "github", color=False, width=80) == (
        "::error file=a%2Cb%3Ac.yaml,line=3,col=8,title=wrong-type::100%25 wrong%0Aone%0Atwo\n"
    )


def test_github_gets_a_warning_for_a_whole_file() -> None:
    found = problem(place=Place("a.yaml"), severity=Severity.WARNING, why="", fix="")
    assert report.render([found], "github", color=False, width=80).startswith(
        "::warning file=a.yaml,title=wrong-type::"
    )


def test_a_message_cannot_start_an_annotation_of_its_own() -> None:
    found = problem(message="x\n::error::forged")
    assert report.render([found], "github", color=False, width=80).count("\n") == 1


def test_trouble_is_told_in_the_same_voice() -> None:
    error = Trouble("no key\x1b is set", why="The API needs one.", fix="Set it:\n  export KEY=…")
    assert report.trouble(error, color=False, width=80) == (
        "error: no key␛ is set\n  why: The API needs one.\n  fix: Set it:\n    export KEY=…\n"
    )
