"""One page to look at the results: opens from disk, needs no server, no network, no script.

`cards` turns records into what the page shows, `thumbs` makes the small pictures, `charts` the
drawings in the header, `page` puts them into `page.html.jinja` with `gallery.css` and
`gallery.js` inlined. Everything that comes from a spec or from the API is text in the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.gallery import cards, page
from pipeline.gallery import thumbs as small
from pipeline.gallery.files import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pipeline.model import About, Failure, Record


def publish(
    folder: Path,
    about: About,
    records: Callable[[], Iterable[Record]],
    *,
    failures: Sequence[Failure],
    spec_folder: Path,
    live: bool,
    thumbs: bool = True,
) -> Path:
    """Write `folder/gallery.html` in one step and return its path.

    `records` gives the jobs in spec order, those of one entry together; it is called once and
    read as a stream, inactive ones are left out. `spec_folder` is what relative reference paths
    start from. A `live` page reloads itself gently until a page that is not replaces it.
    With `thumbs`, small pictures are made in `images/.thumbs`, each only once, and those that
    no picture needs any more are removed; without, the page shows the pictures themselves.

    A page holds at most `cards.MOST_JOBS` jobs and says so when there are more. Raises
    `DiskError` when the page or a small picture cannot be written.
    """
    sheet = cards.collect(records(), folder=folder, spec_folder=spec_folder, about=about)
    wanted = small.make(folder, sheet.pictures) if thumbs else small.NONE
    html = page.render(sheet, wanted, about=about, failures=failures, live=live)
    path = folder / "gallery.html"
    replace(path, html.encode("utf-8", "replace"))
    return path
