"""The keyword arguments: the flags of the command line, by the same names."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pipeline.commands.run import RunOptions
from pipeline.errors import InputError
from pipeline.library.results import Plan
from pipeline.lifecycle import Status
from pipeline.planning import Choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from pipeline.clock import Clock
    from pipeline.events import Event

_SETTINGS = (
    "concurrency", "rate", "max_cost", "deadline", "patience", "check_balance", "verify", "wait",
    "download", "gallery",
)  # fmt: skip
_CHOICE = ("only", "tag", "limit", "force", "retry_failed")


class SelectWords(TypedDict, total=False):
    """What `plan` and `run` understand alike. What is not given is as the spec says."""

    only: str | Sequence[str]
    """Only entries whose id matches one of these shell patterns."""
    tag: str | Sequence[str]
    """Only entries with one of these tags."""
    limit: int
    """Only so many jobs that have something to do."""
    force: str | Sequence[str]
    """Make entries again that match, although they are unchanged."""
    retry_failed: bool
    """Start failed jobs again."""
    verify: bool
    """Read every file in full, not only its size."""
    output: str | PathLike[str]
    """Results go to this folder instead of `out/<name>`."""
    sandbox: bool
    """Rehearse against the built-in stand-in API: no key, no cost, a folder of its own."""
    environ: Mapping[str, str]
    """Instead of `os.environ`: where the key and the host are looked for."""
    clock: Clock
    """Instead of the system's clock: for tests of your own that must not wait."""


class RunWords(SelectWords, total=False):
    """What `run` understands besides."""

    concurrency: int
    """Most tasks in flight at once."""
    rate: str
    """Most submits, such as `"10/s"` or `"300/min"`."""
    max_cost: Decimal | float | str
    """Most US dollars that this run may spend."""
    deadline: str | float
    """Stop after so many seconds, or `"30m"`; the next run goes on."""
    patience: str | float
    """How long the API may be out of reach."""
    check_balance: bool
    """Refuse when the account's balance cannot cover the estimate."""
    wait: bool
    """False submits only; a later run collects."""
    download: bool
    """False leaves the images for a later run."""
    gallery: bool
    """Whether to write `gallery.html` at the end."""
    plan: Plan | str | PathLike[str]
    """Do exactly this plan, or nothing: a `Plan`, or a file of `plan --out`."""
    fault: str | Sequence[str]
    """Have the sandbox misbehave, such as `"fail=0.1"`."""
    api_key_file: str | PathLike[str]
    """A file with the key, instead of the environment."""
    progress: bool
    """Show the run on standard error, as the command line does. Off by default."""
    on_event: Callable[[Event], None]
    """Called with each event of the run, in the caller's thread; see `pipeline.events`."""


def check(words: Mapping[str, Any], known: type[SelectWords], function: str) -> None:
    """Raise `TypeError` for a keyword that is none."""
    for name in words:
        if name not in known.__annotations__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def choice_of(words: Mapping[str, Any]) -> Choice:
    """Return what the words select."""
    return Choice(
        only=several(words.get("only")),
        tags=several(words.get("tag")),
        force=several(words.get("force")),
        retry=frozenset({Status.FAILED}) if words.get("retry_failed") else frozenset(),
        limit=words.get("limit"),
    )


def run_options(source: str, words: Mapping[str, Any]) -> RunOptions:
    """Return what `run` is asked for. Raises `InputError` for words that do not go together."""
    agreed = words.get("plan")
    if agreed is not None and any(words.get(name) for name in _CHOICE):
        raise InputError(
            "the plan already says what to run",
            fix="Give the selection to plan(), and only the plan to run().",
        )
    known = agreed if isinstance(agreed, Plan) else None
    key_file = words.get("api_key_file")
    return RunOptions(
        source=source,
        choice=known.choice if known else choice_of(words),
        digest=known.digest if known else "",
        plan=None if known or agreed is None else Path(agreed),
        settings={name: _word(words.get(name)) for name in _SETTINGS},
        faults=several(words.get("fault")),
        key_file=None if key_file is None else Path(key_file),
        sandbox=bool(words.get("sandbox")),
    )


def several(words: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return one word or many as many."""
    if words is None:
        return ()
    return (words,) if isinstance(words, str) else tuple(words)


def _word(value: Any) -> Any:
    """Return a setting as the spec's schema takes it: exact amounts as plain text."""
    return f"{value:f}" if isinstance(value, Decimal) else value
