"""A font for prompts in any script, when the system has one."""

from __future__ import annotations

import os
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)

_WANTED = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "NotoSansSC-Regular.ttf",
    "SourceHanSansSC-Regular.otf",
    "SourceHanSansCN-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "NotoSerifCJK-Regular.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "STHeiti Medium.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
    "simhei.ttf",
)
"""Fonts that cover Chinese, Japanese and Latin, best first."""


def find(folders: Sequence[str | Path]) -> Path | None:
    """Return the best font with Chinese letters below the folders, or None."""
    found: dict[str, Path] = {}
    for folder in folders:
        for root, _, files in os.walk(Path(folder).expanduser()):
            for name in files:
                found.setdefault(name, Path(root) / name)
    return next((found[name] for name in _WANTED if name in found), None)


@cache
def system() -> Path | None:
    """Return the best font of this machine, looked for once."""
    return find(FOLDERS)


@lru_cache(maxsize=64)
def font(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    """Return the font at `path`, or Pillow's own, at `size` pixels."""
    if path is not None:
        try:
            return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
        except OSError:
            pass  # a damaged font on somebody's machine is no reason to have no pictures
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont)  # noqa: S101 - a size always gives that one
    return own


def writable(text: str, path: Path | None) -> str:
    """Return `text` as that font can write it, on one line.

    Pillow's own font knows ASCII: accents are taken off, and it writes a crossed box for what is
    left. Control characters become spaces in any font.
    """
    if path is None:
        text = "".join(one for one in unicodedata.normalize("NFKD", text) if not _accent(one))
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _accent(letter: str) -> bool:
    return unicodedata.combining(letter) != 0
