"""`models add`: the API's own schema of a model becomes a model file, for the user to review.

What the API says is held against the rule for model files before anything is written, and only
the plain words of JSON Schema are taken over from it.
"""

from __future__ import annotations

import json
import os
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline import schema, spec, terminal
from pipeline.commands import question
from pipeline.download import disk, whole
from pipeline.errors import Exit, InputError, Refused, Rubbish

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.commands.world import World
    from pipeline.model import Model

_WORD_LIST = (
    "type enum const default minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"
    " minLength maxLength pattern minItems maxItems uniqueItems description title"
)
_WORDS = frozenset(_WORD_LIST.split())
"""What is taken over of a parameter as it is. References and words of our own are not."""
_BRANCHES = ("anyOf", "oneOf", "allOf")
_IMAGES = "image_urls"
_TIER = re.compile(r"(\d{1,2}(?:\.\d{1,2})?)K")
_FOLDER = "models"


def add(
    world: World, name: str, *, folder: str | None, source: str | None, key_file: Path | None
) -> int:
    """Write a model file for `name`, from what the API says of it; returns the exit code.

    It goes to `folder`, else to the `models:` folder of the spec `source`, else to the first one
    of BANANA_BATCH_MODELS, else to `models`. Raises `InputError` for a name that cannot be one,
    a model that is known or unknown to the API, and a file that is there already; `Rubbish` when
    the API's answer is no use.
    """
    rule = schema.document("model")["properties"]["model"]
    if not re.fullmatch(rule["pattern"].strip("^$"), name):
        raise InputError(
            f"{terminal.clean(name)!r} is no name of a model",
            why=f"A name is made of {rule['x-form']}.",
            fix="Write it as the API's list of models does.",
        )
    place = _place(world, folder, source)
    path = place / f"{name}.json"
    _must_be_new(name, path)
    said = _asked(world, name, key_file)
    card = model_file(name, said, schema.models())
    with disk(path):
        place.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        file.write(json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    _tell(world, card, path)
    return Exit.DONE


def _place(world: World, folder: str | None, source: str | None) -> Path:
    if folder is not None:
        return world.cwd / folder
    if source is not None:
        document = spec.load(source, environ=world.environ, cwd=world.cwd).document
        named = document.data.get("models")
        return document.folder / (named if isinstance(named, str) and named else _FOLDER)
    return next(iter(schema.model_folders(world.environ, world.cwd)), world.cwd / _FOLDER)


def _must_be_new(name: str, path: Path) -> None:
    if name in schema.models():
        raise InputError(
            f"{name} is known already; nothing was written",
            why="Its file ships with the program.",
            fix=f"Look at it:\n  banana-batch schema {name}",
        )
    if path.exists():
        raise InputError(
            f"{path} is there already; nothing was written",
            why="You may have mended it since.",
            fix="Move it away, then add the model again.",
        )


def _asked(world: World, name: str, key_file: Path | None) -> dict[str, Any]:
    try:
        return question.ask(world, lambda api: api.model_schema(name), key_file)
    except Refused as error:
        raise InputError(
            f"the API gives no schema for the model {name}",
            why=error.summary,
            fix="Mend the name.",
        ) from error


# ── the file ────────────────────────────────────────────────────────────────────────────────


def model_file(name: str, said: Mapping[str, Any], known: Mapping[str, Model]) -> dict[str, Any]:
    """Return a model file for `name` from the API's `input_schema`.

    What the API does not say is taken from the `known` models, on the safe side, and listed under
    `x-review`. Raises `Rubbish` when no model file can be made of it.
    """
    told = said.get("properties")
    if not isinstance(told, dict) or "prompt" not in told:
        raise Rubbish("the API's schema of the model has no `prompt`")
    properties = {key: _kept(part) for key, part in told.items() if isinstance(part, dict)}
    properties["model"] = {"const": name, "description": "The model's name."}
    needed = said.get("required")
    card = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": "Limits, price and request shape of one model. Written by"
        " `banana-batch models add`; what stands under x-review is a guess.",
        "model": name,
        "source": "The API's own schema of the model.",
        "type": "object",
        "required": ["model", *_required(needed, properties)],
        "additionalProperties": False,
        "properties": properties,
        **_guesses(properties, known),
    }
    try:
        schema.model(card)
    except ValueError as error:
        raise Rubbish(
            f"the API's schema of {name} makes no model file",
            why=f"{terminal.clean(str(error))}.",
            fix="Write the file by hand, after one that ships:\n"
            f"  banana-batch schema {next(iter(known))}",
        ) from error
    return card


