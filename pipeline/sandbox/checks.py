"""What the API asks of a request, read from the model files; a breach is answered like the API.

Stricter than the API in one way: what the API silently ignores or downgrades is a 400 here, so
that a rehearsal finds it.
"""

from __future__ import annotations

import base64
import binascii
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline import money, schema
from pipeline.sandbox.answers import Denied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.model import Model
    from pipeline.money import Money
    from pipeline.schema import Violation

_MAGIC = (
    ("image/jpeg", (b"\xff\xd8\xff",)),
    ("image/png", (b"\x89PNG\r\n\x1a\n",)),
    ("image/gif", (b"GIF87a", b"GIF89a")),
)
_MILLION = 10**6


def media_type(contents: bytes) -> str:
    """Return the media type that the first bytes show, `""` when they show none we know."""
    for name, starts in _MAGIC:
        if contents.startswith(starts):
            return name
    if contents[:4] == b"RIFF" and contents[8:12] == b"WEBP":
        return "image/webp"
    return ""


class Checks:
    """Judges requests by the model files. `alive` says whether an upload of ours still lives."""

    def __init__(
        self, alive: Callable[[str], bool], models: Mapping[str, Model] | None = None
    ) -> None:
        """Prepare to judge requests to `models`, to those that ship when there are none."""
        self.models = dict(models or schema.models())
        self._validators = {name: schema.Validator(m.request) for name, m in self.models.items()}
        self._alive = alive

    def body(self, raw: bytes) -> dict[str, Any]:
        """Return the request, parsed. Raises `Denied` 400 with the first thing wrong with it."""
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise Denied(400, "the request body is not valid JSON") from None
        if not isinstance(body, dict):
            raise Denied(400, "the request body must be a JSON object")
        name = body.get("model")
        validator = self._validators.get(name) if isinstance(name, str) else None
        if validator is None:
            raise Denied(400, f"model {name!r} does not exist or is not available")
        if not validator.valid(body):
            raise Denied(400, _message(validator.violations(body)[0]))
        # JSON Schema takes 2.0 for an integer; the API wants a plain one.
        if type(body.get("n", 1)) is not int:
            raise Denied(400, "n must be an integer, without quotes or fraction")
        for index, url in enumerate(body.get("image_urls", ())):
            self._reference(str(name), index, url)
        return body

    def _reference(self, name: str, index: int, url: str) -> None:
        where = f"image_urls[{index}]"
        if not url.startswith("data:"):
            if not self._alive(url):
                raise Denied(400, f"{where}: the image could not be downloaded (404)")
            return
        model = self.models[name]
        try:
            contents = base64.b64decode(url.partition(",")[2], validate=True)
        except (binascii.Error, ValueError):
            raise Denied(400, f"{where}: the base64 data is not valid") from None
        if len(contents) > model.max_reference_bytes:
            raise Denied(400, f"{where}: larger than {model.max_reference_bytes} bytes")
        if media_type(contents) not in model.reference_types:
            raise Denied(400, f"{where}: not an image of a supported format")

    def price(self, body: dict[str, Any]) -> Money:
        """Return the nominal price of one image of the request, from its model file."""
        card = self.models[body["model"]].card
        price, properties = card["x-price"], card["properties"]
        tokens, given = price.get("input_tokens", {}), price["output_tokens_per_image"]
        taken = len(body["prompt"]) * _decimal(tokens.get("per_prompt_character", 0))
        taken += len(body.get("image_urls", ())) * _decimal(tokens.get("per_reference", 0))
        resolution = body.get("resolution", properties.get("resolution", {}).get("default"))
        made = given.get(resolution, max(given.values()))
        return money.parse(
            taken * _decimal(price.get("input_per_million_tokens", 0)) / _MILLION
            + made * _decimal(price["output_per_million_tokens"]) / _MILLION
        )

    def largest_body(self) -> int:
        """Return the bytes of the largest request that can be right: every reference inline."""
        encoded = max(m.max_references * m.max_reference_bytes for m in self.models.values())
        return encoded * 4 // 3 + _MILLION

    def input_schema(self, name: str) -> dict[str, Any]:
        """Return a model's `input_schema` as the API tells it. Raises `Denied` 404."""
        if name not in self.models:
            raise Denied(404, f"model {name!r} does not exist")
        card = self.models[name].card
        known = {key: part for key, part in card["properties"].items() if "not" not in part}
        required = card.get("required", [])
        return {"type": "object", "required": required, "properties": known}


def upload_type(contents: bytes) -> str:
    """Return an upload's media type. Raises `Denied` 400 when its contents are of no such type."""
    found = media_type(contents)
    if found not in schema.api("upload", "media_types"):
        raise Denied(400, "the file is not an image of a supported format")
    return found


def _decimal(figure: str | float) -> Decimal:
    return Decimal(str(figure))


def _message(violation: Violation) -> str:
    where = ".".join(str(step) for step in violation.path) or "the request"
    return f"{where}: {violation.message[:300]}"
