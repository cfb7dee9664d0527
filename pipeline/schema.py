"""Finds and reads the JSON Schemas: every limit and every default comes from here.

The only importer of the two JSON Schema libraries. The compiled one answers "is it valid", fast;
the exact one explains, only when the answer was no. Both are loaded when first needed.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema import ValidationError


@cache
def folder() -> Path:
    """Return the folder of the schemas: inside the wheel, or beside the package in a checkout."""
    here = Path(__file__).parent
    return next(path for path in (here / "schemas", here.parent / "schemas") if path.is_dir())


@cache
def document(name: str) -> dict[str, Any]:
    """Return one schema by its short name: `spec`, `manifest`, `api` or a model's name.

    Raises `InputError` when there is none. Callers share the document and must not change it.
    """
    for path in (
        folder() / f"{name}.schema.json",
        folder() / f"{name}.json",
        folder() / "models" / f"{name}.json",
    ):
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
    raise InputError(f"there is no schema named {name!r}", fix=f"Known: {', '.join(names())}.")


def names() -> list[str]:
    """Return the short names of every schema that ships."""
    top = sorted(
        path.name.removesuffix(".json").removesuffix(".schema") for path in folder().glob("*.json")
    )
    return [*top, *sorted(path.stem for path in (folder() / "models").glob("*.json"))]


def api(*path: str) -> Any:
    """Return a fact of `schemas/api.json`, such as `api("idempotency", "trusted_seconds")`."""
    fact: Any = document("api")
    for name in path:
        fact = fact[name]
    return fact


def defaults(definition: str) -> dict[str, Any]:
    """Return the default of every property of a definition in the spec's schema.

    A property without a default is absent. Nested objects give nested defaults.
    """
    root = document("spec")
    return _defaults({"properties": _known(root["$defs"][definition], root)})


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, part in schema.get("properties", {}).items():
        if "default" in part:
            found[name] = part["default"]
        elif nested := _defaults(part):
            found[name] = nested
    return found


# ── models ──────────────────────────────────────────────────────────────────────────────────


MODELS = "BANANA_BATCH_MODELS"
_SHARED_MODELS = 512
"""Model files that are kept once read; nobody has so many."""


def models(*extra: Path) -> dict[str, Model]:
    """Return every known model by name: those that ship, then those in the `extra` folders.

    A later file replaces an earlier one of the same model. Raises `InputError` naming the file
    that cannot be read or is no model file. A file is read again only when it has changed.
    """
    found: dict[str, Model] = {}
    shipped = folder() / "models"
    for place in (shipped, *extra):
        if not place.is_dir():
            raise InputError(
                f"the models folder {place} does not exist",
                fix="Mend `models:` in the spec, or BANANA_BATCH_MODELS.",
            )
        for path in sorted(place.glob("*.json")):
            model = _model_at(path, trusted=place is shipped)
            found[model.name] = model
    return found


def model_folders(environ: Mapping[str, str], cwd: Path) -> list[Path]:
    """Return the folders that BANANA_BATCH_MODELS names, separated as in PATH."""
    named = environ.get(MODELS, "")
    return [cwd / one for one in named.split(os.pathsep) if one]


def model(card: Any) -> Model:
    """Return the model that a model file describes. Raises `ValueError` saying what is wrong.

    What is wrong is told in one line, with the way to it.
    """
    rule = _model_rule()
    if not rule.valid(card):
        wrong = rule.violations(card)[0]
        way = "/".join(str(step) for step in wrong.path) or "the file as a whole"
        raise ValueError(f"{way}: {wrong.message[:200]}")
    Validator.check(card)
    return _model(card)


@cache
def _model_rule() -> Validator:
    return Validator(document("model"))


def _model_at(path: Path, *, trusted: bool) -> Model:
    try:
        status = path.stat()
        return _model_as_of(path, status.st_mtime_ns, status.st_size, trusted)
    except (OSError, ValueError, RecursionError) as error:
        said = getattr(error, "strerror", None) or str(error) or "it is nested too deeply"
        raise InputError(
            f"{path} is not a model file: {said}",
            why="A model file is the JSON Schema of the request, with x-references and x-price.",
            fix="Compare it with one that ships:\n"
            "  banana-batch schema gemini-3.1-flash-lite-image",
        ) from error


@lru_cache(maxsize=_SHARED_MODELS)
def _model_as_of(path: Path, _changed: int, _size: int, trusted: bool) -> Model:
    # Those that ship are held against the same rule by a test, so that no command waits for it.
    card = json.loads(path.read_text(encoding="utf-8"))
    return _model(card) if trusted else model(card)


def _model(card: dict[str, Any]) -> Model:
    references = card["x-references"]
    return Model(
        name=card["model"],
        title=card["title"],
        request=card,
        max_references=references["max"],
        max_reference_bytes=references["max_bytes"],
        reference_types=tuple(references["media_types"]),
        suggested_roles=references["suggested"],
        card=card,
    )


# ── validating ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which an instance breaks its schema.

    `path` leads to the offending value; `keyword` is the rule it breaks and `expected` the
    rule's value; `schema` the part of the schema that holds the rule, with the description and
    examples of the field it belongs to. For `additionalProperties` the `path` ends in the unknown
    key itself and `expected` lists the known ones; for `required`, `expected` is the list of the
    one key that is missing. Of an `anyOf`, the branch that was meant is told, where one was.
    """

    path: tuple[str | int, ...]
    keyword: str
    expected: Any
    value: Any
    message: str
    schema: Mapping[str, Any]


