"""A plan told to people and to programs: folded for a terminal, whole as JSON, sealed by a digest.

The digest covers what would be done with every job, in order; `run --plan` refuses when it is
another one than was approved.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline import money, terminal
from pipeline.errors import InputError
from pipeline.lifecycle import Status
from pipeline.model import Action
from pipeline.planning import Choice, Tally, pays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pipeline.model import Item, Job

_SHOWN = 10
"""Lines of one action before the rest is folded into a count."""

_ORDER = (
    Action.NEW, Action.CHANGED, Action.FORCED, Action.RETRY, Action.RESUME, Action.FETCH,
    Action.RESTORED, Action.RENAMED, Action.LEFT, Action.REMOVED, Action.UNCHANGED,
)  # fmt: skip

_SIGNS = {
    Action.NEW: "+",
    Action.CHANGED: "~",
    Action.FORCED: "~",
    Action.RETRY: "~",
    Action.RESUME: ">",
    Action.FETCH: "v",
    Action.RESTORED: "<",
    Action.RENAMED: "=",
    Action.LEFT: "!",
    Action.REMOVED: "-",
    Action.UNCHANGED: " ",
}

_STYLES = {"+": "green", "~": "yellow", ">": "cyan", "v": "cyan", "!": "red", "-": "dim"}


def check_choice(tally: Tally, choice: Choice) -> None:
    """Raise `InputError` when what the user asked for names nothing: a slip, told at once."""
    asked = [f"--only {one}" for one in choice.only] + [f"--tag {one}" for one in choice.tags]
    if asked and not tally.chosen and choice.limit is None and not choice.only_retried:
        raise InputError(
            f"no entry matches {' and '.join(asked)}",
            why=f"The spec has {tally.left_out:,} jobs, and none was chosen.",
            fix="Patterns are matched with the whole id; a star stands for anything: 'mug-*'.",
        )
    made_again = sum(
        tally.actions.get(one, 0)
        for one in (Action.FORCED, Action.RETRY, Action.RESUME, Action.NEW, Action.CHANGED)
    )
    if choice.force and not made_again:
        raise InputError(
            f"no entry matches --force {' --force '.join(choice.force)}",
            fix="Patterns are matched with the whole id; a star stands for anything: 'mug-*'.",
        )


@dataclass(slots=True)
class Outline:
    """Takes a plan in while it streams by: its digest, its counts, a few lines of each action."""

    tally: Tally = field(default_factory=Tally)
    shown: dict[Action, list[Item]] = field(default_factory=dict)
    _hash: Any = field(default_factory=hashlib.sha256)

    @property
    def digest(self) -> str:
        """What seals the plan, complete once every item was watched."""
        return str(self._hash.hexdigest())

    def watch(self, items: Iterable[tuple[Item, bool]]) -> Iterator[tuple[Item, bool]]:
        """Pass a plan's items through."""
        for item, chosen in items:
            self.tally.count(item, chosen)
            if chosen or item.job is None:
                few = self.shown.setdefault(item.action, [])
                if len(few) < _SHOWN:
                    few.append(item)
            if chosen:
                self._hash.update(f"{item.action}\n{name_of(item)}\n{_picture(item)}\n".encode())
            yield item, chosen


def name_of(item: Item) -> str:
    """Return a job's name for people: its entry's id, numbered from the second image on."""
    one = item.job or item.record
    assert one is not None  # noqa: S101 - an item has a job, a record, or both
    return one.entry_id if one.image_index == 1 else f"{one.entry_id} #{one.image_index}"


def _picture(item: Item) -> str:
    return item.job.fingerprint if item.job else ""


def text(
    outline: Outline, *, name: str, spec: str, pace: tuple[int, float], columns: int, color: bool
) -> str:
    """Tell a plan to people. `pace` is jobs finished by past runs and the seconds they took."""
    lines = [f"Plan for {terminal.clean(name)} ({terminal.clean(spec)})", ""]
    for action in _ORDER:
        count = outline.tally.actions.get(action, 0)
        if not count:
            continue
        lines.append(f"  {action.value:<10} {count:>7,}")
        if action is not Action.UNCHANGED:
            lines += _few(outline.shown.get(action, []), count, columns, color)
    if outline.tally.left_out:
        lines.append(f"  {'not chosen':<10} {outline.tally.left_out:>7,}")
    elif not outline.tally.actions:
        lines.append("  nothing: the spec has no entries")
    return "\n".join([*lines, "", *_money(outline.tally, pace), ""])


def _few(items: list[Item], count: int, columns: int, color: bool) -> list[str]:
    lines = []
    wide = min(
        32, max((terminal.width(terminal.clean(name_of(item))) for item in items), default=0)
    )
    for item in items:
        sign = _SIGNS[item.action]
        name = terminal.pad(terminal.cut(terminal.clean(name_of(item)), wide), wide)
        price = money.display(item.job.estimate) if pays(item) and item.job else ""
        reason = "" if item.reason == item.action.value else item.reason
        line = f"    {sign} {name}  {price:<8} {terminal.clean(reason)}".rstrip()
        lines.append(terminal.paint(terminal.cut(line, columns), _STYLES.get(sign, ""), color))
    if count > len(items):
        lines.append(f"      and {count - len(items):,} more")
    return lines


