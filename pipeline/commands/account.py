"""The key and the host: from a file, the environment, or a `.env` beside the spec. Never a flag
with the key itself, never the spec, and never printed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import schema
from pipeline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY = "APIMART_API_KEY"
HOST = "APIMART_BASE_URL"
_LONGEST_KEY = 4096


@dataclass(frozen=True, slots=True)
class Account:
    """Whose tasks a run sends and collects. `key` is kept out of `repr`."""

    host: str
    key: str

    def __repr__(self) -> str:
        return f"Account(host={self.host!r}, key=…)"

    @property
    def mark(self) -> str:
        """A short hash that tells keys apart without telling them."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:8]

    def hide(self, text: str) -> str:
        """Return `text` with the key taken out, should it have got in."""
        return text.replace(self.key, "[key]") if len(self.key) >= 8 else text


def host(environ: Mapping[str, str], folder: Path) -> str:
    """Return the API's address, without a slash at its end."""
    named = environ.get(HOST) or _dotenv(folder).get(HOST) or str(schema.api("base_url"))
    return named.rstrip("/")


def find(environ: Mapping[str, str], folder: Path, key_file: Path | None) -> Account | None:
    """Return the account to use, None when no key is given anywhere.

    `--api-key-file` beats the environment, which beats `.env` in `folder`. Raises `InputError`
    for a key file that cannot be read, or a key that cannot be one.
    """
    key = _from_file(key_file) if key_file else environ.get(KEY) or _dotenv(folder).get(KEY)
    if key is None or not key.strip():
        return None
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(
            "the API key holds characters that no key has",
            why="It is sent as an HTTP header: visible ASCII only.",
            fix=f"Copy it again and set {KEY}.",
        )
    return Account(host(environ, folder), key)


def need(account: Account | None) -> Account:
    """Return the account. Raises `InputError` when there is none."""
    if account is None:
        raise InputError(
            "no API key",
            why="The API answers nobody without one.",
            fix=f"Get one at https://apimart.ai/keys, then\n  export {KEY}=…\n"
            "or rehearse without a key and without cost, with\n  --sandbox",
        )
    return account


def _from_file(path: Path) -> str:
    try:
        if not path.is_file():
            raise InputError(f"cannot read the key file {path}: it is no file")
        with path.open(encoding="utf-8") as file:
            return file.read(_LONGEST_KEY)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"cannot read the key file {path}: {said}") from error


def _dotenv(folder: Path) -> dict[str, str]:
    """Read `NAME=value` lines; comments, `export` and quotes are understood."""
    try:
        text = (folder / ".env").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            found[name.strip()] = value
    return found
