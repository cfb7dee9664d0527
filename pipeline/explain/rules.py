"""One function a rule: what to say when it is broken."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline import schema, secret
from pipeline.explain.nearest import letters, meant
from pipeline.problem import Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pipeline.schema import Violation

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys to values",
    "null": "nothing",
}
_BOOLEANS = {
    **dict.fromkeys(("yes", "on", "true", "y", "1"), "true"),
    **dict.fromkeys(("no", "off", "false", "n", "0"), "false"),
}
_IN_THE_SPEC = {"image_urls": "references"}
_SHOWN = 60
_SHORT = 30


def explain(violation: Violation, place: Place, text: str, within: str = "") -> Problem:
    """Turn one violation, of the spec's shape or of a model's request, into a problem.

    `text` is the line at `place`, `within` the matrix combination or row. Keys that are secret
    are starred out of every word of the result.
    """
    code, message, why, fix = _WORDING.get(violation.keyword, _other)(violation)
    refused = violation.schema.get("x-refused", {})
    if refused and code != "near-miss":
        why, fix = refused["why"], refused["fix"]
    return Problem(
        code="unknown-value" if code == "near-miss" else code,
        message=secret.mask(message),
        place=place,
        why=secret.mask(why),
        fix=secret.mask(fix),
        text=secret.mask(text),
        within=within,
    )


def stands_for(key: str, field: str) -> bool:
    """Say whether an unknown key of an entry is probably meant to be `field`."""
    known = _properties(schema.document("spec")["$defs"]["entry"])
    mistaken = next((one for one in known if _is_mistaken(key, one, known)), "")
    return (mistaken or meant(key, known)) == field


def _is_mistaken(key: str, field: str, properties: Mapping[str, Any]) -> bool:
    return key.lower() in properties.get(field, {}).get("x-mistaken", ())


def shown(value: Any) -> str:
    """Return a value as a message names it: short, on one line, without control characters."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return _TYPES["object" if isinstance(value, dict) else "array"]
    text = secret.mask(str(value))
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "`" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) + "`"


def named(path: tuple[str | int, ...]) -> str:
    """Return how a message names a field: `references[2].file`, without the entry's number."""
    parts = path[2:] if path[:1] == ("entries",) and len(path) > 2 else path
    words = ""
    for part in parts:
        word = _IN_THE_SPEC.get(part, part) if isinstance(part, str) else part
        words += f"[{word}]" if isinstance(word, int) else f".{word}"
    return shown(words.removeprefix(".")) if words else "the spec"


# ── one function a rule: (code, message, why, fix) ──────────────────────────────────────────

_Words = tuple[str, str, str, str]


def _type(v: Violation) -> _Words:
    expected = [v.expected] if isinstance(v.expected, str) else list(v.expected)
    name, kinds = named(v.path), _either(_TYPES.get(one, one) for one in expected)
    if v.value is None:
        return (
            "empty-value",
            f"{name} has no value; it must be {kinds}",
            "",
            f"Give it a value{_such_as(v)}, or remove the key.",
        )
    message = f"{name} must be {kinds}, not {_kind(v.value)}"
    if isinstance(v.value, str) and (number := _number(v.value, expected)):
        message = f"{name} must be {kinds} without quotes"
        return "wrong-type", message, "", f"Write `{_written(v.path, number)}`."
    if isinstance(v.value, str) and "boolean" in expected and v.value.lower() in _BOOLEANS:
        right = _BOOLEANS[v.value.lower()]
        return "wrong-type", message, "", f"Write `{_written(v.path, right)}`."
    if "string" in expected and not isinstance(v.value, (dict, list)):
        quoted = _written(v.path, f'"{str(v.value).lower() if v.value in (0, 1) else v.value}"')
        return "wrong-type", message, "", f"Put it in quotes: `{quoted}`."
    if expected == ["array"] and isinstance(v.value, dict):
        return "wrong-type", message, "", "Write a list: a line that starts with `- ` for each."
    if expected == ["object"] and len(v.path) == 2 and v.path[0] == "entries":
        return "wrong-type", message, "", f"Write `- prompt: {shown(v.value)[1:-1]}`."
    if expected == ["array"]:
        listed = _written(v.path, f"[{shown(v.value)[1:-1]}]")
        return "wrong-type", message, "", f"Write a list: `{listed}`."
    return "wrong-type", message, "", f"Write {kinds}{_such_as(v)}."


def _enum(v: Violation) -> _Words:
    choices = [v.expected] if v.keyword == "const" else list(v.expected)
    name, words = named(v.path), [_plain(one) for one in choices]
    if not isinstance(v.value, (dict, list)) and _plain(v.value) in words:
        right = _plain(v.value)
        message = f"{name} must be {right} " + (
            "without quotes" if isinstance(v.value, str) else "as text, in quotes"
        )
        right = right if isinstance(v.value, str) else f'"{right}"'
        return "wrong-type", message, "", f"Write `{_written(v.path, right)}`."
    near = meant(str(v.value), words) if not isinstance(v.value, (dict, list)) else ""
    question = f"; did you mean `{near}`?" if near else ""
    sure = near and letters(near) == letters(str(v.value))
    why = f"It must be {_either(words)}." if len(words) > 1 else f"It can only be {words[0]}."
    right = near or (words[0] if len(words) == 1 else "")
    fix = f"Write `{_written(v.path, right)}`." if right else "Write one of these."
    message = f"{name} cannot be {shown(v.value)}{question}"
    return ("near-miss" if sure else "unknown-value"), message, why, fix


