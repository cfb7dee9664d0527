"""`init`: a first spec to edit, and what belongs beside it. Overwrites nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from pipeline import editor, schema
from pipeline.download import disk
from pipeline.errors import Exit, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.commands.world import World

_SPEC = """\
# yaml-language-server: $schema=.banana-batch/spec.schema.json
#
# A batch of images. Look before you pay:
#   banana-batch validate images.yaml
#   banana-batch plan images.yaml
#   banana-batch run images.yaml --sandbox   (a rehearsal: no key, no cost)
#   banana-batch run images.yaml
version: 1
name: {name}

vars:
  style: soft watercolor, warm light

# Every entry gets these; its own value wins.
defaults:
  size: 16:9
  prompt_suffix: ", ${{{{ style }}}}"

entries:
  - id: harbour
    prompt: A small harbour at dawn, fishing boats, mist over the water

  # Three pictures of one prompt: harbour-cats.jpg, harbour-cats-2.jpg, harbour-cats-3.jpg
  - id: harbour-cats
    prompt: Three cats waiting for the fishermen
    size: 1:1
    n: 3
    tags: [animals]

  # One entry for each combination: four pictures.
  - id: mug-${{{{ color }}}}-${{{{ surface }}}}
    prompt: A ${{{{ color }}}} ceramic mug on ${{{{ surface }}}}
    size: 4:3
    matrix:
      color: [red, blue]
      surface: [oak, marble]

  # One entry for each row of a table, with a picture of yours to start from:
  # - from: products.csv
  #   id: ${{{{ sku }}}}
  #   prompt: Studio photo of ${{{{ title }}}}
  #   references: ["refs/${{{{ sku }}}}.*"]

run:
  max_cost: 1.00        # dollars, for each run
"""

_GITIGNORE = """\
# what banana-batch makes
out/
# your API key
.env
"""

_ENV = """\
# Copy to .env and put your key in. Keep .env out of git.
APIMART_API_KEY=
"""


def init(world: World, folder: str) -> int:
    """Write a commented spec, `.gitignore`, `.env.example` and the editor's schema.

    Raises `InputError`, before anything is written, when a file of these is there already.
    """
    place = world.cwd / folder
    name = place.resolve().name
    bundle = json.dumps(editor.bundle(schema.models()), indent=1, ensure_ascii=False)
    files = {
        "images.yaml": _SPEC.format(name=_plain(name)),
        ".env.example": _ENV,
        ".banana-batch/spec.schema.json": bundle + "\n",
    }
    there = [one for one in files if (place / one).exists()]
    if there:
        raise InputError(
            f"{place / there[0]} is there already; nothing was written",
            fix="Choose a folder that has none:\n  banana-batch init another-folder",
        )
    for path, text in files.items():
        _write(place / path, text)
    _ignore(place / ".gitignore")
    where = os.path.relpath(place / "images.yaml", world.cwd)
    world.stdout.write(
        f"Wrote {where}. Next:\n"
        f"  banana-batch validate {where}\n"
        f"  banana-batch run {where} --sandbox\n"
    )
    return Exit.DONE


def _plain(name: str) -> str:
    """Return the folder's name as a batch may be called."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
    return plain.strip("-")[:60] or "images"


def _write(path: Path, text: str) -> None:
    with disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _ignore(path: Path) -> None:
    """Add our lines to a `.gitignore` that may be there already."""
    with disk(path):
        there = path.read_text(encoding="utf-8") if path.exists() else ""
        missing = [line for line in _GITIGNORE.splitlines() if line not in there.splitlines()]
        if any(not line.startswith("#") for line in missing):
            joint = "\n" if there and not there.endswith("\n") else ""
            path.write_text(f"{there}{joint}" + "\n".join(missing) + "\n", encoding="utf-8")
