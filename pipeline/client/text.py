"""Text from the API made fit to show and to keep: short, on one line, and without the key."""

from __future__ import annotations

import re

_TELLING = 4
"""A key shorter than this cannot be told from ordinary words; no API gives such keys out."""


class Censor:
    """Keeps the key, and everything that could harm a terminal, out of what the API says."""

    def __init__(self, key: str = "") -> None:
        """Keep `key` out; where nobody knows a key, there is none to keep out."""
        self._reach = len(key)
        self._pattern = re.compile(re.escape(key), re.IGNORECASE) if len(key) >= _TELLING else None

    def plain(self, text: object, limit: int = 300) -> str:
        """Return `text` on one line of at most `limit` printable characters, without the key.

        `""` for None and for what is no scalar.
        """
        if text is None or isinstance(text, dict | list):
            return ""
        whole = str(text)
        part = whole[: limit * 8]
        shown = "".join(letter if letter.isprintable() else " " for letter in part)
        shown = self.hide(" ".join(shown.split()))
        if len(part) < len(whole):
            shown = shown[: len(shown) - self._reach]  # where the cut may have gone through the key
        return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"

    def hide(self, text: str) -> str:
        """Return `text` with the key replaced."""
        return self._pattern.sub("[key]", text) if self._pattern else text

    def holds(self, text: str) -> bool:
        """Say whether the key is in `text`."""
        return self._pattern is not None and self._pattern.search(text) is not None
