"""Writes the parts of docs/resume.md that are made from the table of a job's life.

Run it after a change of `pipeline/lifecycle.py`:

    python docs/make_resume.py
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.lifecycle import MEANING, STEPS, SUBMIT_OUTCOMES

PAGE = Path(__file__).parent / "resume.md"
_PART = re.compile(r"(<!-- made: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """Return the page with every made part as the table has it now."""
    parts = {
        "statuses": statuses(),
        "diagram": diagram(),
        "steps": steps(),
        "outcomes": outcomes(),
    }
    return _PART.sub(lambda found: f"{found[1]}\n{parts[found['name']]}\n{found[3]}", text)


def statuses() -> str:
    """Return the table of statuses and what each means."""
    rows = [f"| `{status}` | {meaning} |" for status, meaning in MEANING.items()]
    return "\n".join(["| status | what it means |", "|---|---|", *rows, ""])


def diagram() -> str:
    """Return the state diagram, in Mermaid."""
    arrows = [
        f"    {before or '[*]'} --> {rule.after}: {rule.step}"
        for rule in STEPS
        for before in rule.before
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *arrows, "```", ""])


def steps() -> str:
    """Return the table of legal steps."""
    rows = [
        f"| `{rule.step}` | {', '.join(f'`{one}`' if one else '(new)' for one in rule.before)}"
        f" | `{rule.after}` | {rule.meaning} |"
        for rule in STEPS
    ]
    return "\n".join(["| step | from | to | because |", "|---|---|---|---|", *rows, ""])


def outcomes() -> str:
    """Return the table of what a submit can come to."""
    rows = [
        f"| {row.submit} | {row.seen} | {row.again} | {'yes' if row.maybe_paid else 'no'}"
        f" | {f'`{row.step}`' if row.step else 'stays `submitting`'} |"
        for row in SUBMIT_OUTCOMES.values()
    ]
    head = "| what came of it | how it is seen | sent again? | maybe paid? | step |"
    return "\n".join([head, "|---|---|---|---|---|", *rows, ""])


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
