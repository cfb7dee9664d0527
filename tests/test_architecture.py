"""The house: who may import whom, one door for each dependency, and no room for everything.

The table is the one of docs/ARCHITECTURE.md, so that the page cannot be wrong. Imports for type
checking count: a room that knows another's types knows the room.
"""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "pipeline"
PAGE = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
FILES = sorted(HOUSE.rglob("*.py"))
LONGEST_FUNCTION = 60
LONGEST_FILE = 400
PACKAGES = {
    "PIL": "Pillow",
    "yaml": "PyYAML",
    "jsonschema_rs": "jsonschema-rs",
    "jinja2": "Jinja2",
    "markupsafe": "MarkupSafe",
}
LEAVES_AT_ONCE = {"commands/session.py"}
"""The second Ctrl-C: from a signal handler, where nothing can be raised to `cli`."""


def rows(title: str) -> Iterator[list[str]]:
    """Yield the cells of a table's rows, from the section of that title."""
    section = PAGE.split(f"## {title}", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith(("| floor ", "| package ")):
            yield [cell.strip() for cell in line.strip("|").split("|")]


FLOORS = {row[1].strip("`"): int(row[0]) for row in rows("The rooms")}


@cache
def allowed() -> dict[str, set[str]]:
    found = {row[1].strip("`"): set(re.findall(r"`(\w+)`", row[3])) for row in rows("The rooms")}
    for row in rows("The rooms"):
        if row[3] == "every room below":
            found[row[1].strip("`")] = {room for room in FLOORS if FLOORS[room] < int(row[0])}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").parts[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module and name that a file imports, wherever it does."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by dots"
            yield from (f"{node.module}.{one.name}" for one in node.names)


def rooms_imported(path: Path) -> set[str]:
    found = set()
    for name in imports(path):
        if name.split(".")[0] == "pipeline":
            room = name.split(".")[1] if "." in name else "__init__"
            found.add(room if room in FLOORS else "__init__")
    return found - {room_of(path)}


def packages_imported(path: Path) -> set[str]:
    tops = {name.split(".")[0] for name in imports(path)}
    own = {"pipeline", "__future__"}
    return {one for one in tops - own if one not in sys.stdlib_module_names or one == "sqlite3"}


def name_of(path: Path) -> str:
    return path.relative_to(HOUSE).as_posix()


def functions() -> Iterator[tuple[str, int]]:
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                yield f"{name_of(path)}: {node.name}", length


def test_every_room_stands_in_the_table() -> None:
    assert {room_of(path) for path in FILES} == set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_what_the_table_allows(path: Path) -> None:
    assert rooms_imported(path) <= allowed()[room_of(path)]


def test_the_table_leads_only_down_or_sideways() -> None:
    up = {
        (room, other)
        for room, others in allowed().items()
        for other in others
        if FLOORS[other] > FLOORS[room]
    }
    assert up == set()


def test_the_table_has_no_circle() -> None:
    assert len(list(TopologicalSorter(allowed()).static_order())) == len(FLOORS)


def test_the_modules_have_no_circle() -> None:
    """Inside a room, too. Only what is imported when a module loads makes a circle."""
    names = {_dotted(path): path for path in FILES}
    graph = {name: _loaded(path) & names.keys() - {name} for name, path in names.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(names)


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _loaded(path: Path) -> set[str]:
    """Return what a module imports at its top level; a package's own parts may load it first."""
    found = set()
    for node in tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{one.name}" for one in node.names}
    parts = _dotted(path).split(".")
    return found - {".".join(parts[:end]) for end in range(1, len(parts))}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_dependency_has_one_door(path: Path) -> None:
    doors = {row[0]: set(re.findall(r"`(\w+)`", row[2])) for row in rows("Dependencies")}
    for package in packages_imported(path):
        assert room_of(path) in doors[PACKAGES.get(package, package)], package


def test_what_the_page_says_of_dependencies_is_what_is_asked_for() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    asked = text.split("dependencies = [", 1)[1].split("]", 1)[0]
    names = set(re.findall(r'"([\w-]+)', asked))
    assert names <= {row[0] for row in rows("Dependencies")}


def test_no_room_is_for_everything() -> None:
    banned = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "misc"}
    names = {part for path in FILES for part in path.relative_to(HOUSE).with_suffix("").parts}
    assert names & banned == set()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_command_line_ends_the_process(path: Path) -> None:
    if room_of(path) == "cli" or name_of(path) in LEAVES_AT_ONCE:
        return
    ends = {"exit", "quit", "sys.exit", "os._exit", "os.abort"}
    called = {ast.unparse(one.func) for one in ast.walk(tree(path)) if isinstance(one, ast.Call)}
    assert called & ends == set()
    assert "SystemExit" not in {one.id for one in ast.walk(tree(path)) if isinstance(one, ast.Name)}


def test_there_is_one_broad_catch_in_the_program() -> None:
    """What is raised again was not caught."""
    broad = [
        name_of(path)
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) == "Exception")
        and ast.unparse(node.body[-1]) != "raise"
    ]
    assert [name.split("/")[0] for name in broad] == ["cli"]


def test_no_function_is_longer_than_a_screen() -> None:
    assert [one for one in functions() if one[1] > LONGEST_FUNCTION] == []


def test_nine_functions_of_ten_are_short() -> None:
    lengths = sorted(length for _, length in functions())
    assert lengths[len(lengths) * 9 // 10] <= 26


def test_no_file_is_longer_than_it_may_be() -> None:
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: count for name, count in lines.items() if count > LONGEST_FILE} == {}


def test_every_exception_to_a_linter_has_its_reason() -> None:
    """Behind it, or in a comment above it."""
    bare = re.compile(r"#\s*(noqa: [A-Z0-9, ]+|type: ignore\[[\w, -]+\])\s*$|#\s*noqa\s*$")
    found = []
    for path in FILES:
        before = ""
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if bare.search(line) and not before.lstrip().startswith("#"):
                found.append(f"{name_of(path)}:{number}")
            before = line
    assert found == []