def _required(needed: Any, properties: Mapping[str, Any]) -> list[str]:
    names = needed if isinstance(needed, list) else []
    kept = [one for one in names if isinstance(one, str) and one in properties and one != "model"]
    return kept if "prompt" in kept else ["prompt", *kept]


def _kept(part: Any) -> Any:
    """Return the plain words of a parameter's schema, and of those inside it."""
    if not isinstance(part, dict):
        return {}
    kept = {key: value for key, value in part.items() if key in _WORDS}
    if isinstance(part.get("items"), dict):
        kept["items"] = _kept(part["items"])
    if isinstance(part.get("properties"), dict):
        kept["properties"] = {key: _kept(inner) for key, inner in part["properties"].items()}
    for key in _BRANCHES:
        if isinstance(part.get(key), list):
            kept[key] = [_kept(inner) for inner in part[key]]
    return kept


def _guesses(properties: Mapping[str, Any], known: Mapping[str, Model]) -> dict[str, Any]:
    """Return what a request's schema does not say, from the known models."""
    dearest = max(known.values(), key=_dollars)
    price = dearest.card["x-price"]
    tiers = _tiers(properties)
    tokens = price["output_tokens_per_image"]
    most = properties.get(_IMAGES, {}).get("maxItems")
    several = min(one.max_references for one in known.values())
    references = {
        "max": 0 if _IMAGES not in properties else most if isinstance(most, int) else several,
        "max_bytes": min(one.max_reference_bytes for one in known.values()),
        "media_types": list(dearest.reference_types),
        "suggested": {},
    }
    limit = "max, " if references["max"] and most is None else ""
    return {
        "x-references": references,
        "x-pixels": {tier: int(1024 * float(_TIER.fullmatch(tier)[1])) for tier in tiers},  # type: ignore[index] # the tiers are those that match
        "x-price": {
            **price,
            "output_tokens_per_image": {
                tier: tokens.get(tier, max(tokens.values())) for tier in tiers or tokens
            },
            "note": f"A guess: the price of {dearest.name}, the dearest model that is known.",
        },
        "x-review": [
            f"x-price: the price of {dearest.name}, so that no estimate promises too little",
            f"x-references: {limit}max_bytes and media_types are those of other models",
            *(["x-pixels: worked out from the names of the resolutions"] if tiers else []),
            "properties: what the API ignores or downgrades without a word is not marked",
        ],
    }


def _dollars(model: Model) -> Decimal:
    price = model.card["x-price"]
    tokens: int = max(price["output_tokens_per_image"].values())
    return Decimal(str(price["output_per_million_tokens"])) * tokens


def _tiers(properties: Mapping[str, Any]) -> list[str]:
    offered = properties.get("resolution", {}).get("enum")
    words = offered if isinstance(offered, list) else []
    return [one for one in words if isinstance(one, str) and _TIER.fullmatch(one)]


def _tell(world: World, card: Mapping[str, Any], path: Path) -> None:
    where = os.path.relpath(path, world.cwd)
    world.stdout.write(f"Wrote {terminal.clean(where)}. Review it before you use it:\n")
    world.stdout.writelines(f"  {terminal.clean(guess)}\n" for guess in card["x-review"])
    folder = terminal.clean(os.path.relpath(path.parent, world.cwd))
    world.stdout.write(
        f"To use it, name its folder in the spec:\n  models: {folder}\n  model: {card['model']}\n"
    )
