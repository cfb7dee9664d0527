"""Fingerprints: what determines a job's picture, and nothing else. The rule lives here alone.

The state file keeps fingerprints for years. A better rule gets the next number and a function of
its own beside the old one; whoever compares can then compute both, so that nobody pays again for
a picture that only changed its fingerprint.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical(value: Any) -> str:
    """Return `value` as JSON text of one single form: sorted keys, no spaces, real characters."""
    return _encode(value)


def rule_1(request: str, references: Sequence[str], image_index: int) -> str:
    """Return the SHA-256 (hex) of the canonical JSON of the rule's number and its three parts.

    `request` is the canonical text of the body without `image_urls` and `webhook` (model, prompt,
    size, resolution and whatever else the model takes); `references` are identities, in order:
    `sha256:<hex>` of contents, or urls. Roles, ids, tags and paths are not in it.
    """
    whole = (
        f'{{"image_index":{image_index},"references":{_encode(list(references))},'
        f'"request":{request},"rule":1}}'
    )
    return sha256(whole.encode()).hexdigest()


RULES: Mapping[int, Callable[[str, Sequence[str], int], str]] = {1: rule_1}
CURRENT = max(RULES)


def fingerprint(request: str, references: Sequence[str], image_index: int) -> str:
    """Return the fingerprint by the current rule."""
    return RULES[CURRENT](request, references, image_index)
