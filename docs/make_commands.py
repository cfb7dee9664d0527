"""Writes the tables of docs/commands.md, and the page that `--help` shows, from the command line.

Run it after a change of `pipeline/cli/`:

    python docs/make_commands.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline import cli as room
from pipeline.cli.verbs import cli
from pipeline.errors import EXIT_MEANING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent / "commands.md"
HELP = Path(room.__file__).parent / "help.txt"
_PART = re.compile(r"(<!-- made: (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def help_page() -> str:
    """Return what click shows for `--help` on a terminal of 80 columns."""
    context = cli.make_context("banana-batch", [], resilient_parsing=True, terminal_width=80)
    with context:
        return f"{cli.get_help(context)}\n"


def page(text: str) -> str:
    """Return the page with every made part as the command line has it now."""
    return _PART.sub(lambda found: f"{found[1]}\n{_made(found['name'])}\n{found[3]}", text)


def _made(name: str) -> str:
    return exit_codes() if name == "exit codes" else options(name)


def exit_codes() -> str:
    """Return the table of exit codes."""
    rows = [f"| `{code.value}` | {meaning} |" for code, meaning in EXIT_MEANING.items()]
    return "\n".join(["| code | what it means |", "|---|---|", *rows, ""])


def options(name: str) -> str:
    """Return the table of a command's options, with their environment variables."""
    command = cli.commands[name]
    rows = [row for one in command.params for row in _row(name, one)]
    return "\n".join(["| option | what it does | in the environment |", "|---|---|---|", *rows, ""])


def _row(name: str, option: click.Parameter) -> Iterator[str]:
    if not isinstance(option, click.Option):
        return
    words = [*option.opts, *option.secondary_opts]
    shown = ", ".join(f"`{word}`" for word in sorted(words, key=lambda one: one.startswith("--")))
    if value := _value(option):
        shown += f" `{value}`"
    if option.multiple:
        shown += " (may be repeated)"
    about = (option.help or "").replace("|", "\\|")
    variable = f"BANANA_BATCH_{name}_{option.name}".upper()
    yield f"| {shown} | {about}{_default(option)} | `{variable}` |"


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return "\\|".join(option.type.choices)
    return option.metavar or option.type.name.upper().removesuffix(" RANGE")


def _default(option: click.Option) -> str:
    said = isinstance(option.default, str | int) and not option.is_flag
    return f" Default: `{option.default}`." if said else ""


def main() -> None:
    """Write both."""
    HELP.write_text(help_page(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
