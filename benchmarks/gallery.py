"""How long a gallery of many entries takes: to write, to write again, to open, to scroll through.

    python benchmarks/gallery.py [ENTRIES]

The product's target is 5,000 entries in a browser within 3 seconds. Every entry has a picture of
its own, so the small pictures are part of the first write. Needs Pillow, Playwright and a
Chromium on PATH.
"""

from __future__ import annotations

import hashlib
import shutil
import statistics
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image as Picture
from playwright.sync_api import sync_playwright

from pipeline.gallery import publish
from pipeline.lifecycle import Status
from pipeline.model import About, Image, Record, Totals
from pipeline.money import Money, parse

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
SHAPES = ((1376, 768, "16:9"), (1024, 1024, "1:1"), (768, 1376, "9:16"), (1200, 896, "4:3"))
COST = parse("0.0336")


def record(folder: Path, number: int) -> Record:
    """Draw one picture of the usual size and return its job."""
    width, height, size = SHAPES[number % len(SHAPES)]
    drawn = BytesIO()
    colour = (number % 251, number // 251 * 12 % 256, number * 7 % 256)
    Picture.linear_gradient("L").resize((width, height)).convert("RGB").point(
        [min(255, value // 2 + part // 2) for part in colour for value in range(256)]
    ).save(drawn, "JPEG", quality=88)
    name = f"images/entry-{number:05d}.jpg"
    (folder / name).write_bytes(drawn.getvalue())
    digest = hashlib.sha256(drawn.getvalue()).hexdigest()
    began = 1_790_000_000.0 + number
    return Record(
        number=number,
        entry_id=f"entry-{number:05d}",
        image_index=1,
        images=1,
        position=number,
        active=True,
        status=Status.DOWNLOADED,
        model="gemini-3.1-flash-lite-image",
        prompt=f"Studio photo of product {number} on linen, three quarter view, soft window light",
        size=size,
        request="{}",
        references=(),
        references_as="upload",
        webhook="",
        fingerprint=digest,
        stems=(f"entry-{number:05d}",),
        tags=(f"tag-{number % 17}", "bench"),
        estimate=COST,
        attempt=1,
        task_id=f"task_{digest[:20]}",
        cost=COST,
        submitted_at=began,
        completed_at=began + 5 + number % 30,
        results=(Image(1, "", 0.0, name, len(drawn.getvalue()), digest, width, height, "jpeg"),),
    )


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "images").mkdir()
        records = [record(folder, number) for number in range(entries)]
        totals = Totals({Status.DOWNLOADED: entries}, entries, Money(COST * entries))
        about = About("bench", "bench.yaml", "", "", True, 1_790_000_000.0, "0", totals)

        def write() -> Path:
            return publish(
                folder, about, lambda: records, failures=(), spec_folder=folder, live=False
            )

        print(f"{entries:,} entries")
        print(f"first write, with small pictures  {timed(write):7.2f} s")
        print(f"written again                     {timed(write):7.2f} s")
        page = folder / "gallery.html"
        print(f"size of the page                  {page.stat().st_size / 1e6:7.2f} MB")
        browse(page)


def browse(path: Path) -> None:
    """Open the page a few times in fresh profiles and scroll through it."""
    loads, frames = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(ROUNDS):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(path.as_uri())
            loads.append(
                page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            )
            frames += page.evaluate(
                """async () => {
                const took = []; let last = performance.now();
                const step = document.documentElement.scrollHeight / 120;
                for (let turn = 0; turn < 120; turn++) {
                    scrollBy(0, step);
                    await new Promise(requestAnimationFrame);
                    const now = performance.now(); took.push(now - last); last = now;
                }
                return took; }"""
            )
            page.close()
        browser.close()
    frames.sort()
    print(f"opened (load event), median       {statistics.median(loads):7.0f} ms")
    print(f"frame while scrolling, median     {statistics.median(frames):7.1f} ms")
    print(f"frame while scrolling, slow 5%    {frames[int(len(frames) * 0.95)]:7.1f} ms")


if __name__ == "__main__":
    main()
