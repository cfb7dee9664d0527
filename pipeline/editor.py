"""What editors are told of a spec: its schema, with each model's limits where they apply.

The tool itself holds every expanded entry against its model's file. An editor sees only the text,
so it gets the same files through `if`/`then`: nothing of a model is written a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.model import Model

Schema = dict[str, Any]
_TEMPLATE = {"$ref": "#/$defs/template"}
_LIMITS = "limits-"
_NO_MODEL = {"not": {"required": ["model"]}}
# These mean something else in a spec than in a request.
_OWN = ("model", "prompt", "webhook")


def with_rules(spec: Mapping[str, Any], models: Mapping[str, Model], where: str) -> Schema:
    """Return a spec's schema with the limits of each model, for what that model will draw.

    `where` is the reference to a model's schema, with `{}` for its name.
    """
    plain = without_rules(spec)
    parts = plain.pop("$defs")
    limits = {
        f"{_LIMITS}{model.name}": _limits(model, where.format(model.name))
        for model in models.values()
    }
    rules = [rule for model in models.values() for rule in _rules(model)]
    return {**plain, "allOf": rules, "$defs": {**parts, **limits}}


def without_rules(spec: Mapping[str, Any]) -> Schema:
    """Return a spec's schema without the limits of any model: the shape of the file alone."""
    parts = {key: part for key, part in spec["$defs"].items() if not key.startswith(_LIMITS)}
    top = {key: part for key, part in spec.items() if key not in ("allOf", "$defs")}
    return {**top, "$defs": parts}


def bundle(models: Mapping[str, Model]) -> Schema:
    """Return the spec's schema complete in itself, for these models, those of a user included."""
    root = schema.document("spec")
    parts = dict(root["$defs"])
    fields, entry = parts["fields"]["properties"], parts["entry"]["properties"]
    more: Schema = {}
    for model in models.values():
        parts[f"model-{model.name}"] = {"properties": model.request["properties"]}
        for name, part in model.request["properties"].items():
            if name not in (*fields, *entry, "image_urls") and "not" not in part:
                more[name] = {"description": part.get("description", "")}
    parts["fields"] = {**parts["fields"], "properties": {**fields, **more}}
    return with_rules({**root, "$defs": parts}, models, "#/$defs/model-{}")


def _rules(model: Model) -> list[Schema]:
    limits = {"$ref": f"#/$defs/{_LIMITS}{model.name}"}
    for_all = {
        "properties": {
            "defaults": limits,
            "entries": {"items": {"if": _NO_MODEL, "then": limits}},
        }
    }
    this = {"properties": {"model": {"const": model.name}}}
    chosen = {**this, "required": ["model"]}
    usual = model.name == schema.document("spec")["properties"]["model"]["default"]
    by_default = {"properties": {"defaults": _NO_MODEL}}
    return [
        {"if": {"allOf": [this if usual else chosen, by_default]}, "then": for_all},
        {
            "if": {"properties": {"defaults": chosen}, "required": ["defaults"]},
            "then": for_all,
        },
        {"properties": {"entries": {"items": {"if": chosen, "then": limits}}}},
    ]


def _limits(model: Model, where: str) -> Schema:
    fields = schema.document("spec")["$defs"]["fields"]["properties"]
    names = [name for name in fields if name in model.request["properties"] and name not in _OWN]
    return {
        "properties": {
            name: {"anyOf": [{"$ref": f"{where}/properties/{name}"}, _TEMPLATE]} for name in names
        }
    }
