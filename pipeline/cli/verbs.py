"""The commands: their words, and the function of `commands` that each one calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline import __version__
from pipeline.cli.options import (
    FORMATS,
    choice,
    chosen,
    faults,
    key_file,
    paced,
    run_options,
    shown,
    where,
    world,
)
from pipeline.errors import EXIT_MEANING

_EXITS = "\b\nExit codes:\n" + "\n".join(
    f"  {code.value:>3}  {meaning}" for code, meaning in EXIT_MEANING.items()
)
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_STOPPED = click.Choice(["failed", "held", "expired"])
_STATUSES = click.Choice(
    ["pending", "submitting", "submitted", "completed", "downloaded", "failed", "held", "expired"]
)


class ReaderGone(Exception):
    """Whoever read standard output has gone (`| head`). No `OSError`: click ends on those."""


class _Program(click.Group):
    """The whole command line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises `ReaderGone` where it met a broken pipe."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error


@click.group(cls=_Program, epilog=_EXITS, context_settings=_HELP)
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


@cli.command(epilog=_EXITS)
@click.argument("spec")
@chosen
@paced
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
@where
@faults
@key_file
@shown
def run(**words: Any) -> int:
    """Make what SPEC asks for. Resumes by itself; what is there costs nothing."""
    if words.pop("dry_run"):
        return _plan(words)
    from pipeline.commands import run as command

    selected = choice(words)
    words["webhook"] = {name: words[name] for name in ("listen", "public_url") if words[name]}
    more = ("check_balance", "verify", "wait", "download", "gallery", "webhook")
    return command.run(
        world(), run_options(words, choice=selected, plan=words["plan"], settings=more)
    )


@cli.command()
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.option(
    "--format",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="How problems are written; github: as workflow annotations.",
)
@click.option("-q", "--quiet", is_flag=True, help="Nothing but problems.")
def validate(specs: tuple[str, ...], format: str, quiet: bool) -> int:
    """Say everything that is wrong with each SPEC. Needs no key and no network."""
    from pipeline.commands import validate as command

    return command.validate(world(), specs, format=format, quiet=quiet)


@cli.command()
@click.argument("spec")
@chosen
@click.option("--verify", is_flag=True, help="Read every file in full, not only its size.")
@click.option("--explain", metavar="ID", help="Why will this entry run again?")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the plan, for `run --plan`.",
)
@click.option("--format", type=FORMATS, default="text", help="For people, or for programs.")
@where
def plan(**words: Any) -> int:
    """Tell what a run of SPEC would do, why, and what it may cost. No key, no network."""
    return _plan(words)


def _plan(words: dict[str, Any]) -> int:
    from pipeline.commands import plan as command

    options = command.PlanOptions(
        source=words["spec"],
        choice=choice(words),
        output=words["output"],
        sandbox=words["sandbox"],
        verify=bool(words.get("verify")),
        explain=words.get("explain"),
        out=words.get("out"),
        format=words["format"],
    )
    return command.plan(world(), options)


@cli.command()
@click.argument("spec", required=False)
@click.option("--watch", is_flag=True, help="Follow a run until it ends.")
@click.option("--format", type=FORMATS, default="text", help="For people, or for programs.")
@where
def status(spec: str | None, watch: bool, format: str, output: str | None, sandbox: bool) -> int:
    """Show how SPEC stands: how far, how much, what went wrong. Without SPEC, all runs here."""
    from pipeline.commands import status as command

    return command.status(world(), spec, format=format, watch=watch, sandbox=sandbox, output=output)


@cli.command()
@click.argument("spec")
@click.option(
    "--format",
    type=click.Choice(["csv", "json", "jsonl", "parquet"]),
    default=None,
    help="Export in this format; csv and json, beside the images, if not given.",
)
@click.option("-o", "--out", metavar="FILE", help="Where to; - is standard output.")
@click.option("--status", type=_STATUSES, multiple=True, help="Only jobs that stand here.")
@click.option("--columns", metavar="A,B,…", help="Only these columns, in this order.")
@where
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
    return command.manifest(world(), options)


@cli.command()
@click.argument("spec")
@click.option("--watch", is_flag=True, help="Write it again while a run goes on.")
@where
def gallery(spec: str, watch: bool, output: str | None, sandbox: bool) -> int:
    """Write one self-contained page to look at the results of SPEC."""
    from pipeline.commands import gallery as command

    return command.gallery(world(), spec, watch=watch, sandbox=sandbox, output=output)


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
@paced
@where
@faults
@key_file
@shown
def retry(**words: Any) -> int:
    """Start failed, held or expired jobs of SPEC again; says first what it may cost."""
    from pipeline.commands import retry as command

    only, statuses, yes = words.pop("only"), words.pop("status"), words.pop("yes")
    return command.retry(world(), run_options(words), only=only, statuses=statuses, yes=yes)


@cli.command()
@click.argument("folder", metavar="[DIR]", default=".")
def init(folder: str) -> int:
    """Write a first spec to edit, and what belongs beside it."""
    from pipeline.commands import init as command

    return command.init(world(), folder)


@cli.command()
@click.argument("name", required=False)
def schema(name: str | None) -> int:
    """Print the JSON Schema NAME: spec, manifest, or a model. Without NAME, list them."""
    from pipeline.commands import look

    return look.print_schema(world(), name) if name else look.print_schema_names(world())


@cli.group(invoke_without_command=True)
@click.option("--folder", metavar="DIR", help="Also the model files in this folder.")
@click.option("--format", type=FORMATS, default="text", help="For people, or for programs.")
@click.pass_context
def models(context: click.Context, folder: str | None, format: str) -> int:
    """List the known models with their limits and prices."""
    if context.invoked_subcommand is not None:
        return 0
    from pipeline.commands import look

    return look.print_models(world(), format=format, folder=folder)


@models.command("add")
@click.argument("name")
@click.option("--folder", metavar="DIR", help="The file goes here instead of models/.")
@click.option("--spec", metavar="SPEC", help="The file goes to the `models:` folder of this spec.")
@key_file
def models_add(name: str, folder: str | None, spec: str | None, api_key_file: Path | None) -> int:
    """Write a model file for NAME from the API's own schema, for you to review."""
    from pipeline.commands import models as command

    return command.add(world(), name, folder=folder, source=spec, key_file=api_key_file)


@cli.command()
@key_file
@click.option("--format", type=FORMATS, default="text", help="For people, or for programs.")
def balance(api_key_file: Path | None, format: str) -> int:
    """Ask the API how much money the account has."""
    from pipeline.commands import look

    return look.print_balance(world(), key_file=api_key_file, format=format)


@cli.command()
@click.argument("spec", required=False)
@key_file
@where
def doctor(spec: str | None, api_key_file: Path | None, output: str | None, sandbox: bool) -> int:
    """Check the set-up, and the state file of SPEC. Changes nothing, sends nothing."""
    from pipeline.commands import doctor as command

    return command.doctor(world(), spec, sandbox=sandbox, output=output, key_file=api_key_file)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8787,
    show_default=True,
    help="Port to serve on; 0 is any free one.",
)
@click.option(
    "--ledger", type=click.Path(path_type=Path), metavar="FILE", help="Remember tasks here."
)
@faults
def sandbox(host: str, port: int, ledger: Path | None, fault: tuple[str, ...]) -> int:
    """Serve the stand-in API: it speaks the wire format, draws placeholders, bills nobody."""
    from pipeline.commands import sandbox as command

    return command.sandbox(world(), host=host, port=port, faults=fault, ledger=ledger)
