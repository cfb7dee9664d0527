"""How much of an undisclosed limit a run uses, and how often it is refused.

    python benchmarks/rate.py
    python benchmarks/rate.py --rates 100 --kinds window --seconds 40

A sandbox in a process of its own answers submits above its limit with 429 and tells nobody the
limit. A real run with a state file of its own, that remembers nothing of earlier runs, works
against it for about `--seconds`. What was accepted and when is read from the sandbox's ledger.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ledgers import environ, ledger, sandbox, write_spec
from measure import TOOL, machine, run, verdict

_START = 15.0
"""Seconds in which the limit is to be found."""
_USED, _REFUSED = 0.90, 0.05


@dataclass(frozen=True, slots=True)
class Figure:
    """Shares of what was allowed: in the first seconds, and after them; and of refused submits."""

    first: float
    later: float
    refused: float
    seconds: float


def measured(rate: int, kind: str, options: argparse.Namespace) -> Figure:
    """Run once against a limit of `rate` requests a second."""
    faults = (f"rate={rate}", f"rate_kind={kind}", f"latency={options.latency}")
    with tempfile.TemporaryDirectory(prefix="rate-") as name, sandbox(*faults) as url:
        folder = Path(name)
        write_spec(folder, round(rate * options.seconds))
        words = [TOOL, "run", "spec.yaml", "--quiet", "--no-gallery"]
        run([*words, "--concurrency", str(options.concurrency)], cwd=folder, environ=environ(url))
        return figure(ledger(url), rate, kind)


def figure(book: dict, rate: int, kind: str) -> Figure:
    """Work the shares out. The last second is left out: by then hardly anything is left to send."""
    times = sorted(task["accepted_at"] for task in book["tasks"])
    begin, end = times[0], times[-1] - 1
    later = [one for one in times if begin + _START <= one < end]
    burst = rate if kind == "bucket" else 0  # full at the start
    sent = book["requests"]["submit"]
    return Figure(
        first=sum(one < begin + _START for one in times) / (rate * _START + burst),
        later=len(later) / (rate * (end - begin - _START)),
        refused=book["requests"]["refused_429"] / sent,
        seconds=end + 1 - begin,
    )


def main() -> int:
    """Print a line for each limit; returns 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=int, nargs="+", default=[20, 100, 400])
    parser.add_argument(
        "--kinds", nargs="+", choices=["window", "bucket"], default=["window", "bucket"]
    )
    parser.add_argument("--seconds", type=float, default=45.0, help="as long as the limit allows")
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--latency", default="0.02-0.04", help="of the sandbox's answers")
    options = parser.parse_args()
    print("\n".join(machine()))
    missed = 0
    for rate in options.rates:
        for kind in options.kinds:
            found = measured(rate, kind, options)
            missed |= verdict(
                f"{rate}/s, {kind}",
                f"{found.later:.1%} used after {_START:.0f} s, {found.first:.1%} before,"
                f" {found.refused:.1%} refused, {found.seconds:.0f} s",
                f"{_USED:.0%} used, at most {_REFUSED:.0%} refused",
                reached=found.later >= _USED and found.refused <= _REFUSED,
            )
            sys.stdout.flush()
    return missed


if __name__ == "__main__":
    sys.exit(main())