def _missing(v: Violation) -> _Words:
    key = next((one for one in v.expected if one not in v.value), v.expected[0])
    owner = ""
    if not v.path:
        owner = "the entry" if "model" in v.schema else "the spec"
    elif v.path[0] == "entries" and len(v.path) == 2:
        owner = "the entry"
    part = _properties(v.schema).get(key, {})
    example = _example(part) or _plain(part.get("const", "…"))
    why = str(part.get("description", ""))
    return (
        "missing-key",
        f"{owner or named(v.path)} has no `{key}`",
        why,
        f"Add `{key}: {example}`.",
    )


def _unknown(v: Violation) -> _Words:
    key, parent = str(v.path[-1]), v.path[:-1]
    properties = _properties(v.schema)
    known = [one for one in v.expected if not properties.get(one, {}).get("deprecated")]
    mistaken = [one for one in known if _is_mistaken(key, one, properties)]
    near = mistaken[0] if mistaken else ""
    homes = [] if near else [words for where, words in _homes(key) if where != _home(parent)]
    near = near or ("" if homes else meant(key, known))
    where = _where(parent, v.schema)
    if near:
        message = f"there is no {shown(key)} {where}; did you mean `{near}`?"
        return "unknown-key", message, _description(properties, near), f"Write `{near}:` instead."
    if homes:
        message = f"you wrote {shown(key)} {where}; it belongs {homes[0]}"
        return "misplaced-key", message, "", f"Put it {homes[0]}."
    why = f"Known here: {', '.join(known)}." if known else "No key is known here."
    return "unknown-key", f"there is no {shown(key)} {where}", why, "Remove it, or mend its name."


def _bound(v: Violation) -> _Words:
    rule = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "exclusiveMinimum": "more than {}",
        "exclusiveMaximum": "less than {}",
        "multipleOf": "a multiple of {}",
    }[v.keyword].format(v.expected)
    fix = f"Write a number that is {rule}{_such_as(v)}."
    if v.keyword in ("minimum", "maximum"):
        fix = f"Write `{_written(v.path, v.expected)}`, or a number between the limits."
    return "out-of-range", f"{named(v.path)} must be {rule}; it is {shown(v.value)}", "", fix


def _form(v: Violation) -> _Words:
    if isinstance(v.value, str) and not v.value.strip():
        return _length(v)
    form = v.schema.get("x-form", "")
    message = f"{named(v.path)} cannot be {shown(v.value)}"
    why = f"It must be {form}." if form else str(v.schema.get("description", ""))
    if number := _number(str(v.value), ("integer", "number")):
        why = why or f"{number} alone is not enough."
    return "wrong-form", message, why, f"Write it{_such_as(v) or ' as the description says'}."


def _length(v: Violation) -> _Words:
    name = named(v.path)
    if v.keyword == "maxLength":
        message = f"{name} is {len(v.value):,} characters long; at most {v.expected:,} are allowed"
        return "too-long", message, "", "Make it shorter."
    if len(v.value) == 0 or v.keyword == "pattern" or not str(v.value).strip():
        fix = f"Give it a value{_such_as(v)}, or remove the key."
        return "empty-value", f"{name} is empty", "", fix
    message = f"{name} must have at least {v.expected} characters"
    return "wrong-form", message, "", f"Write it{_such_as(v)}."


def _count(v: Violation) -> _Words:
    name, count = named(v.path), len(v.value)
    if v.keyword in ("maxItems", "maxProperties"):
        message = f"{name} holds {count}; at most {v.expected} are allowed"
        return "too-many", message, "", f"Take {count - v.expected} away."
    if count == 0:
        fix = "Put something in, or remove the key."
        return "empty-value", f"{name} is empty", "", fix
    message = f"{name} holds {count}; at least {v.expected} are needed"
    return "too-few", message, "", f"Add {v.expected - count}."


def _forbidden(v: Violation) -> _Words:
    return "not-available", f"{named(v.path)} cannot be used with this model", "", "Remove it."


def _repeated(v: Violation) -> _Words:
    return "repeated", f"{named(v.path)} has the same value twice", "", "Remove one of them."


def _alternatives(v: Violation) -> _Words:
    branches = [one for one in v.expected if isinstance(one, dict)]
    needs = [one["required"][0] for one in branches if set(one) == {"required"}]
    if needs and len(needs) == len(branches):
        owner = named(v.path)
        fix = f"Add {_either(f'`{one}:`' for one in needs)}."
        return "missing-key", f"{owner} has no {_either(f'`{one}`' for one in needs)}", "", fix
    fix = f"Write it{_such_as(v) or ' as the description says'}."
    message = f"{named(v.path)} cannot be {shown(v.value)}"
    return "wrong-form", message, str(v.schema.get("description", "")), fix


