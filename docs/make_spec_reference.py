"""Writes what is made from the schemas: the spec's reference page and the editor's rules.

Run it after a change of `schemas/spec.schema.json`, or when a model file comes or goes:

    python docs/make_spec_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline import editor, schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = Path(__file__).parent / "spec-reference.md"
SCHEMA = schema.folder() / "spec.schema.json"
_INTRO = """\
# The spec, field by field

Made from `schemas/spec.schema.json` by `python docs/make_spec_reference.py`; do not edit it here.
A template `${{ … }}` may stand in any text. Paths are relative to the spec file.
"""
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}


def page(spec: Mapping[str, Any]) -> str:
    """Return the reference page for a spec's schema."""
    parts = spec["$defs"]
    output = parts["output"]["properties"]
    entry = {**parts["entry"]["properties"], **parts["fields"]["properties"]}
    sections = [
        _section("The file", "What stands at the top.", "", spec["properties"]),
        _section(
            "An entry",
            f"{parts['entry']['description']} All but `{'`, `'.join(parts['entry']['properties'])}`"
            " may also stand under `defaults:`.",
            "",
            entry,
        ),
        _section("run", parts["run"]["description"], "run.", parts["run"]["properties"]),
        _section("output", parts["output"]["description"], "output.", output),
    ]
    return _INTRO + "\n" + "\n".join(sections)


def with_rules(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec's schema with every shipped model's limits for editors."""
    return editor.with_rules(spec, schema.models(), "models/{}.json#")


def _section(title: str, about: str, prefix: str, fields: Mapping[str, Any]) -> str:
    lines = [f"## {title}", "", about, ""]
    for name, part in fields.items():
        lines += _field(prefix + name, part)
        for inner, nested in part.get("properties", {}).items():
            lines += _field(f"{prefix}{name}.{inner}", nested)
    return "\n".join(lines)


def _field(name: str, part: Mapping[str, Any]) -> Iterator[str]:
    facts = [_kind(part)]
    if "default" in part:
        facts.append(f"default `{json.dumps(part['default'], ensure_ascii=False)}`")
    yield f"### `{name}`"
    yield ""
    yield f"{part.get('description', '')} *({'; '.join(fact for fact in facts if fact)})*"
    yield ""
    key = name.rsplit(".", 1)[-1]
    examples = [f"{key}: {_yaml(one)}" for one in part.get("examples", ())]
    if examples:
        yield "```yaml"
        yield from examples
        yield "```"
        yield ""


def _yaml(value: Any) -> str:
    """Return a value on one line of YAML."""
    listed = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10_000)
    return str(listed).strip()[1:-1]


def _kind(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return " or ".join(f"`{one}`" for one in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if "anyOf" in part:
        kinds = (_kind(branch) for branch in part["anyOf"])
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    if part.get("$ref") == "#/$defs/template":
        return "template"
    kinds = part.get("type", "object")
    return " or ".join(_TYPES[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))


def main() -> None:
    """Write the page and the schema."""
    spec = with_rules(schema.document("spec"))
    SCHEMA.write_text(json.dumps(spec, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(spec), encoding="utf-8")


if __name__ == "__main__":
    main()
