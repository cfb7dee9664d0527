"""Which of several words was probably meant by one that is none of them."""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLOSE_RATIO = 0.07
_RATIO = re.compile(r"(\d{1,6})\s*[:xX×/*,;-]\s*(\d{1,6})")


def meant(word: str, known: Iterable[str]) -> str:
    """Return the one of `known` that `word` is probably meant to be, or `""`.

    Case and separators count for nothing, and a ratio means the nearest one, when that is near:
    `16x9`, `1920x1080` and `17:9` mean `16:9`.
    """
    choices = list(known)
    same = [one for one in choices if letters(one) == letters(word)]
    near = same or _same_ratio(word, choices)
    if not near and not _RATIO.fullmatch(word.strip()):
        near = difflib.get_close_matches(word, choices, n=1, cutoff=0.7)
    return near[0] if near else ""


def letters(word: str) -> str:
    """Return what two spellings of the same word share."""
    return re.sub(r"[^0-9a-z]", "", word.casefold().replace("x", "").replace("×", ""))


def _same_ratio(word: str, choices: Iterable[str]) -> list[str]:
    asked = _RATIO.fullmatch(word.strip())
    if not asked or "0" in (asked[1].strip("0") or "0", asked[2].strip("0") or "0"):
        return []
    ratio = int(asked[1]) / int(asked[2])
    offered = [(one, found) for one in choices if (found := _RATIO.fullmatch(one))]
    distance = {one: abs(math.log(ratio * int(f[2]) / int(f[1]))) for one, f in offered}
    best = min(distance, key=distance.__getitem__, default="")
    return [best] if best and distance[best] <= _CLOSE_RATIO else []
