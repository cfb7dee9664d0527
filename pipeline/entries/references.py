"""Reference images: files, globs, urls and data URIs, found, looked at and hashed.

Files are opened for reading only. Each distinct file is read once, however many entries use it.
"""

from __future__ import annotations

import base64
import binascii
import glob
import ipaddress
import itertools
import os
import re
import stat
from bisect import bisect_left
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline import explain
from pipeline.entries.fault import Fault
from pipeline.entries.limits import limit
from pipeline.model import Reference, ReferenceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.entries.picture import Picture
    from pipeline.model import Model

_MAGIC = re.compile(r"[*?\[]")
_DATA = re.compile(r"data:([^;,]*)(;[^,]*)?,", re.IGNORECASE)
_LAST = chr(0x10FFFF)
_FILES_KEPT = 4096
_FOLDERS_KEPT = 4
_NAMES_COMPARED = 2000


class References:
    """Turns what the user wrote into references. Keeps what it learnt of files for the next."""

    def __init__(self) -> None:
        self._look_at_file = lru_cache(maxsize=_FILES_KEPT)(_look_at_file)
        self._look_at_text = lru_cache(maxsize=_FILES_KEPT)(_look_at_text)
        self._names = lru_cache(maxsize=_FOLDERS_KEPT)(_names)

    def find(
        self, written: str, role: str, folder: Path, model: Model, warn: Callable[[Fault], None]
    ) -> list[Reference]:
        """Return the references that one item of the list stands for: several for a glob.

        Paths are relative to `folder`. Raises `Fault` when there is none, or one is not what the
        model takes; `warn` is told what is allowed but odd.
        """
        scheme = written[:8].lower()
        if scheme.startswith(("http://", "https://")):
            return [_remote(written, role, warn)]
        if scheme.startswith("data:"):
            return [self._inline(written, role, model, warn)]
        if "://" in written:
            raise Fault(
                "unknown-reference",
                f"{explain.shown(written)} is neither a file nor an address the API can fetch",
                why="References are files, http(s) addresses or data URIs.",
                fix="Give an http(s) address, or a file.",
            )
        return [
            self._local(one, role, folder, model, warn) for one in self._matching(written, folder)
        ]

    # ── files ───────────────────────────────────────────────────────────────────────────────

    def _matching(self, written: str, folder: Path) -> list[str]:
        if not _MAGIC.search(written) or os.path.lexists(folder / written):
            return [written]
        head, tail = os.path.split(written)
        if _MAGIC.search(head):
            # Unlike Path.glob this keeps the path as the user wrote it, `..` and all.
            every = glob.iglob(written, root_dir=folder)  # noqa: PTH207
            found = sorted(itertools.islice(every, limit("glob_matches") + 1))
        else:
            found = [
                f"{head}/{name}" if head else name for name in self._listed(folder / head, tail)
            ]
        if len(found) > limit("glob_matches"):
            raise Fault(
                "glob-too-wide",
                f"{explain.shown(written)} matches more than {limit('glob_matches'):,} files",
                fix="Write a narrower pattern.",
            )
        if not found:
            raise Fault(
                "no-match",
                f"{explain.shown(written)} matches no file",
                why="Paths are relative to the spec, and upper and lower case count.",
                fix="Mend the pattern, or add the file.",
            )
        return found

    def _listed(self, folder: Path, pattern: str) -> list[str]:
        """Return the names in `folder` that match, sorted. Reads a large folder only once."""
        try:
            names = self._names(folder, folder.stat().st_mtime_ns)
        except OSError:
            return []
        literal = _MAGIC.split(pattern, maxsplit=1)[0]
        rule = re.compile(translate(pattern))
        hidden = pattern.startswith(".")
        return [
            name
            for name in names[bisect_left(names, literal) : bisect_left(names, literal + _LAST)]
            if (hidden or name[0] != ".") and rule.match(name)
        ]

    def _local(
        self, written: str, role: str, folder: Path, model: Model, warn: Callable[[Fault], None]
    ) -> Reference:
        path = Path(os.path.normpath(folder / written))
        size, changed = _measured(path, written)
        _must_fit(size, model, explain.shown(written))
        try:
            found = self._look_at_file(path, size, changed)
        except OSError as error:
            raise _unreadable(written, error) from None
        picture = _good(found, model, f"{explain.shown(written)}")
        if not path.is_relative_to(os.path.normpath(folder)):
            warn(
                Fault(
                    "reference-outside",
                    f"the reference {explain.shown(written)} lies outside the spec's folder",
                    why="Whoever clones the spec does not get it.",
                    fix="Copy it beside the spec, if others are to run it.",
                )
            )
        return Reference(
            kind=ReferenceKind.LOCAL,
            source=written,
            identity=f"sha256:{picture.sha256}",
            role=role,
            path=path,
            media_type=picture.media_type,
            size=size,
        )

    # ── data URIs ───────────────────────────────────────────────────────────────────────────

    def _inline(
        self, written: str, role: str, model: Model, warn: Callable[[Fault], None]
    ) -> Reference:
        head = _DATA.match(written)
        if not head or (head[2] or "").lower() != ";base64":
            raise Fault(
                "wrong-data-uri",
                "the data URI is not in base64",
                why="The API takes only `data:image/…;base64,…`.",
                fix="Encode the image, or give the file itself.",
            )
        if head[1].lower() not in model.reference_types:
            raise _wrong_type("the data URI", head[1].lower(), model)
        _must_fit((len(written) - head.end()) * 3 // 4 - 2, model, "the data URI")
        picture = _good(self._look_at_text(written[head.end() :]), model, "the data URI")
        if picture.media_type != head[1].lower():
            raise Fault(
                "wrong-data-uri",
                f"the data URI says {head[1].lower()} but holds {picture.media_type}",
                fix=f"Write `data:{picture.media_type};base64,`.",
            )
        if len(written) > limit("heavy_inline_characters"):
            warn(
                Fault(
                    "heavy-data-uri",
                    f"a data URI of {len(written):,} characters stands in the spec",
                    why="It makes the spec slow to read and its differences in git useless.",
                    fix="Save the image beside the spec and name the file.",
                )
            )
        return Reference(ReferenceKind.INLINE, written, f"sha256:{picture.sha256}", role, None)


def _remote(written: str, role: str, warn: Callable[[Fault], None]) -> Reference:
    try:
        parts = urlsplit(written)
        sound = bool(parts.hostname) and not re.search(r"[\s\x00-\x1f]", written)
        _ = parts.port
    except ValueError:
        sound = False
    if not sound:
        raise Fault(
            "wrong-url",
            f"{explain.shown(written)} is no complete address",
            why="The API fetches it itself, so it must be a public http(s) address.",
            fix="Write it as a browser shows it; spaces become %20.",
        )
    if _is_private(str(parts.hostname)):
        fault = Fault(
            "private-url",
            f"{explain.shown(written)} is an address that only this network knows",
            why="The API fetches it itself, from outside.",
            fix="Give the file itself: it is uploaded for you.",
        )
        warn(fault)
    return Reference(ReferenceKind.REMOTE, written, written, role)


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


def _names(folder: Path, _changed: int) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - names only: no object for each file


def _measured(path: Path, written: str) -> tuple[int, int]:
    """Return a regular file's size in bytes and when it changed. Raises `Fault`."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise Fault(
            "missing-reference",
            f"the reference {explain.shown(written)} "
            + ("is a link to nothing" if path.is_symlink() else "does not exist"),
            why="Paths are relative to the spec, and upper and lower case count.",
            fix=_nearby(path, written),
        ) from None
    except OSError as error:
        raise _unreadable(written, error) from None
    if not stat.S_ISREG(status.st_mode):
        folder = stat.S_ISDIR(status.st_mode)
        raise Fault(
            "not-a-file",
            f"the reference {explain.shown(written)} is "
            + ("a folder" if folder else "not a regular file"),
            fix=f"Name a file in it, or all: `{written.rstrip('/')}/*`."
            if folder
            else "Copy what it gives into a file.",
        )
    return status.st_size, status.st_mtime_ns


def _nearby(path: Path, written: str) -> str:
    if path.is_symlink():
        return "Mend the link."
    if written.startswith("~"):
        return "Write the path in full: `~` stands for no folder here."
    try:
        names = itertools.islice((one.name for one in path.parent.iterdir()), _NAMES_COMPARED)
        near = explain.meant(path.name, sorted(names))
    except OSError:
        near = ""
    head = os.path.dirname(written)  # noqa: PTH120 - as the user wrote it, `..` and all
    there = f"{head}/{near}" if head else near
    return f"Did you mean {explain.shown(there)}?" if near else "Mend the name, or add the file."


def _unreadable(written: str, error: OSError) -> Fault:
    return Fault(
        "unreadable-file",
        f"the reference {explain.shown(written)} cannot be read: {error.strerror}",
        fix="Look at its permissions.",
    )


def _look_at_file(path: Path, _size: int, _changed: int) -> Picture | Fault:
    return _looked(path.read_bytes())


def _look_at_text(encoded: str) -> Picture | Fault:
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return Fault(
            "wrong-data-uri",
            "is not valid base64",
            why="It was cut, or holds spaces or line breaks.",
            fix="Encode the image again, or give the file itself.",
        )
    return _looked(data)


def _looked(data: bytes) -> Picture | Fault:
    # Most specs have no local reference, so the library for images is loaded by the first.
    from pipeline.entries.picture import look

    try:
        return look(data)
    except Fault as fault:
        return fault


def _good(found: Picture | Fault, model: Model, name: str) -> Picture:
    if isinstance(found, Fault):
        raise Fault(found.code, f"{name} {found.message}", why=found.why, fix=found.fix)
    if found.media_type not in model.reference_types:
        raise _wrong_type(name, found.media_type, model)
    return found


def _wrong_type(name: str, media_type: str, model: Model) -> Fault:
    return Fault(
        "wrong-image-type",
        f"{name} is {media_type or 'of no named type'}",
        why=f"{model.name} takes {_either(model.reference_types)} as references.",
        fix="Export it as one of these.",
    )


def _must_fit(size: int, model: Model, name: str) -> None:
    if size > model.max_reference_bytes:
        raise Fault(
            "reference-too-large",
            f"{name} has {size:,} bytes; at most {model.max_reference_bytes:,} are allowed",
            why="The API refuses larger reference images.",
            fix="Export it smaller; about 2,000 pixels a side are plenty for a reference.",
        )


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