def _other(v: Violation) -> _Words:
    words = str(v.message)
    words = words if len(words) <= 2 * _SHOWN else words[: 2 * _SHOWN] + "…"
    clean = "".join(c if c.isprintable() else " " for c in words)
    return "not-allowed", f"{named(v.path)} breaks the rule `{v.keyword}`", clean, "Mend the value."


_WORDING: dict[str, Callable[[Violation], _Words]] = {
    "type": _type,
    **dict.fromkeys(("enum", "const"), _enum),
    "required": _missing,
    **dict.fromkeys(("additionalProperties", "unevaluatedProperties"), _unknown),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _bound
    ),
    "pattern": _form,
    **dict.fromkeys(("minLength", "maxLength"), _length),
    **dict.fromkeys(("minItems", "maxItems", "minProperties", "maxProperties"), _count),
    "not": _forbidden,
    "uniqueItems": _repeated,
    **dict.fromkeys(("anyOf", "oneOf"), _alternatives),
}


# ── small words ─────────────────────────────────────────────────────────────────────────────


def _either(words: Iterable[str]) -> str:
    *first, last = list(words) or [""]
    return f"{', '.join(first)} or {last}" if first else last


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return _TYPES["object" if isinstance(value, dict) else "array"]
    kind = "text" if isinstance(value, str) else "the number"
    return shown(value) if isinstance(value, bool) else f"{kind} {shown(value)}"


def _number(value: str, expected: Iterable[str]) -> str:
    """Return `value` when it is a number in quotes and a number was expected, else `""`."""
    whole = re.fullmatch(r"[-+]?\d{1,18}", value.strip())
    broken = "number" in expected and re.fullmatch(r"[-+]?\d{1,18}\.\d{1,18}", value.strip())
    wanted = {"integer", "number"} & set(expected)
    return value.strip() if wanted and (whole or broken) else ""


def _written(path: tuple[str | int, ...], value: Any) -> str:
    key = path[-1] if path else ""
    return f"{key}: {value}" if isinstance(key, str) and key else f"- {value}"


def _example(part: Mapping[str, Any]) -> str:
    example = next(iter(part.get("examples", ())), part.get("default"))
    if isinstance(example, (dict, list)):
        return "…"
    text = "" if example is None else _plain(example)
    return f'"{text}"' if re.match(r"[\W_]", text) else text


def _such_as(v: Violation) -> str:
    examples = v.schema.get("examples", ())
    flat = [_plain(one) for one in examples if not isinstance(one, (dict, list))]
    flat = [one for one in flat if len(one) <= _SHORT] or flat[:1]
    flat = [one for one in flat if len(one) <= _SHOWN]
    return f", such as {_either(f'`{_written(v.path, one)}`' for one in flat[:2])}" if flat else ""


def _properties(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a schema, those behind its `$ref` into the spec's included."""
    found: dict[str, Any] = {}
    if name := str(part.get("$ref", "")).removeprefix("#/$defs/"):
        found |= _properties(schema.document("spec")["$defs"].get(name, {}))
    found |= part.get("properties", {})
    return found


def _description(properties: Mapping[str, Any], key: str) -> str:
    return str(properties.get(key, {}).get("description", ""))


@cache
def _places() -> tuple[tuple[str, str, frozenset[str]], ...]:
    """Return each place a key can stand in: its name, how to say it, and its keys."""
    spec = schema.document("spec")
    parts = spec["$defs"]
    run = parts["run"]["properties"]
    return (
        ("run", "under `run:`", frozenset(run)),
        ("entry", "in an entry, or under `defaults:`", frozenset(_properties(parts["fields"]))),
        ("entry", "in an entry", frozenset(_properties(parts["entry"]))),
        ("", "at the top of the spec", frozenset(spec["properties"])),
        ("output", "under `output:`", frozenset(parts["output"]["properties"])),
        ("run.timeouts", "under `run: timeouts:`", frozenset(run["timeouts"]["properties"])),
        ("run.webhook", "under `run: webhook:`", frozenset(run["webhook"]["properties"])),
    )


def _homes(key: str) -> list[tuple[str, str]]:
    return [(where, words) for where, words, keys in _places() if key in keys]


def _home(parent: tuple[str | int, ...]) -> str:
    if parent[:1] == ("entries",) and len(parent) == 2:
        return "entry"
    return ".".join(str(part) for part in parent)


def _where(parent: tuple[str | int, ...], part: Mapping[str, Any]) -> str:
    if not parent:
        return f"in a request to {part['model']}" if "model" in part else "at the top of a spec"
    if parent[0] == "entries" and len(parent) == 2:
        return "in an entry"
    return f"under {named(parent)}"
