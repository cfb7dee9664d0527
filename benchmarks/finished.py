"""Seconds that a run of a finished spec takes, when there is nothing to do.

    python benchmarks/finished.py [ENTRIES]

The spec is staged by a run that makes one image; all other jobs are then written as finished
through the state file's own door, with hard links to a few images as their files.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from pathlib import Path

from bench import SPEC, write_rows
from measure import TOOL, run, verdict
from stand_in import Missing, serving

from pipeline.lifecycle import Status, Step
from pipeline.model import Image, Record
from pipeline.state import Book, Change, Store, change

TARGET = 15.0
"""Seconds for 100,000 entries: as long as a plan of them may take."""
_LINKS = 30_000
"""Hard links to one file; common file systems allow a little more than twice that."""
_PAGE = 5_000


def main(entries: int) -> int:
    """Print the seconds of a run with nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx reads the image as itself
        write_rows(folder / "rows.csv", entries)
        (folder / "spec.yaml").write_text(SPEC, encoding="utf-8")
        (folder / "served").mkdir()
        with serving(folder / "served") as stand_in:
            environ = {"APIMART_API_KEY": "sk-benchmark", "APIMART_BASE_URL": stand_in.plain}
            words = [TOOL, "run", "spec.yaml", "--no-gallery"]
            run([*words, "--limit", "1"], cwd=folder, environ=environ)
            finish(folder / "out" / "bench", stand_in.image)
            run(words, cwd=folder, environ=environ)  # writes the manifest of what is there now
            cost, _ = run(words, cwd=folder, environ=environ)
    return verdict(
        f"run of {entries:,} finished entries, peak memory {cost.peak / 1e6:.0f} MB",
        f"{cost.wall:.1f} s", f"{TARGET:g} s for 100,000",
        reached=cost.wall < max(TARGET * entries / 100_000, 1.0),
    )  # fmt: skip


def finish(folder: Path, picture: bytes) -> None:
    """Write every pending job of a state file as downloaded, and its file beside it."""
    book, store = Book(folder / "state.sqlite"), Store(folder / "state.sqlite")
    known = Image(
        1, "https://example.com/image.jpg", file="", bytes=len(picture),
        sha256=sha256(picture).hexdigest(), width=1024, height=1024, format="JPEG",
    )  # fmt: skip
    jobs = iter([one for one in book.active() if one.status is Status.PENDING])
    number = 0
    while page := list(islice(jobs, _PAGE)):
        changes: list[Change] = []
        for one in page:
            file = f"images/{one.stems[0]}.jpg"
            original = folder / f"original-{number // _LINKS}.jpg"
            if number % _LINKS == 0:
                original.write_bytes(picture)
            os.link(original, folder / file)
            changes += life(one, replace(known, file=file))
            number += 1
        store.write(changes)
    book.close()
    store.close()


def life(record: Record, image: Image) -> list[Change]:
    """Return the steps that take a pending job to its file."""
    steps = [change(record, Step.INTEND, 1e9, key=f"key-{record.number}", attempt=1, sends=1)]
    for step, fields in (
        (Step.ACCEPT, {"task_id": f"task-{record.number}", "submitted_at": 1e9}),
        (Step.COMPLETE, {"cost": record.estimate, "completed_at": 1e9, "results": (image,)}),
        (Step.DOWNLOAD, {"results": (image,)}),
    ):
        steps.append(change(steps[-1].after, step, 1e9, **fields))
    return steps


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
    except Missing as missing:
        sys.exit(str(missing))
