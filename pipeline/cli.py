"""Words to values: the command line, the environment, and the one error handler."""

from __future__ import annotations

import os
import random
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import __version__
from pipeline.errors import EXIT_MEANING, Exit, SpecError, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.commands.run import RunOptions
    from pipeline.commands.world import World
    from pipeline.plan import Choice

    _Command = Callable[..., Any]
    _Decorator = Callable[[_Command], _Command]

_EXITS = "\b\nExit codes:\n" + "\n".join(
    f"  {code.value:>3}  {meaning}" for code, meaning in EXIT_MEANING.items()
)
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_FORMATS = click.Choice(["text", "json"])
_STOPPED = click.Choice(["failed", "held", "expired"])
_STATUSES = click.Choice(
    ["pending", "submitting", "submitted", "completed", "downloaded", "failed", "held", "expired"]
)


@click.group(epilog=_EXITS, context_settings=_HELP)
@click.version_option(__version__, prog_name="banana-batch")
def cli() -> None:
    """Make images in batches from a YAML spec: resumable, never paid twice.

    \b
      banana-batch init my-images          a first spec to edit
      banana-batch validate spec.yaml      everything wrong with it, before a cent is spent
      banana-batch plan spec.yaml          what would be done, and what it may cost
      banana-batch run spec.yaml           do it; run it again to go on

    Every option can be set by an environment variable: BANANA_BATCH_<COMMAND>_<OPTION>, such as
    BANANA_BATCH_RUN_CONCURRENCY. A flag beats the environment, which beats the spec.
    """


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


def _world() -> World:
    from pipeline.clock import SystemClock
    from pipeline.commands.world import World

    return World(
        environ=os.environ,
        cwd=Path.cwd(),
        stdin=sys.stdin.buffer,
        stdout=sys.stdout,
        stderr=sys.stderr,
        clock=SystemClock(),
        dice=random.Random(),
    )


# ── options that several commands share ─────────────────────────────────────────────────────


def _all(*decorators: _Decorator) -> _Decorator:
    """Put several click decorators on a command, in the order they are read."""

    def decorate(command: _Command) -> _Command:
        for one in reversed(decorators):
            command = one(command)
        return command

    return decorate


_where = _all(
    click.option("--output", metavar="DIR", help="Results go here instead of out/<name>."),
    click.option("--sandbox", is_flag=True, help="Rehearse against the built-in stand-in API."),
)
_chosen = _all(
    click.option("--only", metavar="GLOB", multiple=True, help="Only entries whose id matches."),
    click.option("--tag", metavar="TAG", multiple=True, help="Only entries with this tag."),
    click.option(
        "--limit", type=click.IntRange(min=0), metavar="N", help="Only the first N jobs to do."
    ),
    click.option("--force", metavar="GLOB", multiple=True, help="Make again although unchanged."),
    click.option("--retry-failed", is_flag=True, default=None, help="Start failed jobs again."),
)
_key_file = click.option(
    "--api-key-file", type=click.Path(path_type=Path), metavar="FILE", help="A file with the key."
)
_faults = click.option(
    "--fault",
    metavar="NAME=VALUE",
    multiple=True,
    help="Have the sandbox misbehave, e.g. latency=0.2, fail=0.1, rate=20.",
)
_paced = _all(
    click.option("--concurrency", type=int, metavar="N", help="Most tasks in flight at once."),
    click.option("--rate", metavar="10/s", help="Most submits per s, min or h."),
    click.option("--max-cost", metavar="USD", help="Most dollars this run may spend."),
    click.option("--deadline", metavar="30m", help="Stop after this long; the next run goes on."),
    click.option("--patience", metavar="5m", help="How long the API may be out of reach."),
)
_shown = _all(
    click.option("-q", "--quiet", is_flag=True, help="Nothing but errors."),
    click.option("-v", "--verbose", is_flag=True, help="Say more, such as every retry."),
    click.option("--progress/--no-progress", default=None, help="A bar, or plain lines."),
    click.option(
        "--log-format", type=_FORMATS, default="text", help="How standard error is written."
    ),
    click.option(
        "--format", type=_FORMATS, default="text", help="How the closing summary is written."
    ),
)


