"""The one error handler: whatever happens becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from pipeline.cli.verbs import cli
from pipeline.errors import Exit, SpecError, Trouble


def main(arguments: list[str] | None = None) -> None:
    """Run the program and end the process with its exit code: the one error handler."""
    try:
        code = cli.main(arguments, standalone_mode=False, auto_envvar_prefix="BANANA_BATCH")
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = Exit.WRONG_INPUT
    except (click.Abort, KeyboardInterrupt):
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        _mute(sys.stdout)
        code = Exit.DONE
    except SpecError as error:
        _tell_problems(error)
        code = error.exit
    except Trouble as error:
        _tell_trouble(error)
        code = error.exit
    except Exception as error:  # noqa: BLE001 - the one broad catch of the program
        code = _tell_bug(error)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _mute(sys.stdout)
    sys.exit(int(code or 0))


def _mute(stream: Any) -> None:
    """Let a reader that went away (`| head`) be the end of it, not an error of ours."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell_problems(error: SpecError) -> None:
    from pipeline import report, terminal

    color = terminal.colored(sys.stderr, os.environ)
    width = terminal.columns(sys.stderr, os.environ)
    sys.stderr.write(report.render(error.problems, "text", color=color, width=width))


def _tell_trouble(error: Trouble) -> None:
    from pipeline import report, terminal

    color = terminal.colored(sys.stderr, os.environ)
    sys.stderr.write(
        report.trouble(error, color=color, width=terminal.columns(sys.stderr, os.environ))
    )


def _tell_bug(error: BaseException) -> Exit:
    """Write a report to send, and say so in one line. The key is taken out of it."""
    from pipeline.commands.world import bug_report

    said = "".join(traceback.format_exception(error))
    path = bug_report(said, os.environ, Path.cwd())
    kind = type(error).__name__
    sys.stderr.write(f"banana-batch: a bug of ours ({kind}); please send the report: {path}\n")
    return Exit.BUG
