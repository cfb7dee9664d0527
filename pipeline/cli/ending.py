"""The one error handler: whatever happens becomes a message and an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.verbs import ReaderGone, cli
from pipeline.errors import Exit, SpecError, Trouble

if TYPE_CHECKING:
    from pipeline.commands.world import World


def main(arguments: list[str] | None = None, world: World | None = None) -> None:
    """Run the program and end the process with its exit code: the one error handler.

    Without `arguments` those of the process are taken, without a `world` that of the process.
    """
    _secure_streams()
    try:
        code = cli.main(
            arguments, standalone_mode=False, auto_envvar_prefix="BANANA_BATCH", obj=world
        )
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        _say(said.getvalue())
        code = Exit.WRONG_INPUT
    except (click.Abort, KeyboardInterrupt):
        code = Exit.INTERRUPTED
    except ReaderGone:
        _mute(sys.stdout)
        _mute(sys.stderr)
        code = Exit.DONE
    except SpecError as error:
        _tell_problems(error)
        code = error.exit
    except Trouble as error:
        _tell_trouble(error)
        code = error.exit
    except Exception as error:  # noqa: BLE001 - the one broad catch of the program
        code = _tell_full(error) if _is_full(error) else _tell_bug(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code if isinstance(error, BrokenPipeError) else _tell_full(error)
        _mute(sys.stdout)
    sys.exit(int(code or 0))


def _secure_streams() -> None:
    """A stream that was closed leads nowhere, and no encoding is too small for a message."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - open to the end
            setattr(sys, name, nowhere)
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _is_full(error: BaseException) -> bool:
    """Whether the disk behind standard output is full; a room says it of its own files itself."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _say(text: str) -> None:
    """Write to standard error; a reader that went away must not change the exit code."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _mute(sys.stderr)


def _tell_full(error: BaseException) -> Exit:
    _say(f"error: cannot write to standard output: {error}\n")
    return Exit.UNFINISHED


def _mute(stream: Any) -> None:
    """Let a reader that went away (`| head`) be the end of it, not an error of ours."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell_problems(error: SpecError) -> None:
    from pipeline import report, terminal

    color = terminal.colored(sys.stderr, os.environ)
    width = terminal.columns(sys.stderr, os.environ)
    _say(report.render(error.problems, "text", color=color, width=width))


def _tell_trouble(error: Trouble) -> None:
    from pipeline import report, terminal

    color = terminal.colored(sys.stderr, os.environ)
    _say(report.trouble(error, color=color, width=terminal.columns(sys.stderr, os.environ)))


def _tell_bug(error: BaseException) -> Exit:
    """Write a report to send, and say so in one line. The key is taken out of it."""
    from pipeline.commands.world import bug_report

    said = "".join(traceback.format_exception(error))
    path = bug_report(said, os.environ, Path.cwd())
    kind = type(error).__name__
    _say(f"banana-batch: a bug of ours ({kind}); please send the report: {path}\n")
    return Exit.BUG
