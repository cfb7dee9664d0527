"""Reads pages and example files: their code blocks, links and commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.verbs import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^ *```(?P<language>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?<![\w.-])(?<!inject )banana-batch (?P<words>[a-z][^\n`]*)")
_ENDS = {"|", "||", "&&", ">", "2>", ";", "&", "\\"}


def pages() -> list[Path]:
    """Return every page for people."""
    places = (ROOT.glob("*.md"), ROOT.glob("docs/*.md"), ROOT.glob("examples/**/*.md"))
    return sorted(path for place in places for path in place)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield language and contents of every fenced block."""
    for found in _FENCE.finditer(text):
        yield found["language"], found["body"]


def spoken(path: Path) -> str:
    """Return what a file holds in which a command is a command: of a page, its code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        return text
    prose = _FENCE.sub("", text)
    return "\n".join([body for _, body in blocks(text)] + re.findall(r"`([^`\n]+)`", prose))


def command_lines(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield name and words of every `banana-batch …` command in a text."""
    for found in _COMMAND.finditer(text):
        try:
            words = shlex.split(found["words"], comments=True)
        except ValueError:  # a quote of the surrounding shell
            words = found["words"].split()
        end = next((at for at, word in enumerate(words) if word in _ENDS), len(words))
        if words[:1]:
            yield words[0], words[1:end]


def flags(command: str) -> set[str]:
    """Return every flag of a command, `--help` included."""
    params = [*cli.commands[command].params]
    known = {word for one in params for word in (*one.opts, *one.secondary_opts)}
    return {word for word in known if word.startswith("-")} | {"--help", "-h"}


def wrong_words(text: str) -> list[str]:
    """Return what the commands of a text use that the command line does not have."""
    wrong = []
    for name, words in command_lines(text):
        if name not in cli.commands:
            wrong.append(name)
            continue
        used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        wrong += [f"{name} {word}" for word in sorted(used - flags(name))]
    return wrong
