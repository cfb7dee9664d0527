"""`${{ … }}`: filled in once, strict, and too narrow to do harm."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.entries.fault import Fault
from pipeline.entries.template import Templates


def render(text: str, **names: object) -> str:
    return Templates(names).text(text).render()


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("A ${{ color }} mug", {"color": "red"}, "A red mug"),
        ("${{ color | upper }}", {"color": "red"}, "RED"),
        ("${{ color.upper() }}", {"color": "red"}, "RED"),
        ("${{ row['its name'] }}", {"row": {"its name": "Mug"}}, "Mug"),
        ("${{ row.items }}", {"row": {"items": "Mug"}}, "Mug"),
        ("${{ on }}", {"on": True}, "true"),
        ("${{ on }}", {"on": False}, "false"),
        ("${{ n + 1 }}", {"n": 4}, "5"),
        ("${{ '%03d' % n }}", {"n": 4}, "004"),
        ("${{ '%s-%s' | format(a, b) }}", {"a": "x", "b": 2}, "x-2"),
        ("${{ names | join(', ') }}", {"names": ["a", "b"]}, "a, b"),
        ("${{ 'red' if warm else 'blue' }}", {"warm": False}, "blue"),
        ("${{ missing | default('none') }}", {}, "none"),
        ("${{ '}}' }}", {}, "}}"),
        ("${{ '${{' }}", {}, "${{"),
        ("${{ price | round(1) }}", {"price": 1.25}, "1.2"),
        ("${{ names | map('upper') | join }}", {"names": ["a", "b"]}, "AB"),
        ("${{ pair | tojson }}", {"pair": {"a": "é"}}, '{"a": "é"}'),
        ("line\n${{ x }}\n", {"x": "y"}, "line\ny\n"),
        ("<b>${{ x }}</b>", {"x": "<&>"}, "<b><&></b>"),
    ],
)
def test_expressions_give_what_a_reader_expects(text, names, expected):
    assert render(text, **names) == expected


@pytest.mark.parametrize(
    "text",
    ["{{ x }}", "{% for x in y %}", "{# note #}", "$ {{ x }}", "}} {{", "{%- raw %}", "$x ${y}"],
)
def test_other_braces_stay_as_typed(text):
    assert render(text) == text
    assert render(text + "${{ x }}", x="!") == text + "!"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
def test_a_value_is_put_in_as_it_is(value):
    assert render("<${{ x }}>", x=value) == f"<{value}>"


@pytest.mark.parametrize("value", ["${{ 1 + 1 }}", "${{ secret }}", "{% raw %}", "\0% if 1 %\0"])
def test_a_value_is_never_a_template(value):
    if "\0" in value:
        with pytest.raises(Fault) as caught:
            render("${{ x }}", x=value)
        assert caught.value.code == "not-text"
    else:
        assert render("${{ x }}", x=value, secret="seen") == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("${{ nobody }}", "unknown-name"),
        ("${{ row['nobody'] }}", "unknown-name"),
        ("${{ row.nobody }}", "unknown-name"),
        ("${{ 'x' if false }}", "template-syntax"),
        ("${{ x", "template-syntax"),
        ("${{ }}", "template-syntax"),
        ("${{ x y }}", "template-syntax"),
        ("${{ x | nothing }}", "template-syntax"),
        ("${{ x | random }}", "template-syntax"),
        ("${{ x | attr('upper') }}", "template-syntax"),
        ("${{ x | center(100000000) }}", "template-syntax"),
        ("${{ x | indent(100000000) }}", "template-syntax"),
        ("${{ range(10) }}", "unknown-name"),
        ("${{ lipsum() }}", "unknown-name"),
        ("${{ cycler }}", "unknown-name"),
        ("${{ ''.__class__ }}", "template-unsafe"),
        ("${{ x['__class__'] }}", "template-unsafe"),
        ("${{ row.__class__ }}", "template-unsafe"),
        ("${{ n.__class__.__mro__ }}", "template-unsafe"),
        ("${{ n.real }}", "template-unsafe"),
        ("${{ x.format(1) }}", "template-unsafe"),
        ("${{ x.zfill(1000000000) }}", "template-unsafe"),
        ("${{ x.join(names) }}", "template-unsafe"),
        ("${{ row.clear() }}", "unknown-name"),
        ("${{ names.append(1) }}", "template-unsafe"),
        ("${{ n() }}", "template-unsafe"),
        ("${{ 'x' * 10**9 }}", "template-too-heavy"),
        ("${{ 10**9 * 'x' }}", "template-too-heavy"),
        ("${{ [1] * 10**9 }}", "template-too-heavy"),
        ("${{ 9**9999999 }}", "template-too-heavy"),
        ("${{ n ** 100000000 }}", "template-too-heavy"),
        ("${{ '%1000000000d' % 1 }}", "template-too-heavy"),
        ("${{ '%*d' % (1000000000, 1) }}", "template-too-heavy"),
        ("${{ '%1000000000d' | format(1) }}", "template-too-heavy"),
        ("${{ 5 | round(-1000000000) }}", "template-too-heavy"),
        ("${{ big | replace('x', big) }}", "template-too-heavy"),
        ("${{ big | list | map('default', big) | list | string }}", "template-too-heavy"),
        ("${{ big | list | map('replace', 'x', big) | join }}", "template-too-heavy"),
        ("${{ big | list | join(big) }}", "template-too-heavy"),
        ("${{ big + big + big }}", "template-too-heavy"),
        ("${{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "template-too-heavy"),
        ("${{ " + "not " * 5000 + "1 }}", "template-too-heavy"),
        ("${{ " + "x ~ " * 5000 + "x }}", "template-too-heavy"),
        ("${{ none }}", "template-null"),
        ("${{ names }}", "template-not-text"),
        ("${{ row }}", "template-not-text"),
        ("${{ x.upper }}", "template-not-text"),
        ("${{ 1 / 0 }}", "template-failed"),
        ("${{ x + 1 }}", "template-failed"),
        ("${{ names[0] | int + 'x' }}", "template-failed"),
        ("\0 ${{ x }}", "not-text"),
        ("\ud800", "not-text"),
    ],
)
def test_what_cannot_or_must_not_be_worked_out_is_a_fault(text, code):
    names = {"x": "a", "n": 3, "names": ["a"], "row": {"a": "b"}, "big": "x" * 100_000}
    with pytest.raises(Fault) as caught:
        render(text, **names)
    assert caught.value.code == code


@given(
    st.sampled_from(
        ["${{ a }}", "x ${{a}} {{ b }}", "${{ a }}${{ b }}\n", "${{\ta\n}}", "$${{ b }}"]
    ),
    st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none(), st.lists(st.none())),
)
@settings(deadline=None, max_examples=60)
def test_a_name_alone_gives_what_the_same_name_in_an_expression_gives(text, value):
    def outcome(written: str) -> str:
        try:
            return render(written, a=value, b="B")
        except Fault as fault:
            return fault.code

    assert outcome(text) == outcome(text + "${{ '' ~ '' }}")


def test_an_unknown_name_says_what_was_meant_and_what_is_known():
    with pytest.raises(Fault) as caught:
        render("${{ colour }}", color="red", style="soft")
    assert caught.value.message == "`colour` is no name here; did you mean `color`?"
    assert caught.value.why == "Known here: color, style."


def test_a_rendered_text_has_a_longest_length():
    with pytest.raises(Fault, match="makes too much"):
        render("${{ a }}" * 9, a="x" * 50_000)


@given(st.text(alphabet="x1'\"()[]{}|.,~+*%-_ nifor", max_size=40))
@settings(deadline=None, max_examples=200)
def test_no_expression_ends_in_anything_but_text_or_a_fault(expression):
    with contextlib.suppress(Fault):
        assert isinstance(render("${{ " + expression + " }}", x="a", n=3), str)