def _choice(words: dict[str, Any]) -> Choice:
    from pipeline.lifecycle import Status
    from pipeline.plan import Choice

    retry = frozenset({Status.FAILED}) if words.pop("retry_failed") else frozenset()
    return Choice(
        only=words.pop("only"),
        tags=words.pop("tag"),
        force=words.pop("force"),
        retry=retry,
        limit=words.pop("limit"),
    )


def _run_options(words: dict[str, Any], **more: Any) -> RunOptions:
    from pipeline.commands.run import RunOptions

    settings = (
        "concurrency",
        "rate",
        "max_cost",
        "deadline",
        "patience",
        *more.pop("settings", ()),
    )
    return RunOptions(
        source=words["spec"],
        settings={name: words.get(name) for name in settings},
        output=words["output"],
        sandbox=words["sandbox"],
        faults=words["fault"],
        key_file=words["api_key_file"],
        quiet=words["quiet"],
        verbose=words["verbose"],
        progress=words["progress"],
        log_format=words["log_format"],
        format=words["format"],
        **more,
    )


# ── commands ────────────────────────────────────────────────────────────────────────────────


@cli.command(epilog=_EXITS)
@click.argument("spec")
@_chosen
@_paced
@click.option(
    "--check-balance", is_flag=True, default=None, help="Refuse when it cannot cover the estimate."
)
@click.option(
    "--verify", is_flag=True, default=None, help="Read every file in full, not only its size."
)
@click.option(
    "--wait/--no-wait", default=None, help="--no-wait submits only; a later run collects."
)
@click.option(
    "--download/--no-download", default=None, help="--no-download leaves images for a later run."
)
@click.option("--gallery/--no-gallery", default=None, help="Write gallery.html at the end.")
@click.option(
    "--plan", type=click.Path(path_type=Path), metavar="FILE", help="Do exactly this approved plan."
)
@click.option("--dry-run", is_flag=True, help="Only tell the plan.")
@click.option("--listen", metavar="HOST:PORT", help="Receive the platform's callbacks here.")
@click.option("--public-url", metavar="URL", help="The public address that leads to --listen.")
@_where
@_faults
@_key_file
@_shown
def run(**words: Any) -> int:
    """Make what SPEC asks for. Resumes by itself; what is there costs nothing."""
    if words.pop("dry_run"):
        return _plan(words)
    from pipeline.commands import run as command

    choice = _choice(words)
    if words["listen"] or words["public_url"]:
        listen = words["listen"] or ""
        words["webhook"] = {
            "listen": listen,
            "public_url": words["public_url"] or f"http://{listen}",
        }
    more = ("check_balance", "verify", "wait", "download", "gallery", "webhook")
    return command.run(
        _world(), _run_options(words, choice=choice, plan=words["plan"], settings=more)
    )


@cli.command()
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.option("--format", type=click.Choice(["text", "json", "github"]), default="text")
@click.option("-q", "--quiet", is_flag=True, help="Nothing but problems.")
def validate(specs: tuple[str, ...], format: str, quiet: bool) -> int:
    """Say everything that is wrong with each SPEC. Needs no key and no network."""
    from pipeline.commands import validate as command

    return command.validate(_world(), specs, format=format, quiet=quiet)


@cli.command()
@click.argument("spec")
@_chosen
@click.option("--verify", is_flag=True, help="Read every file in full, not only its size.")
@click.option("--explain", metavar="ID", help="Why will this entry run again?")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the plan, for `run --plan`.",
)
@click.option("--format", type=_FORMATS, default="text")
@_where
def plan(**words: Any) -> int:
    """Tell what a run of SPEC would do, why, and what it may cost. No key, no network."""
    return _plan(words)


def _plan(words: dict[str, Any]) -> int:
    from pipeline.commands import plan as command

    options = command.PlanOptions(
        source=words["spec"],
        choice=_choice(words),
        output=words["output"],
        sandbox=words["sandbox"],
        verify=bool(words.get("verify")),
        explain=words.get("explain"),
        out=words.get("out"),
        format=words["format"],
    )
    return command.plan(_world(), options)


@cli.command()
@click.argument("spec", required=False)
@click.option("--watch", is_flag=True, help="Follow a run until it ends.")
@click.option("--format", type=_FORMATS, default="text")
@_where
def status(spec: str | None, watch: bool, format: str, output: str | None, sandbox: bool) -> int:
    """Show how SPEC stands: how far, how much, what went wrong. Without SPEC, all runs here."""
    from pipeline.commands import status as command

    return command.status(
        _world(), spec, format=format, watch=watch, sandbox=sandbox, output=output
    )


