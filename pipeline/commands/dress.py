"""What an image carries of where it came from, as `output.metadata` and `output.sidecar` ask."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline import __version__, metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.commands.batch import Batch
    from pipeline.model import Record

    Dressed = tuple[Callable[[bytes], bytes] | None, bytes]


def dresser(opened: Batch) -> Callable[[Record, int], Dressed]:
    """Return what gives, for a job's image, the change to its bytes and its sidecar's text."""
    output = opened.spec.output

    def dress(record: Record, index: int) -> Dressed:
        if output.metadata != "embed" and not output.sidecar:
            return None, b""
        facts = _facts(record, index)
        change = partial(metadata.embed, facts=facts) if output.metadata == "embed" else None
        return change, metadata.sidecar(facts) if output.sidecar else b""

    return dress


def _facts(record: Record, index: int) -> dict[str, str]:
    return {
        "prompt": record.prompt,
        "model": record.model,
        "task_id": record.task_id,
        "fingerprint": record.fingerprint,
        "entry_id": record.entry_id,
        "image_index": str(record.image_index + index - 1),
        "tool": f"banana-batch {__version__}",
    }
