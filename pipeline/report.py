"""Problems as text: for people, for scripts (`json`) and for GitHub's annotations (`github`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pipeline.problem import Severity
from pipeline.terminal import clean, cut, escape, paint
from pipeline.terminal import width as columns_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.errors import Trouble
    from pipeline.problem import Problem

FORMATS = ("text", "json", "github")
_MOST_ALIKE = 20
_TAB = "    "
_STYLE = {Severity.ERROR: "red", Severity.WARNING: "yellow"}


def render(problems: Iterable[Problem], format: str, *, color: bool, width: int) -> str:
    """Return problems in one of `FORMATS`, in the order of their places.

    For people, what repeats more than 20 times is folded, and a count closes the list; no line
    but a command to copy is made wider than `width` columns by what a file holds. Nothing at all
    gives `""`. Whatever comes from a file is made harmless.
    """
    found = sorted(problems, key=_order)
    if format == "json":
        return "".join(_json(one) + "\n" for one in found)
    if format == "github":
        return "".join(_github(one) + "\n" for one in found)
    if not found:
        return ""
    blocks = [_block(one, color, max(width, 20)) for one in _folded(found)]
    return "\n".join([*blocks, _count(found, color)]) + "\n"


def trouble(error: Trouble, *, color: bool, width: int) -> str:  # noqa: ARG001 - one signature with render
    """Return an expected error in the same voice: what went wrong, why, what to do."""
    head = f"{paint('error', 'red', color)}: {paint(_sentence(error.summary), 'bold', color)}"
    return "\n".join([head, *_reasons(error.why, error.fix, color)]) + "\n"


def _order(problem: Problem) -> tuple[str, int, int, str]:
    place = problem.place
    return place.file, place.line, place.column, problem.code


# ── for people ──────────────────────────────────────────────────────────────────────────────


def _folded(problems: list[Problem]) -> Iterator[Problem | tuple[Problem, int]]:
    """Yield problems; of each kind in a file the first 20, and then how many more there are."""
    seen: dict[tuple[str, str, str], int] = {}
    for problem in problems:
        seen[_kind(problem)] = seen.get(_kind(problem), 0) + 1
    told: dict[tuple[str, str, str], int] = {}
    for problem in problems:
        kind = _kind(problem)
        told[kind] = told.get(kind, 0) + 1
        if told[kind] <= _MOST_ALIKE:
            yield problem
        elif told[kind] == seen[kind]:
            yield problem, seen[kind] - _MOST_ALIKE


def _kind(problem: Problem) -> tuple[str, str, str]:
    return problem.place.file, problem.code, problem.severity


def _block(found: Problem | tuple[Problem, int], color: bool, width: int) -> str:
    if isinstance(found, tuple):
        problem, more = found
        like = f"… and {more:,} more like it ({problem.code}) in {clean(problem.place.file)}"
        return paint(like, "dim", color) + "\n"
    kind = paint(f"{found.severity}[{found.code}]", _STYLE[found.severity], color)
    where = paint(_where(found), "bold", color)
    lines = [f"{where}{': ' if where else ''}{kind}: {clean(found.message)}"]
    lines += _quoted(found, color, width)
    if found.within:
        lines.append(f"  in: {cut(clean(found.within), width - 6)}")
    return "\n".join([*lines, *_reasons(found.why, found.fix, color)]) + "\n"


def _where(problem: Problem) -> str:
    place = problem.place
    parts = [clean(place.file), *(str(n) for n in (place.line, place.column) if n)]
    return ":".join(part for part in parts if part)


def _quoted(problem: Problem, color: bool, width: int) -> list[str]:
    """Return the offending line with a caret under its column, cut around it when it is long."""
    if not problem.text.strip() or not problem.place.line:
        return []
    gutter = f"  {problem.place.line} | "
    room = width - len(gutter)
    at = problem.place.column - 1
    before = _visible(problem.text[:at])
    line = before + _visible(problem.text[at:])
    indent = len(line) - len(line.lstrip(" "))
    dropped = min(indent, columns_of(before)) if at <= len(problem.text) else indent
    line, column = line[dropped:], columns_of(before) - dropped
    if column > room * 2 // 3:
        line, column = _window(line, column, room)
    quoted = [f"{paint(gutter, 'dim', color)}{cut(line, room)}".rstrip()]
    if 0 <= at <= len(problem.text):
        caret = " " * (len(gutter) - 2) + paint("| ", "dim", color) + " " * column
        quoted.append(caret + paint("^", "red", color))
    return quoted


def _visible(text: str) -> str:
    return clean(text.replace("\t", _TAB))


def _window(line: str, column: int, room: int) -> tuple[str, int]:
    """Drop the start of a long line, so that its `column` comes to stand near the middle."""
    start, gone = 0, 0
    while column - gone > room // 2:
        gone += columns_of(line[start])
        start += 1
    return "…" + line[start:], column - gone + 1


def _reasons(why: str, fix: str, color: bool) -> list[str]:
    lines = [f"  {paint('why:', 'cyan', color)} {part}" for part in _lines(why)[:1]]
    lines += [f"  {part}" for part in _lines(why)[1:]]
    lines += [f"  {paint('fix:', 'green', color)} {part}" for part in _lines(fix)[:1]]
    return lines + [f"    {part.strip()}" for part in _lines(fix)[1:]]


def _lines(text: str) -> list[str]:
    return [clean(line) for line in text.split("\n") if line.strip()]


def _sentence(text: str) -> str:
    return " ".join(_lines(text))


def _count(problems: list[Problem], color: bool) -> str:
    counts = {kind: sum(1 for one in problems if one.severity is kind) for kind in Severity}
    words = [f"{n:,} {kind}{'' if n == 1 else 's'}" for kind, n in counts.items() if n]
    files = len({one.place.file for one in problems})
    style = "red" if counts[Severity.ERROR] else "yellow"
    return paint(" and ".join(words), style, color) + (f" in {files} files" if files > 1 else "")


# ── for programs ────────────────────────────────────────────────────────────────────────────


def _json(problem: Problem) -> str:
    fields = {
        "severity": problem.severity,
        "code": problem.code,
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "message": problem.message,
        "why": problem.why,
        "fix": problem.fix,
        "within": problem.within,
        "text": problem.text,
    }
    return escape(json.dumps(fields, ensure_ascii=False))


def _github(problem: Problem) -> str:
    """Return a workflow command, escaped as the runner unescapes it."""
    place = problem.place
    where = {"file": place.file, "line": place.line or "", "col": place.column or ""}
    fields = {key: value for key, value in where.items() if value}
    fields["title"] = problem.code
    properties = ",".join(f"{key}={_property(str(value))}" for key, value in fields.items())
    said = [problem.message, *([f"in: {problem.within}"] if problem.within else [])]
    said += [words for words in (problem.why, problem.fix) if words]
    return f"::{problem.severity} {properties}::{_data(chr(10).join(said))}"


def _data(text: str) -> str:
    harmless = "\n".join(clean(line) for line in text.split("\n"))
    return harmless.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