class Validator:
    """Checks instances against one schema: fast while all is well, exact when it is not."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._fast: Any = None
        self._exact: Any = None

    @staticmethod
    def check(schema: Mapping[str, Any]) -> None:
        """Raise `ValueError` when `schema` itself is not a valid JSON Schema."""
        import jsonschema_rs

        try:
            jsonschema_rs.Draft202012Validator(dict(schema), offline=True)
            _check_patterns(schema)
        except (ValueError, RecursionError, re.error) as error:
            said = str(error).strip().partition("\n")[0]
            raise ValueError(f"it is no JSON Schema: {said[:200]}") from None

    def valid(self, instance: Any) -> bool:
        """Say whether `instance` obeys the schema. Made of plain dicts, lists and scalars only."""
        if self._fast is None:
            import jsonschema_rs

            self._fast = jsonschema_rs.Draft202012Validator(dict(self._schema), offline=True)
        return bool(self._fast.is_valid(instance))

    def violations(self, instance: Any) -> list[Violation]:
        """Return everything wrong with `instance`, in document order; empty when it is valid."""
        if self._exact is None:
            self._exact = _exact_kind()(self._schema)
        found = [
            one
            for error in self._exact.iter_errors(instance)
            for one in _violations(error, self._schema)
        ]
        # The library reports each missing key once for every missing key.
        distinct = {(one.path, one.keyword, repr(one.expected)): one for one in found}
        return sorted(
            distinct.values(),
            key=lambda one: [(isinstance(p, str), str(p).zfill(9)) for p in one.path],
        )


@cache
def _exact_kind() -> type[Any]:
    """Return the exact validator, with the patterns of the fast one: they differ in dialect."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        if isinstance(instance, str) and not _pattern(wanted).is_valid(instance):
            yield ValidationError(f"{instance!r} does not match {wanted!r}")

    kind: type[Any] = extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call] # the library has no types for it
    return kind


@cache
def _pattern(wanted: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator({"pattern": wanted})


def _check_patterns(part: Any) -> None:
    """Raise `re.error` for names of keys that only one of the two libraries understands."""
    if isinstance(part, dict):
        for key, inner in part.items():
            for pattern in inner if key == "patternProperties" else ():
                re.compile(pattern)
            _check_patterns(inner)
    elif isinstance(part, list):
        for inner in part:
            _check_patterns(inner)


_TEMPLATE = "${{"
_ABOUT = ("description", "examples", "default", "x-refused", "x-form")


def _violations(
    error: ValidationError, root: Mapping[str, Any], about: Mapping[str, Any] | None = None
) -> Iterator[Violation]:
    """Turn one error into violations: the branch that was meant, one for each unknown key."""
    path, keyword = tuple(error.absolute_path), str(error.validator)
    schema = {**(about or {}), **(error.schema if isinstance(error.schema, dict) else {})}
    value: Any = error.instance
    rule: Any = error.validator_value
    if keyword in ("anyOf", "oneOf") and error.context:
        yield from _meant_branch(error, root, schema)
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        properties = _known(schema, root)
        for key in value:
            if key not in properties:
                yield Violation(
                    (*path, key),
                    "additionalProperties",
                    sorted(properties),
                    value[key],
                    error.message,
                    {**schema, "properties": properties},
                )
    elif keyword == "required":
        for key in rule:
            if key not in value:
                yield Violation(path, keyword, [key], value, error.message, schema)
    else:
        yield Violation(path, keyword, rule, value, error.message, schema)


def _meant_branch(
    error: ValidationError, root: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[Violation]:
    """Explain a failed `anyOf`: by the branch that was meant, by the types, or as a whole."""
    branches: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(int(inner.schema_path[0]), []).append(inner)
    meant = [
        inner for inner in branches.values() if not _is_template_branch(inner, error.instance)
    ] or list(branches.values())
    wrong_types = [one for inner in meant if (one := _own_type(inner, error))]
    fitting = [inner for inner in meant if not _own_type(inner, error)]
    if len(meant) > 1 and len(fitting) > 1:
        depths = [max(len(one.absolute_path) for one in inner) for inner in fitting]
        deepest = [
            inner for inner, depth in zip(fitting, depths, strict=True) if depth == max(depths)
        ]
        fitting = deepest if len(deepest) == 1 else []
        wrong_types = []
    if len(meant) == 1 or len(fitting) == 1:
        about = {key: schema[key] for key in _ABOUT if key in schema}
        for one in (fitting or meant)[0]:
            own = one.absolute_path == error.absolute_path
            yield from _violations(one, root, about if own else None)
        return
    path, keyword = tuple(error.absolute_path), str(error.validator)
    rule: Any = error.validator_value
    if wrong_types:
        kinds: list[Any] = [one.validator_value for one in wrong_types]
        rule = [kind for each in kinds for kind in ([each] if isinstance(each, str) else each)]
        keyword = "type"
    yield Violation(path, keyword, rule, error.instance, error.message, schema)


def _is_template_branch(inner: list[ValidationError], value: Any) -> bool:
    """Say whether a branch only lets templates in, and the value is none."""
    is_template = isinstance(value, str) and _TEMPLATE in value
    return not is_template and any(
        isinstance(one.schema, dict) and one.schema.get("pattern") == r"\$\{\{" for one in inner
    )


def _own_type(inner: list[ValidationError], outer: ValidationError) -> ValidationError | None:
    """Return the error that says the value's own type does not fit the branch."""
    return next(
        (
            one
            for one in inner
            if one.validator == "type" and one.absolute_path == outer.absolute_path
        ),
        None,
    )


def _known(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that a schema knows, those behind its `$ref` included."""
    found = dict(schema.get("properties", {}))
    reference = schema.get("$ref", "")
    if reference.startswith("#/$defs/"):
        found |= _known(root["$defs"][reference.removeprefix("#/$defs/")], root)
    return found
