"""Ids and file stems: safe names out of any text, and who has had a name already."""

from __future__ import annotations

import re
import unicodedata
from array import array
from hashlib import sha256

from pipeline.entries.fault import Fault
from pipeline.entries.limits import limit

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_SEPARATORS = re.compile(r'[/\\<>:"|?*]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_SLUG_CHARACTERS = 40


def made_id(prompt: str, basis: str) -> str:
    """Return an id for an entry that has none: the prompt's first words and a short hash.

    `basis` is all that makes the entry distinct, so the id does not depend on where in the spec
    the entry stands, nor on its neighbours.
    """
    words = re.findall(r"\w+", unicodedata.normalize("NFC", prompt[:500]).lower())
    slug = ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word[:_SLUG_CHARACTERS]
        if len(longer) > _SLUG_CHARACTERS:
            break
        slug = longer
    return f"{slug or 'entry'}-{sha256(basis.encode()).hexdigest()[:8]}"


def piece(text: str) -> str:
    """Return `text` as one part of a file's path: no separator, nothing that a system reserves.

    Never empty, `.` or `..`; no leading or trailing dot or space; NFC; no control or direction
    characters; cut to a length in bytes, with a hash of the whole, when it is too long.
    """
    if _SAFE.fullmatch(text) and not _RESERVED.fullmatch(text):
        return text
    safe = _SEPARATORS.sub("-", unicodedata.normalize("NFC", text))
    safe = "".join("-" if unicodedata.category(c)[0] == "C" else c for c in safe)
    safe = " ".join(safe.split()).strip(". ")
    if not safe:
        return f"entry-{_short_hash(text)}"
    if _RESERVED.fullmatch(safe):
        safe = f"_{safe}"
    return _cut(safe, text)


def stem(rendered: str) -> str:
    """Return a file stem under `images/` from a rendered `output.name`; `/` makes subfolders.

    Raises `Fault` when it is longer than any file system allows.
    """
    if _SAFE.fullmatch(rendered) and not _RESERVED.fullmatch(rendered):
        return rendered
    made = "/".join(piece(part) for part in rendered.split("/") if part.strip())
    if not made:
        made = piece(rendered)
    if len(made.encode()) > limit("stem_bytes"):
        raise Fault(
            "name-too-long",
            f"the file name has {len(made.encode()):,} bytes; at most {limit('stem_bytes'):,} fit",
            fix="Shorten `output.name`.",
        )
    return made


def _cut(safe: str, whole: str) -> str:
    room = limit("stem_part_bytes")
    if len(safe.encode()) <= room:
        return safe
    mark = f"-{_short_hash(whole)}"
    return safe.encode()[: room - len(mark)].decode(errors="ignore").rstrip(". ") + mark


def _short_hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def folded(name: str) -> str:
    """Return what two file names share when a file system may take them for the same one."""
    return name.casefold() if name.isascii() else unicodedata.normalize("NFD", name).casefold()


class Seen:
    """Remembers texts by a 64-bit hash, each with a number: 16 bytes a slot, not an object a text.

    A million ids take some tens of megabytes, a third of a dict. Two texts share a hash with a
    probability of about 1 in 10^7 at a million texts.
    """

    def __init__(self) -> None:
        self._slots = array("q", bytes(8 * 1024))
        self._values = array("q", bytes(8 * 1024))
        self._count = 0

    def put(self, text: str, number: int) -> int | None:
        """Remember `text` with `number`; return the number it had already, and keep that one."""
        if 2 * self._count >= len(self._slots):
            self._grow()
        key = hash(text) or 1
        slot = self._slot(key)
        if self._slots[slot]:
            return self._values[slot]
        self._slots[slot] = key
        self._values[slot] = number
        self._count += 1
        return None

    def _slot(self, key: int) -> int:
        slots, mask = self._slots, len(self._slots) - 1
        slot = key & mask
        while slots[slot] and slots[slot] != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, values = self._slots, self._values
        self._slots = array("q", bytes(16 * len(keys)))
        self._values = array("q", bytes(16 * len(keys)))
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._slots[slot] = key
                self._values[slot] = value