def _money(tally: Tally, pace: tuple[int, float]) -> list[str]:
    if not tally.todo:
        return ["Nothing to do: everything selected is there."]
    said = [
        f"To pay for: {_jobs(tally.to_pay)}, about {money.display(tally.estimate)} (an estimate)"
    ]
    if tally.to_fetch:
        said.append(f"To fetch for free: {_jobs(tally.to_fetch)}")
    going = tally.todo - tally.to_pay - tally.to_fetch
    if going:
        said.append(f"To go on with, already sent: {_jobs(going)}")
    finished, seconds = pace
    if finished:
        took = terminal.duration(tally.todo * seconds / finished)
        said.append(f"Time: about {took}, at the pace of earlier runs")
    return said


def _jobs(count: int) -> str:
    return f"{count:,} job" if count == 1 else f"{count:,} jobs"


# ── for programs ────────────────────────────────────────────────────────────────────────────


def data(item: Item, chosen: bool) -> dict[str, Any]:
    """Return one item of a plan as plain data."""
    one = item.job or item.record
    assert one is not None  # noqa: S101 - an item has a job, a record, or both
    return {
        "entry_id": one.entry_id,
        "image_index": one.image_index,
        "action": item.action.value,
        "reason": item.reason,
        "selected": chosen,
        "pays": chosen and pays(item),
        "estimate_usd": money.text(one.estimate),
        "fingerprint": one.fingerprint,
        "task_id": item.record.task_id if item.record else "",
    }


def summary(outline: Outline) -> dict[str, Any]:
    """Return a plan's totals as plain data."""
    return {
        "actions": {action.value: count for action, count in outline.tally.actions.items()},
        "jobs_not_chosen": outline.tally.left_out,
        "jobs_to_pay": outline.tally.to_pay,
        "jobs_to_fetch": outline.tally.to_fetch,
        "jobs_to_do": outline.tally.todo,
        "estimate_usd": money.text(outline.tally.estimate),
        "digest": outline.digest,
    }


def document(
    items: Iterable[tuple[Item, bool]], outline: Outline, head: dict[str, Any], choice: Choice
) -> Iterator[str]:
    """Yield a whole plan as the text of one JSON object, piece by piece."""
    opening = {"version": 1, **head, "choice": _choice_data(choice)}
    yield json.dumps(opening, ensure_ascii=False)[:-1] + ', "items": ['
    comma = "\n"
    for item, chosen in outline.watch(items):
        yield comma + json.dumps(data(item, chosen), ensure_ascii=False)
        comma = ",\n"
    yield '\n], "summary": ' + json.dumps(summary(outline)) + "}\n"


def _choice_data(choice: Choice) -> dict[str, Any]:
    return {**asdict(choice), "retry": sorted(choice.retry)}


def approved(path: Path) -> tuple[Choice, str]:
    """Read a plan that `plan --out` wrote: what was chosen, and its digest.

    Raises `InputError` when the file is none.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        choice = told["choice"]
        return (
            Choice(
                tuple(choice["only"]),
                tuple(choice["tags"]),
                tuple(choice["force"]),
                frozenset(Status(word) for word in choice["retry"]),
                choice["limit"],
            ),
            str(told["summary"]["digest"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a plan: {error}",
            fix="Make one with\n  banana-batch plan SPEC --out plan.json",
        ) from error


# ── why will this run again? ────────────────────────────────────────────────────────────────


def explain(items: Iterable[Item], *, columns: int) -> str:
    """Answer "why will this run again?": what was asked then and now, field by field."""
    blocks = []
    for item in items:
        lines = [
            f"{terminal.clean(name_of(item))}: {item.action.value} ({terminal.clean(item.reason)})"
        ]
        rows = _fields(item)
        wide = max(len(name) for name, _, _ in rows)
        for name, then, now in rows:
            mark = " " if then == now else "≠"
            lines.append(f"  {mark} {name:<{wide}}  then  {_cell(then, columns - wide - 12)}")
            lines.append(f"    {'':<{wide}}  now   {_cell(now, columns - wide - 12)}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _cell(value: str, columns: int) -> str:
    return terminal.cut(terminal.clean(value), max(columns, 10)) if value else "(nothing)"


def _fields(item: Item) -> list[tuple[str, str, str]]:
    then = _asked(item.record)
    now = _asked(item.job)
    return [(name, then.get(name, ""), now.get(name, "")) for name in sorted({*then, *now})]


def _asked(one: Job | Any) -> dict[str, str]:
    """Return what determines a job's picture, by name; nothing for no job."""
    if one is None:
        return {}
    told = {name: str(value) for name, value in json.loads(one.request).items()}
    told |= {
        f"reference {number}": f"{ref.source} {ref.identity}"
        for number, ref in enumerate(one.references, 1)
    }
    return {**told, "image": str(one.image_index), "fingerprint": one.fingerprint}
