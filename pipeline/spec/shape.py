"""Holds a spec against `schemas/spec.schema.json`, and looks for keys that must not be in it."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline import editor, schema, secret
from pipeline.explain import explain, meant, shown
from pipeline.problem import Problem
from pipeline.schema import Validator
from pipeline.spec.source import limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.model import Model
    from pipeline.spec.document import Document

Path = tuple[str | int, ...]
_FROM_REFERENCES = "image_urls"


def check(
    document: Document, models: Mapping[str, Model], *, odd: bool
) -> Iterator[tuple[Path, Problem | None]]:
    """Yield everything wrong with the shape of a document, with the path it lies at.

    Any property that a known model's request has may stand in an entry. `odd` says whether the
    data holds numbers that are no plain scalars. A path without a problem is wrong as well, but
    only counted: too many are told already.
    """
    whole, item = _validators(_more(models))
    plain = _plain(document.data) if odd else document.data
    if whole.valid(plain):
        return
    entries = document.data.get("entries")
    if not isinstance(entries, list) or not entries:
        yield from _told(document, whole, document.data, ())
        return
    yield from _told(document, whole, {**document.data, "entries": [{}]}, ())
    told = 0
    for index, entry in enumerate(plain["entries"]):
        if item.valid(entry):
            continue
        told += 1
        if told > limit("explained_items"):
            for key in entry if isinstance(entry, dict) else ():
                yield ("entries", index, key), None
            yield ("entries", index), None
        else:
            yield from _told(document, item, entries[index], ("entries", index))
    if told > limit("explained_items"):
        yield ("entries",), _rest(document, told - limit("explained_items"))


def _told(
    document: Document, validator: Validator, data: Any, prefix: Path
) -> Iterator[tuple[Path, Problem]]:
    for found in validator.violations(data):
        violation = dataclasses.replace(found, path=(*prefix, *found.path))
        unknown = violation.keyword == "additionalProperties"
        place = document.place(violation.path, key=unknown)
        yield violation.path, explain(violation, place, document.line(place))


def _rest(document: Document, count: int) -> Problem:
    place = document.place(("entries",), key=True)
    message = f"{count:,} more entries are wrong; mend the ones above first"
    return Problem("too-many-problems", message, place, text=document.line(place))


def _more(models: Mapping[str, Model]) -> frozenset[tuple[str, bool]]:
    """Return the properties of every model's request, and whether no model will have them."""
    lists = [model.request["properties"] for model in models.values()]
    names = {name for properties in lists for name in properties} - {_FROM_REFERENCES}
    return frozenset(
        (name, all("not" in properties[name] for properties in lists if name in properties))
        for name in names
    )


@lru_cache(maxsize=8)
def _validators(extra: frozenset[tuple[str, bool]]) -> tuple[Validator, Validator]:
    """Return the rule for a whole spec and the one for a single entry."""
    # Each entry is held against its model after expansion, with the model files in force then.
    root = editor.without_rules(schema.document("spec"))
    parts = dict(root["$defs"])
    fields = parts["fields"]["properties"]
    own = {**fields, **parts["entry"]["properties"]}
    more = {key: {"deprecated": True} if refused else {} for key, refused in sorted(extra)}
    more = {key: part for key, part in more.items() if key not in own}
    parts["fields"] = {**parts["fields"], "properties": {**fields, **more}}
    whole = Validator({**root, "$defs": parts})
    return whole, Validator({**parts["entry"], "$defs": parts})


def _plain(value: Any) -> Any:
    """Return a copy made of plain scalars: the fast validator knows no other numbers."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return int(value) if isinstance(value, int) else float(value)


def unknown_model(document: Document, models: Mapping[str, Model]) -> tuple[Path, Problem] | None:
    """Return the problem with the spec's own `model`, when no model has that name."""
    name = document.data.get("model")
    if not isinstance(name, str) or not name or "${{" in name or name in models:
        return None
    near = meant(name, models)
    question = f"; did you mean `{near}`?" if near else ""
    place = document.place(("model",))
    return ("model",), Problem(
        "unknown-model",
        f"there is no model {shown(name)}{question}",
        place,
        fix=f"Write `model: {near}`." if near else "Write one of these:\n  banana-batch models",
        text=document.line(place),
    )


# ── keys ────────────────────────────────────────────────────────────────────────────────────


def secrets(document: Document) -> Iterator[tuple[Path, Problem]]:
    """Yield a problem for everything that looks like an API key; none of them is ever shown.

    Keys are found by their own look anywhere in the text, comments included, and by the name
    they stand under.
    """
    source = document.source
    hidden = set()
    for start, end in secret.find(source.text):
        key = source.text[start:end]
        if key not in hidden:
            hidden.add(key)
            source.hide(key)
            yield (), _secret(document, source.place(start))
    for path, value in list(_named(document.data)):
        if not secret.find(value):
            source.hide(value)
            yield path, _secret(document, document.place(path))


def _secret(document: Document, place: Any) -> Problem:
    return Problem(
        "secret-in-spec",
        "this looks like an API key",
        place,
        why="A spec is kept in git and passed around; a key that was in it is no secret any more.",
        fix="Remove it, withdraw the key at https://apimart.ai/keys, and set a new one:\n"
        "  export APIMART_API_KEY=...",
        text=document.line(place),
    )


def _named(data: Any) -> Iterator[tuple[Path, str]]:
    """Yield every text that is a key because of the name it stands under, aliases once."""
    todo: list[tuple[Path, Any]] = [((), data)]
    seen = set()
    while todo:
        path, value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(part, (dict, list)):
                todo.append(((*path, key), part))
            elif isinstance(part, str) and isinstance(key, str) and secret.named(key, part):
                yield (*path, key), part
