"""What to type next, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline import terminal
from pipeline.errors import Exit
from pipeline.lifecycle import RUNNING, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_AGAIN = {
    Status.FAILED: "Try the failed jobs again; nothing was paid for them:",
    Status.HELD: "Make the held jobs again; nobody knows whether they were paid, so each may be"
    " paid twice:",
    Status.EXPIRED: "Make the expired jobs again; each is paid a second time:",
}


class Advice(NamedTuple):
    """One thing to do: the reason, and the command that does it, quoted for the shell."""

    why: str
    command: str


def advice(
    counts: Mapping[Status, int], spec: str, options: Sequence[str], ended: Exit | None
) -> list[Advice]:
    """Return what to do about how things stand, the most useful first.

    `options` are words that every command needs to find the same results, such as `--sandbox`.
    `ended` is how the last run ended; None when that is not known or one goes on.
    """
    return list(_advice(counts, spec, options, ended))


def _advice(
    counts: Mapping[Status, int], spec: str, options: Sequence[str], ended: Exit | None
) -> Iterator[Advice]:
    if any(counts.get(status) for status in (*RUNNING, Status.PENDING)):
        why = (
            "When that is mended, go on; what is done is not done again:"
            if ended is Exit.STOPPED
            else "Go on; what is done is not done again:"
        )
        yield Advice(why, command("run", spec, *options))
    for status, why in _AGAIN.items():
        if counts.get(status):
            yield Advice(why, command("retry", spec, "--status", status.value, *options))


def command(verb: str, spec: str, *words: str) -> str:
    """Return a command line of this program to copy; a spec that looks like a flag stays a file."""
    path = f"./{spec}" if spec.startswith("-") else spec
    return terminal.command(("banana-batch", verb, path, *words))
