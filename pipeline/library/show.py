"""An outcome as a notebook shows it: a line, and the first images as small pictures.

The pictures are inside the HTML, so that they are seen wherever the notebook lives.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from pipeline.gallery.thumbs import shrink
from pipeline.library.results import images
from pipeline.lifecycle import Status

if TYPE_CHECKING:
    from pipeline.library.results import ImageFile, Outcome

_SHOWN = 24
"""Images shown; the gallery has them all."""
_ACROSS = 240
"""Most pixels across that one image takes; its file has more, for dense screens."""


def html(outcome: Outcome) -> str:
    """Return the outcome as HTML without scripts or anything from elsewhere."""
    done = outcome.counts.get(Status.DOWNLOADED, 0)
    jobs = sum(outcome.counts.values())
    said = outcome.reason or "everything asked for is there"
    head = f"{done} of {jobs} jobs, ${outcome.spent} spent: {said}"
    tiles = "".join(map(_tile, islice(images(outcome.folder), _SHOWN)))
    more = "" if done <= _SHOWN else f"<p>The first {_SHOWN} images; the gallery has them all.</p>"
    return (
        f"<p>{escape(head)}</p>"
        f'<div style="display:flex;flex-wrap:wrap;gap:12px;align-items:end">{tiles}</div>{more}'
    )


def _tile(image: ImageFile) -> str:
    small, _ = shrink(image.path)
    if not small:  # gone or damaged by now
        return ""
    name = image.entry_id + (f" #{image.image_index}" if image.image_index > 1 else "")
    return (
        f'<figure style="margin:0;max-width:{_ACROSS}px"><img style="max-width:100%"'
        f' alt="{escape(image.prompt)}" title="{escape(image.prompt)}"'
        f' src="data:image/webp;base64,{b64encode(small).decode("ascii")}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )
