"""The matrix, as users of GitHub Actions know it."""

from __future__ import annotations

import pytest

from pipeline.entries.fault import Fault
from pipeline.entries.matrix import Matrix


def combinations(**written: object) -> list[dict[str, object]]:
    return list(Matrix(written))


def test_the_product_comes_in_the_order_of_the_keys():
    found = combinations(color=["red", "blue"], surface=["oak", "ash"])
    assert [tuple(one.values()) for one in found] == [
        ("red", "oak"),
        ("red", "ash"),
        ("blue", "oak"),
        ("blue", "ash"),
    ]


def test_exclude_takes_away_every_combination_that_agrees():
    found = combinations(a=[1, 2], b=[1, 2], exclude=[{"a": 1, "b": 2}, {"a": 2}])
    assert found == [{"a": 1, "b": 1}]


def test_include_works_as_in_the_documentation_of_github_actions():
    found = combinations(
        fruit=["apple", "pear"],
        animal=["cat", "dog"],
        include=[
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    )
    assert found == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


def test_exclude_comes_before_include():
    found = combinations(a=[1, 2], exclude=[{"a": 2}], include=[{"a": 2, "b": 3}])
    assert found == [{"a": 1}, {"a": 2, "b": 3}]


def test_include_alone_makes_combinations():
    assert combinations(include=[{"a": 1}, {"a": 2}]) == [{"a": 1}, {"a": 2}]


def test_true_is_not_one():
    assert combinations(a=[True, 1], exclude=[{"a": 1}]) == [{"a": True}]


def test_a_matrix_of_ten_million_is_refused_before_it_is_made():
    with pytest.raises(Fault, match="10,000,000 combinations"):
        Matrix({name: list(range(10)) for name in "abcdefg"})


def test_an_exclude_of_an_unknown_key_is_refused():
    with pytest.raises(Fault, match="did you mean `color`"):
        Matrix({"color": ["red"], "exclude": [{"colour": "red"}]})


@pytest.mark.parametrize(
    ("matrix", "code"),
    [
        ("{c: [a], exclude: [{c: a}]}", "empty-matrix"),
        ("{index: [1, 2]}", "reserved-name"),
        ("{c: ['${{ x }}']}", "template-in-value"),
        ("{c: [a], include: [{row: 1}]}", "reserved-name"),
    ],
)
def test_a_matrix_that_cannot_be_is_a_problem_at_the_matrix(desk, matrix, code):
    problem = desk.entry(f"prompt: p\nmatrix: {matrix}").only
    assert (problem.code, problem.place.line) == (code, 4)


def test_a_problem_of_one_combination_names_it(desk):
    got = desk.entry("prompt: A ${{ c }}\nsize: ${{ s }}\nmatrix: {c: [red], s: ['1:1', 9x16]}")
    assert got.prompts == ["A red"]
    assert got.only.within == "matrix c: red, s: 9x16"


def test_values_print_as_they_were_typed(desk):
    got = desk.entry("prompt: ${{ v }}\nmatrix: {v: [1.10, 007, true, no]}")
    assert got.prompts == ["1.10", "007", "true", "no"]
