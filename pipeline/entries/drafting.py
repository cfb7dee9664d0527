"""One entry out of an item and the names of the moment: texts filled in, limits checked, jobs made.

The names are filled by `expansion`; whatever is wrong is reported at the field it was written in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline import price
from pipeline.entries.fault import Fault
from pipeline.entries.fingerprint import canonical, fingerprint
from pipeline.entries.identity import made_id
from pipeline.entries.limits import limit
from pipeline.entries.prompts import prompt_text
from pipeline.entries.recipe import Part
from pipeline.entries.references import References
from pipeline.explain import explain, meant, shown
from pipeline.model import Entry, Job
from pipeline.schema import Validator, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pipeline.entries.complaints import Complaints
    from pipeline.entries.fields import Field
    from pipeline.entries.naming import Naming
    from pipeline.entries.recipe import Recipe
    from pipeline.entries.register import Register
    from pipeline.entries.template import Templates
    from pipeline.model import Model, Reference

_FIELD_OF = {"image_urls": "references"}
_PLACEHOLDER = "https://example.com/reference.png"
"""Stands for a reference while a request is checked; the engine puts real addresses in."""
_UNPREDICTABLE = "auto"
_PROMPT_FILES_KEPT = 256


class Wrong(Exception):
    """The entry cannot be made; why was reported."""


@dataclass(slots=True)
class Draft:
    """An entry on its way: what its texts came to."""

    name: str
    own_prompt: str
    request: dict[str, Any]
    n: int
    references: tuple[Reference, ...]
    tags: tuple[str, ...]
    webhook: str


class Drafter:
    """Makes entries. Shares what it learns of files and models between all of them."""

    def __init__(
        self,
        models: Mapping[str, Model],
        templates: Templates,
        names: dict[str, Any],
        naming: Naming,
        name_field: Field,
        register: Register,
        complaints: Complaints,
    ) -> None:
        self._models = models
        self._cards: dict[str, tuple[Validator, dict[str, Any]]] = {}
        self._templates = templates
        self._names = names
        self._naming = naming
        self._name_field = name_field
        self._register = register
        self._complaints = complaints
        self._references = References()
        self._prompt_file = lru_cache(maxsize=_PROMPT_FILES_KEPT)(prompt_text)
        self._within: Callable[[], str] = str
        self._failed: set[tuple[str | int, ...]] = set()
        self._no_id = templates.unknown(
            "id",
            "`id` has no value here: it is known once the entry's own `id:` is filled in",
            "Give the entry an `id:`. A column of that name is `row['id']`.",
        )

    def entry(self, recipe: Recipe, position: int, within: Callable[[], str]) -> Entry | None:
        """Return the entry, or None when it is switched off or something is wrong with it.

        `within` says, when asked, which row or combination this is.
        """
        self._within = within
        self._failed.clear()
        self._names["id"] = self._no_id
        before = self._complaints.errors
        if not self._enabled(recipe):
            return None
        draft = self._draft(recipe)
        model = self._model(recipe, draft)
        if model is None:
            return None
        self._fill_defaults(model, draft)
        references = self._found(recipe, model)
        self._check(recipe, model, draft, len(references))
        draft.references = references
        if self._complaints.errors > before:
            return None
        return self._entry(recipe, draft, model, position)

    # ── filling in ──────────────────────────────────────────────────────────────────────────

    def _filled(self, part: Part | None) -> str:
        if part is None:
            return ""
        fixed = part.text.fixed
        if fixed is not None:
            return fixed
        try:
            return part.text.render()
        except Fault as fault:
            self._error(fault, part.field)
            return ""

    def _enabled(self, recipe: Recipe) -> bool:
        switch = recipe.enabled
        if isinstance(switch, bool):
            return switch
        before = self._complaints.errors
        word = self._filled(switch).strip().lower()
        if word not in ("true", "false") and self._complaints.errors == before:
            self._violation(
                Violation(("enabled",), "type", "boolean", word, "", {}), switch.field, varies=True
            )
        return word == "true"

    def _draft(self, recipe: Recipe) -> Draft:
        name = self._id(recipe)
        own = self._filled(recipe.prompt)
        if recipe.prompt_is_file and own:
            own = self._from_file(recipe.prompt, own)
        request: dict[str, Any] = {
            key: self._filled(value) if isinstance(value, Part) else value
            for key, value in recipe.parameters
        }
        request["prompt"] = self._filled(recipe.prefix) + own + self._filled(recipe.suffix)
        n = self._number(recipe, request.get("n"))
        tags = tuple(text for part in recipe.tags if (text := self._filled(part)) or not part.lone)
        return Draft(name, own, request, n, (), tags, self._filled(recipe.webhook))

    def _id(self, recipe: Recipe) -> str:
        part = recipe.id
        if part is None:
            return ""
        before = self._complaints.errors
        name = self._filled(part)
        if self._complaints.errors > before:
            return ""
        if not name.strip():
            self._error(
                Fault(
                    "empty-value",
                    "the `id` is empty",
                    why="The id names the entry's files and its line in the manifest.",
                    fix="Give it a value, or remove the key: an id is then made from the prompt.",
                ),
                part.field,
            )
        elif len(name) > limit("id_characters"):
            self._error(
                Fault(
                    "too-long",
                    f"the `id` is {len(name):,} characters long; at most"
                    f" {limit('id_characters'):,} are allowed",
                    fix="Make it shorter.",
                ),
                part.field,
            )
        self._names["id"] = name
        return name

    def _from_file(self, part: Part, written: str) -> str:
        folder: Path = part.field.document.folder
        try:
            text = self._prompt_file(folder / written, written)
        except Fault as fault:
            self._error(fault, part.field)
            return ""
        try:
            return self._templates.text(text).render()
        except Fault as fault:
            fault.message = f"in the prompt file {shown(written)}: {fault.message}"
            self._error(fault, part.field)
            return ""

    def _number(self, recipe: Recipe, written: Any) -> int:
        """Return how many images are asked for; 1 when it is not said, or wrong."""
        if written is None:
            return 1
        if isinstance(written, int):
            return int(written)
        text = written.strip()
        if text.isascii() and text.isdigit() and len(text) <= len(str(limit("images_per_entry"))):
            return int(text)
        if recipe.field("n").path not in self._failed:
            rule = Violation(("n",), "type", "integer", text, "", {})
            self._violation(rule, recipe.field("n"), varies=True)
        return 1

    # ── the model's limits ──────────────────────────────────────────────────────────────────

    def _model(self, recipe: Recipe, draft: Draft) -> Model | None:
        name = draft.request["model"]
        model = self._models.get(name)
        if model is None and name:
            near = meant(name, self._models)
            question = f"; did you mean {shown(near)}?" if near else ""
            fault = Fault(
                "unknown-model",
                f"there is no model {shown(name)}{question}",
                why=f"Known: {', '.join(sorted(self._models))}.",
                fix="Write one of these, or put a file for it into a `models:` folder.",
            )
            self._error(fault, recipe.field("model"), varies=_varies(recipe, "model"))
        return model

    def _fill_defaults(self, model: Model, draft: Draft) -> None:
        draft.request = {**self._card(model)[1], **draft.request}

    def _card(self, model: Model) -> tuple[Validator, dict[str, Any]]:
        """Return the model's validator and the defaults of its request."""
        if model.name not in self._cards:
            properties = model.request.get("properties", {})
            defaults = {
                key: part["default"] for key, part in properties.items() if "default" in part
            }
            self._cards[model.name] = (Validator(model.request), defaults)
        return self._cards[model.name]

    def _check(self, recipe: Recipe, model: Model, draft: Draft, references: int) -> None:
        """Report what the model's request schema, or our own bound of images, does not allow."""
        instance = {**draft.request, "n": draft.n}
        most = model.request.get("properties", {}).get("n", {}).get("maximum")
        if most == 1 and recipe.split:
            # Such a model has one image a request, so `n` only counts our own requests.
            instance["n"] = min(draft.n, 1)
        if references:
            instance["image_urls"] = [_PLACEHOLDER] * references
        if draft.webhook:
            instance["webhook"] = draft.webhook
        if draft.n > limit("images_per_entry"):
            bound = limit("images_per_entry")
            rule = Violation(("n",), "maximum", bound, draft.n, "", {})
            self._violation(rule, recipe.field("n"), varies=_varies(recipe, "n"))
        elif not self._card(model)[0].valid(instance):
            # One word for a value: an empty prompt breaks two rules, and is still just empty.
            broken = {one.path: one for one in reversed(self._card(model)[0].violations(instance))}
            for found in reversed(broken.values()):
                self._limit_broken(recipe, found)
        if draft.request.get("size") == _UNPREDICTABLE:
            self._warn_of_size(recipe)

    def _limit_broken(self, recipe: Recipe, found: Violation) -> None:
        name = str(found.path[0]) if found.path else ""
        name = _FIELD_OF.get(name, name)
        field = recipe.prompt.field if name == "prompt" else recipe.field(name)
        if field.path not in self._failed:
            varies = recipe.prompt.varies if name == "prompt" else _varies(recipe, name)
            self._violation(found, field, varies=varies)

    def _warn_of_size(self, recipe: Recipe) -> None:
        fault = Fault(
            "unpredictable-size",
            "with `size: auto` nobody knows which ratio comes back",
            why="The API recommends naming one, so that all images of a batch fit together.",
            fix="Write a ratio, such as `size: 1:1`.",
        )
        self._warning(fault, recipe.field("size"), varies=_varies(recipe, "size"))

    # ── references ──────────────────────────────────────────────────────────────────────────

    def _found(self, recipe: Recipe, model: Model) -> tuple[Reference, ...]:
        if not recipe.references:
            return ()
        found: list[Reference] = []
        for part, role in recipe.references:
            before = self._complaints.errors
            written = self._filled(part)
            if self._complaints.errors > before or (not written and part.lone):
                continue
            try:
                found += self._references.find(
                    written,
                    role,
                    part.field.document.folder,
                    model,
                    lambda fault, part=part: self._warning(fault, part.field, varies=part.varies),  # type: ignore[misc] # mypy cannot infer a default
                )
            except Fault as fault:
                self._error(fault, part.field, varies=part.varies)
        if len(found) <= model.max_references:
            self._warn_of_roles(recipe, model, found)
        return tuple(found)

    def _warn_of_roles(self, recipe: Recipe, model: Model, found: list[Reference]) -> None:
        for role, most in model.suggested_roles.items():
            count = sum(one.role == role for one in found)
            if count > most:
                fault = Fault(
                    "many-references",
                    f"there are {count} references with the role `{role}`; the API suggests at"
                    f" most {most}",
                    why="It may lose sight of some of them.",
                    fix="Take some away, or say `role:` where one shows something else.",
                )
                self._warning(fault, recipe.field("references"), varies=True)

    # ── jobs ────────────────────────────────────────────────────────────────────────────────

    def _entry(self, recipe: Recipe, draft: Draft, model: Model, position: int) -> Entry | None:
        draft.request["n"] = 1 if recipe.split else draft.n
        request = canonical(draft.request)
        identities = [one.identity for one in draft.references]
        first = fingerprint(request, identities, 1)
        try:
            name = self._named(draft)
        except Fault as fault:
            self._error(fault, recipe.field("id"), varies=recipe.id is None or recipe.id.varies)
            return None
        twin = self._register.note_request(first, name)
        if twin:
            self._warning(twin, recipe.prompt.field, varies=True)
        images = 1 if recipe.split else draft.n
        shared = {
            "entry_id": name,
            "images": images,
            "position": position,
            "model": model.name,
            "prompt": draft.request["prompt"],
            "size": str(draft.request.get("size", "")),
            "request": request,
            "references": draft.references,
            "references_as": recipe.references_as,
            "webhook": draft.webhook,
            "tags": draft.tags,
            "estimate": price.estimate(model, draft.request, len(draft.references)),
        }
        stems = self._stems(recipe, draft, name, model)
        if stems is None:
            return None
        jobs = tuple(
            Job(
                image_index=index,
                fingerprint=first if index == 1 else fingerprint(request, identities, index),
                stems=stems[index - 1 : index - 1 + images],
                **shared,
            )
            for index in range(1, draft.n + 1, images)
        )
        return Entry(name, position, recipe.place, draft.tags, jobs)

    def _named(self, draft: Draft) -> str:
        if draft.name:
            self._register.take_id(draft.name)
            return draft.name
        rest = {key: value for key, value in draft.request.items() if key != "n"}
        basis = canonical([rest, [one.source for one in draft.references]])
        return self._register.made_id(made_id(draft.own_prompt, basis))

    def _stems(
        self, recipe: Recipe, draft: Draft, name: str, model: Model
    ) -> tuple[str, ...] | None:
        indexes = range(1, draft.n + 1)
        size = str(draft.request.get("size", ""))
        try:
            stems = self._naming.stems(name, indexes, model.name, size, draft.tags)
        except Fault as fault:
            self._error(fault, self._name_field)
            return None
        try:
            for one in stems:
                self._register.take_file(one, name)
        except Fault as fault:
            self._error(fault, recipe.field("id"))
            return None
        return stems

    # ── reporting ───────────────────────────────────────────────────────────────────────────

    def _error(self, fault: Fault, field: Field, *, varies: bool = True) -> None:
        within = self._within() if varies else ""
        self._failed.add(field.path)
        self._complaints.error(fault, field.place(), field.line(), within)

    def _warning(self, fault: Fault, field: Field, *, varies: bool = True) -> None:
        within = self._within() if varies else ""
        self._complaints.warning(fault, field.place(), field.line(), within)

    def _violation(self, found: Violation, field: Field, *, varies: bool) -> None:
        within = self._within() if varies else ""
        self._complaints.add(explain(found, field.place(), field.line(), within))


def _varies(recipe: Recipe, name: str) -> bool:
    part = dict(recipe.parameters).get(name)
    if name == "references":
        return any(part.varies for part, _ in recipe.references)
    return bool(getattr(part, "varies", False))
