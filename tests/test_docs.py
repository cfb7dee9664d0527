"""What the pages say is so: commands, flags, exit codes, fields, links, specs."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from documents import ROOT, blocks, flags, pages, spoken, wrong_words

from pipeline import editor, schema
from pipeline.cli import main
from pipeline.cli.verbs import cli
from pipeline.commands import account, look
from pipeline.errors import EXIT_MEANING
from pipeline.lifecycle import SUBMIT_OUTCOMES, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PAGES = pages()
NOT_OURS = {".git", ".venv", "out", "build", "dist", "results", "__pycache__"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def script(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


# ── commands and exit codes ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_and_flag_is_described(name: str) -> None:
    about = section(text("docs/commands.md"), name)
    assert {word for word in flags(name) - {"--help", "-h"} if f"`{word}`" not in about} == set()


def test_the_commands_page_is_what_the_command_line_is_now() -> None:
    page = text("docs/commands.md")
    assert script("make_commands").page(page) == page


def test_the_page_that_help_shows_is_clicks_own() -> None:
    made = script("make_commands")
    assert made.HELP.read_text(encoding="utf-8") == made.help_page()


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"`banana-batch {name}" in section(text("README.md"), "Commands")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_option_says_what_it_does(name: str) -> None:
    options = [one for one in cli.commands[name].params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_commands_on_a_page_exist_with_their_flags(path: Path) -> None:
    assert wrong_words(spoken(path)) == []


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md"])
def test_every_exit_code_is_explained(page: str) -> None:
    said = text(page).replace("`", "")
    for code, meaning in EXIT_MEANING.items():
        assert re.search(rf"\b{int(code)}\b", said)
        assert meaning.split(";")[0].removesuffix(" by Ctrl-C") in said


@pytest.mark.parametrize("code", [int(code) for code in EXIT_MEANING])
def test_a_script_learns_what_to_do_with_every_exit_code(code: int) -> None:
    assert f"`{code}`" in section(
        text("docs/cron.md"), "What a script should do with the exit code"
    )


@pytest.mark.parametrize("name", [account.KEY, account.HOST, look.MODELS, "NO_COLOR"])
def test_every_variable_of_the_environment_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in section(text("README.md"), "Environment")


# ── how a run resumes ───────────────────────────────────────────────────────────────────────


def test_the_resume_page_is_what_the_table_of_steps_is_now() -> None:
    page = text("docs/resume.md")
    assert script("make_resume").page(page) == page


@pytest.mark.parametrize("status", Status)
def test_the_next_runs_doing_is_told_for_every_status(status: Status) -> None:
    assert f"`{status}`" in section(text("docs/resume.md"), "What the next run does")


def test_every_outcome_of_a_submit_has_its_row() -> None:
    said = section(text("docs/resume.md"), "What an answer to a request means")
    assert [row.submit for row in SUBMIT_OUTCOMES.values() if f"| {row.submit} |" not in said] == []


# ── the spec ────────────────────────────────────────────────────────────────────────────────


def fields(part: dict[str, Any]) -> Iterator[str]:
    for name, inner in part.get("properties", {}).items():
        yield name
        yield from fields(inner)


def test_every_field_of_the_spec_is_on_the_reference_page() -> None:
    spec = editor.without_rules(schema.document("spec"))
    names = set(fields(spec))
    for part in ("entry", "fields", "run", "output"):
        names |= set(fields(spec["$defs"][part]))
    page = text("docs/spec-reference.md")
    assert {name for name in names if not re.search(rf"^### `[\w.]*{name}`$", page, re.M)} == set()


def specs_on_pages() -> list[Any]:
    return [
        pytest.param(body, id=f"{page_id(path)}-{number}")
        for path in PAGES
        for number, (language, body) in enumerate(blocks(path.read_text(encoding="utf-8")))
        if language == "yaml" and "version:" in body and "entries:" in body
    ]


@pytest.mark.parametrize("body", specs_on_pages())
def test_a_spec_on_a_page_is_valid(
    body: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs", ignore=shutil.ignore_patterns("out"))
    spec = tmp_path / "specs/page.yaml"
    spec.write_text(body, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["validate", str(spec)])
    assert (end.value.code, capsys.readouterr().err) == (0, "")


def test_the_readme_shows_a_spec() -> None:
    assert [one for one in specs_on_pages() if str(one.id).startswith("README")]


# ── the pages themselves ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    local = [one for one in links if "://" not in one]
    assert [one for one in local if not (path.parent / one).exists()] == []


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#\s]+)", text("README.md")))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


def test_the_readme_opens_with_the_two_commands() -> None:
    commands = next(body for language, body in blocks(text("README.md")) if language == "sh")
    assert [line.split("#")[0].strip() for line in commands.splitlines()] == [
        "make demo",
        "make test",
    ]


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    assert "\n## [Unreleased]\n" in text("CHANGELOG.md")


# ── no word out of place ────────────────────────────────────────────────────────────────────


def files() -> list[Path]:
    """Return the repository's files: those that git knows or would take, else all but ours."""
    said = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False,
    )  # fmt: skip
    names = said.stdout.decode().split("\0") if said.returncode == 0 else []
    found = [ROOT / name for name in names if name] or list(ROOT.rglob("*"))
    return [
        path
        for path in found
        if path.is_file()
        and not NOT_OURS & set(path.relative_to(ROOT).parts)
        and not any(part.endswith("_cache") for part in path.parts)
    ]


FORBIDDEN = [
    "".join(parts)
    for parts in (
        ("/wo", "rk/"),
        ("/tmp/", "brief"),
        ("/ro", "ot/"),
        ("py", "pi.org"),
        ("python", "hosted"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("crates", ".io"),
        ("ruby", "gems.org"),
        ("golang", ".org"),
        ("docker", ".io"),
        ("cl", "aude"),
        ("anth", "ropic"),
        ("chat", "gpt"),
        ("co", "pilot"),
    )
]


def test_no_file_speaks_of_the_machine_it_was_written_on() -> None:
    found = set()
    for path in files():
        said = path.read_bytes().lower()
        found |= {(page_id(path), word) for word in FORBIDDEN if word.encode() in said}
    assert found == set()


def test_the_search_for_words_reads_this_file_too() -> None:
    assert Path(__file__).resolve() in {path.resolve() for path in files()}


def test_the_schema_for_editors_is_json() -> None:
    assert json.loads(text("schemas/spec.schema.json"))["$defs"]
