"""Prompt files: UTF-8 text of a sane size."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from pipeline import explain
from pipeline.entries.fault import Fault
from pipeline.entries.limits import limit

if TYPE_CHECKING:
    from pathlib import Path


def prompt_text(path: Path, written: str) -> str:
    """Return a prompt file's text: without BOM and last line break, with `\\n` line ends.

    `written` is the name in messages. Raises `Fault` when it is missing, too large or not UTF-8.
    """
    name = f"the prompt file {explain.shown(written)}"
    most = limit("prompt_file_bytes")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Fault("not-a-file", f"{name} is not a regular file", fix="Name a text file.")
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise Fault(
            "missing-file",
            f"{name} does not exist",
            fix="Paths are relative to the spec. Mend the name, or create the file.",
        ) from None
    except OSError as error:
        raise Fault("unreadable-file", f"{name} cannot be read: {error.strerror}") from None
    if len(raw) > most:
        raise Fault(
            "file-too-large",
            f"{name} has more than {most:,} bytes",
            why="A prompt is a description in words.",
            fix="Look whether it is the right file.",
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Fault(
            "not-utf8",
            f"{name} is not UTF-8: see its line {line}",
            fix="Save it as UTF-8.",
        ) from None
    return text.replace("\r\n", "\n").removesuffix("\n")