@cli.command()
@click.argument("spec")
@click.option("--format", type=click.Choice(["csv", "json", "jsonl", "parquet"]), default=None)
@click.option("-o", "--out", metavar="FILE", help="Where to; - is standard output.")
@click.option("--status", type=_STATUSES, multiple=True, help="Only jobs that stand here.")
@click.option("--columns", metavar="A,B,…", help="Only these columns, in this order.")
@_where
def manifest(**words: Any) -> int:
    """Write the manifest of SPEC again from its state file."""
    from pipeline.commands import manifest as command

    columns = tuple(one.strip() for one in (words["columns"] or "").split(",") if one.strip())
    options = command.ManifestOptions(
        source=words["spec"],
        format=words["format"],
        out=words["out"],
        status=words["status"],
        columns=columns,
        output=words["output"],
        sandbox=words["sandbox"],
    )
    return command.manifest(_world(), options)


@cli.command()
@click.argument("spec")
@click.option("--watch", is_flag=True, help="Write it again while a run goes on.")
@_where
def gallery(spec: str, watch: bool, output: str | None, sandbox: bool) -> int:
    """Write one self-contained page to look at the results of SPEC."""
    from pipeline.commands import gallery as command

    return command.gallery(_world(), spec, watch=watch, sandbox=sandbox, output=output)


@cli.command(epilog=_EXITS)
@click.argument("spec")
@click.option("--only", metavar="GLOB", multiple=True, help="Only entries whose id matches.")
@click.option(
    "--status",
    type=_STOPPED,
    multiple=True,
    help="Only jobs that stand here; all three if not given.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before paying.")
@_paced
@_where
@_faults
@_key_file
@_shown
def retry(**words: Any) -> int:
    """Start failed, held or expired jobs of SPEC again; says first what it may cost."""
    from pipeline.commands import retry as command

    only, statuses, yes = words.pop("only"), words.pop("status"), words.pop("yes")
    return command.retry(_world(), _run_options(words), only=only, statuses=statuses, yes=yes)


@cli.command()
@click.argument("folder", metavar="[DIR]", default=".")
def init(folder: str) -> int:
    """Write a first spec to edit, and what belongs beside it."""
    from pipeline.commands import init as command

    return command.init(_world(), folder)


@cli.command()
@click.argument("name", required=False)
def schema(name: str | None) -> int:
    """Print the JSON Schema NAME: spec, manifest, or a model. Without NAME, list them."""
    from pipeline.commands import look

    return look.print_schema(_world(), name) if name else look.print_schema_names(_world())


@cli.command()
@click.option("--folder", metavar="DIR", help="Also the model files in this folder.")
@click.option("--format", type=_FORMATS, default="text")
def models(folder: str | None, format: str) -> int:
    """List the known models with their limits and prices."""
    from pipeline.commands import look

    return look.print_models(_world(), format=format, folder=folder)


@cli.command()
@_key_file
@click.option("--format", type=_FORMATS, default="text")
def balance(api_key_file: Path | None, format: str) -> int:
    """Ask the API how much money the account has."""
    from pipeline.commands import look

    return look.print_balance(_world(), key_file=api_key_file, format=format)


@cli.command()
@click.argument("spec", required=False)
@_key_file
@_where
def doctor(spec: str | None, api_key_file: Path | None, output: str | None, sandbox: bool) -> int:
    """Check the set-up, and the state file of SPEC. Changes nothing, sends nothing."""
    from pipeline.commands import doctor as command

    return command.doctor(_world(), spec, sandbox=sandbox, output=output, key_file=api_key_file)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True)
@click.option(
    "--ledger", type=click.Path(path_type=Path), metavar="FILE", help="Remember tasks here."
)
@_faults
def sandbox(host: str, port: int, ledger: Path | None, fault: tuple[str, ...]) -> int:
    """Serve the stand-in API: it speaks the wire format, draws placeholders, bills nobody."""
    from pipeline.commands import sandbox as command

    return command.sandbox(_world(), host=host, port=port, faults=fault, ledger=ledger)


if __name__ == "__main__":
    main()
