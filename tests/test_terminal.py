from __future__ import annotations

import io
import json
import os
import pty
import shlex
import subprocess
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY = st.text(st.characters())  # lone surrogates too


@contextmanager
def a_terminal() -> Iterator[TextIO]:
    """Give the program's end of a real pseudo-terminal."""
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "w", encoding="utf-8") as stream:
            yield stream
    finally:
        os.close(ours)


@given(ANY)
@example("\x1b]0;owned\x07")
@example("\x9b31m")
@example("\u202eevil")
@example("\udc80")
def test_clean_text_has_no_power_over_a_terminal(text: str) -> None:
    cleaned = terminal.clean(text)
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, cleaned))
    assert "\u202e" not in cleaned
    assert len(cleaned.splitlines()) <= 1
    cleaned.encode()


def test_an_escape_is_shown_and_a_line_break_is_a_space() -> None:
    assert terminal.clean("a\x1b[31m\r\nb") == "a␛[31m  b"


def test_ordinary_text_of_any_script_stays() -> None:
    assert terminal.clean("Prüfung 城市 🏙️") == "Prüfung 城市 🏙️"


@given(st.recursive(ANY, lambda inner: st.lists(inner) | st.dictionaries(ANY, inner)))
def test_escaped_json_is_the_same_json_and_clean(value: object) -> None:
    escaped = terminal.escape(json.dumps(value, ensure_ascii=False))
    assert json.loads(escaped) == value
    assert terminal.clean(escaped) == escaped


@pytest.mark.parametrize(("text", "columns"), [("mug", 3), ("城市", 4), ("e\u0301", 1), ("", 0)])
def test_width_counts_columns(text: str, columns: int) -> None:
    assert terminal.width(text) == columns


@given(ANY.map(terminal.clean), st.integers(0, 30))
def test_a_cut_text_fits(text: str, columns: int) -> None:
    assert terminal.width(terminal.cut(text, columns)) <= columns


def test_a_wide_character_is_not_cut_in_half() -> None:
    assert terminal.cut("城市夜景", 6) == "城市…"


def test_the_tail_of_a_path_is_kept() -> None:
    assert terminal.tail("catalogue/2026/spring.yaml", 12) == "…spring.yaml"


@given(ANY.map(terminal.clean), st.integers(1, 30))
def test_a_padded_text_is_as_wide_as_asked(text: str, columns: int) -> None:
    assert terminal.width(terminal.pad(text, columns)) == columns


@given(ANY.map(terminal.clean), st.integers(2, 30))
def test_wrapped_lines_fit_and_lose_nothing(text: str, columns: int) -> None:
    lines = terminal.wrap(text, columns)
    assert all(terminal.width(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_columns_come_from_the_environment_first() -> None:
    assert terminal.columns(io.StringIO(), {"COLUMNS": "132"}) == 132


@pytest.mark.parametrize("told", ["", "0", "-5", "wide", "٣"])
def test_without_a_terminal_or_a_number_there_are_80_columns(told: str) -> None:
    assert terminal.columns(io.StringIO(), {"COLUMNS": told}) == 80


def test_a_terminal_says_how_wide_it_is() -> None:
    with a_terminal() as stream:
        subprocess.run(["stty", "cols", "97", "rows", "20"], stdin=stream, check=True)
        assert terminal.columns(stream, {}) == 97


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, True),
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
    ],
)
def test_a_terminal_is_coloured_unless_told_otherwise(
    environ: dict[str, str], wanted: bool
) -> None:
    with a_terminal() as stream:
        assert terminal.colored(stream, environ) is wanted


def test_what_is_no_terminal_is_not_coloured() -> None:
    assert not terminal.colored(io.StringIO(), {"TERM": "xterm"})


def test_a_closed_stream_is_no_terminal() -> None:
    stream = io.StringIO()
    stream.close()
    assert not terminal.interactive(stream, {})


def test_an_ascii_stream_gets_escapes() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert terminal.encodable("3 × 城", stream) == "3 \\xd7 \\u57ce"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "0.0 s"),
        (0.42, "0.4 s"),
        (24.4, "24 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7380, "2 h 03 min"),
        (370000, "4 d 06 h"),
    ],
)
def test_a_duration_reads_well(seconds: float, told: str) -> None:
    assert terminal.duration(seconds) == told


@given(st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))))
@example(["my spec.yaml", "--status", "it's"])
@example(["\x1b[31m\n", "'", "\\"])
def test_a_command_line_means_the_words_it_was_made_of(words: list[str]) -> None:
    line = terminal.command(words)
    assert terminal.clean(line) == line
    if "$'" not in line:
        assert shlex.split(line) == words


def test_a_name_with_control_characters_survives_the_shell() -> None:
    word = "a\x1b[31m\n'\\b\u202e"
    line = terminal.command(["printf", "%s", word])
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout.decode() == word


def test_paint_without_colours_changes_nothing() -> None:
    assert terminal.paint("done", "green", False) == "done"


def test_paint_ends_what_it_starts() -> None:
    assert terminal.paint("done", "green", True) == "\x1b[32mdone\x1b[0m"
