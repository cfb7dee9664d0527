"""What an image carries of where it came from, as `output.metadata` and `output.sidecar` ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.commands.batch import Batch
    from pipeline.model import Record


def facts_of(opened: Batch) -> Callable[[Record, int], Mapping[str, str]]:
    """Return what gives the facts that a job's image carries; none when none are wanted."""
    output = opened.spec.output
    wanted = output.metadata == "embed" or output.sidecar
    return _facts if wanted else lambda _record, _index: {}


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
