"""Whatever is fed in: a spec, or a SpecError with a place; never another exception."""

from __future__ import annotations

import io
from pathlib import Path

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import report, spec
from pipeline.errors import SpecError

KEY = "sk-live0123456789abcdefghij"
CONTROLS = set(map(chr, range(32))) - {"\n"}
CWD = Path(__file__).parent

WORDS = st.sampled_from(
    [
        "version",
        "entries",
        "id",
        "prompt",
        "n",
        "size",
        "run",
        "vars",
        "defaults",
        "include",
        "output",
        "matrix",
        "from",
        "tags",
        "references",
        "1",
        "16:9",
        "~",
        "true",
        ".nan",
        "007",
        "0x1F",
        "1e999",
        "${{",
        "<<",
        "models",
        "env",
    ]
)
PIECES = st.sampled_from(
    [
        ": ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&a ",
        "*a",
        "*b",
        "!!str ",
        "!x ",
        "!!python/name:os ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "? ",
        "|\n",
        ">-\n",
        '"',
        "'",
        "#",
        "\t",
        "\\",
        "<<: ",
        "@",
        "`",
        "\x85",
        "\u2028",
        "\ufeff",
        "\r\n",
        "é",
        f" {KEY}",
        "🍌",
        "\x00",
    ]
)


def loads_or_says_why(data: bytes) -> None:
    try:
        loaded = spec.load("-", stdin=io.BytesIO(data), environ={}, cwd=CWD)
        problems = loaded.problems
        spec.run_settings(loaded, {})
    except SpecError as error:
        problems = error.problems
        assert problems
    for problem in problems:
        assert problem.place.file
        assert problem.message
    for format_ in report.FORMATS:
        text = report.render(problems, format_, color=False, width=80)
        assert KEY not in text
        assert not CONTROLS & set(text)


@given(st.binary(max_size=300))
@example(b"\xff\xfea\x00")
@example(b"? " * 200)
@example(b"- " * 200)
@example(b"[" * 10_000)
@example(b"{a: " * 10_000)
@example(b"&a [*a]")
@example(b"&a {*a : *a}")
@example(b"<<: *a")
@example(b"entries: {<<: [{a: 1}, 2]}")
@example(b"!!map [a]")
@example(b"!!int ''")
@example(b"a: !<tag:yaml.org,2002:str> x")
@settings(max_examples=150, deadline=None)
def test_bytes(data: bytes) -> None:
    loads_or_says_why(data)


@given(st.lists(WORDS | PIECES, max_size=60).map("".join))
@settings(max_examples=200, deadline=None)
def test_pieces_of_yaml(text: str) -> None:
    loads_or_says_why(text.encode("utf-8", "surrogatepass"))


TEXTS = WORDS | st.just(KEY)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | WORDS
    | st.just(KEY),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, VALUES, max_size=8), VALUES)
@settings(max_examples=150, deadline=None)
def test_any_data_under_the_keys_of_a_spec(data: dict[str, object], entry: object) -> None:
    data = {"version": 1, "entries": [entry], **data}
    loads_or_says_why(yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "replace"))
