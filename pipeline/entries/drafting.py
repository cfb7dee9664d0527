"""One entry out of an item and the names of the moment: texts filled in, limits checked, jobs made.

The names are filled by `expansion`; whatever is wrong is reported at the field it was written in.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline import price
from pipeline.entries.checking import Checker, Draft
from pipeline.entries.fault import Fault
from pipeline.entries.fingerprint import canonical, fingerprint
from pipeline.entries.identity import made_id
from pipeline.entries.limits import limit
from pipeline.entries.prompts import prompt_text
from pipeline.entries.recipe import Part
from pipeline.entries.references import References
from pipeline.entries.scribe import Scribe
from pipeline.entries.template import Templates, Unknown
from pipeline.explain import shown
from pipeline.model import Entry, Job
from pipeline.schema import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pipeline.entries.complaints import Complaints
    from pipeline.entries.fields import Field
    from pipeline.entries.naming import Naming
    from pipeline.entries.recipe import Recipe
    from pipeline.entries.register import Register
    from pipeline.model import Model, Reference

_PROMPT_FILES_KEPT = 256


class Drafter:
    """Makes entries. Shares what it learns of files and models between all of them."""

    def __init__(
        self,
        models: Mapping[str, Model],
        templates: Templates,
        names: dict[str, Any],
        naming: Naming | None,
        name_field: Field,
        register: Register,
        complaints: Complaints,
    ) -> None:
        self._templates = templates
        self._names = names
        self._naming = naming
        self._name_field = name_field
        self._register = register
        self._scribe = Scribe(complaints)
        self._checker = Checker(models, self._scribe)
        self._references = References()
        self._prompt_file = lru_cache(maxsize=_PROMPT_FILES_KEPT)(prompt_text)
        self._no_id = Unknown(
            "`id` has no value here: it is known once the entry's own `id:` is filled in",
            "Give the entry an `id:`. A column of that name is `row['id']`.",
        )

    def entry(self, recipe: Recipe, position: int, within: Callable[[], str]) -> Entry | None:
        """Return the entry, or None when it is switched off or something is wrong with it.

        `within` says, when asked, which row or combination this is. Whatever is wrong is
        reported, however much it is; what could only follow from it is not.
        """
        self._scribe.begin(within, recipe.muted)
        self._names["id"] = self._no_id
        before = self._scribe.errors
        if not self._enabled(recipe):
            return None
        draft = self._draft(recipe)
        model = self._checker.model(recipe, draft)
        draft.references = self._found(recipe, model)
        self._checker.check(recipe, model, draft)
        if recipe.broken or self._scribe.errors > before:
            self._reserve(recipe, draft, model)
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
            self._scribe.error(fault, part.field)
            return ""

    def _enabled(self, recipe: Recipe) -> bool:
        switch = recipe.enabled
        if isinstance(switch, bool):
            return switch
        before = self._scribe.errors
        word = self._filled(switch).strip().lower()
        if word not in ("true", "false") and self._scribe.errors == before:
            self._scribe.violation(
                Violation(("enabled",), "type", "boolean", word, "", {}), switch.field, varies=True
            )
        return word != "false"

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
        before = self._scribe.errors
        name = self._filled(part)
        if self._scribe.errors > before:
            return ""
        if not name.strip():
            self._scribe.error(
                Fault(
                    "empty-value",
                    "the `id` is empty",
                    why="The id names the entry's files and its line in the manifest.",
                    fix="Give it a value, or remove the key: an id is then made from the prompt.",
                ),
                part.field,
            )
        elif len(name) > limit("id_characters"):
            self._scribe.error(
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
            self._scribe.error(fault, part.field)
            return ""
        try:
            return self._templates.text(text).render()
        except Fault as fault:
            fault.message = f"in the prompt file {shown(written)}: {fault.message}"
            self._scribe.error(fault, part.field)
            return ""

    def _number(self, recipe: Recipe, written: Any) -> int:
        """Return how many images are asked for; 1 when it is not said, or wrong."""
        if written is None:
            return 1
        if not isinstance(written, str):
            return int(written)  # a whole number: `2.0` is one too
        text = written.strip()
        if text.isascii() and text.isdigit() and len(text) <= len(str(limit("images_per_entry"))):
            return int(text)
        if not self._scribe.failed(recipe.field("n")):
            rule = Violation(("n",), "type", "integer", text, "", {})
            self._scribe.violation(rule, recipe.field("n"), varies=True)
        return 1

    # ── references ──────────────────────────────────────────────────────────────────────────

    def _found(self, recipe: Recipe, model: Model) -> tuple[Reference, ...]:
        if not recipe.references:
            return ()
        found: list[Reference] = []
        for part, role in recipe.references:
            before = self._scribe.errors
            written = self._filled(part)
            if self._scribe.errors > before or (not written and part.lone):
                continue
            try:
                found += self._references.find(
                    written,
                    role,
                    part.field.document.folder,
                    model,
                    lambda fault, part=part: self._scribe.warning(
                        fault, part.field, varies=part.varies
                    ),  # type: ignore[misc] # mypy cannot infer a default
                )
            except Fault as fault:
                self._scribe.error(fault, part.field, varies=part.varies)
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
                self._scribe.warning(fault, recipe.field("references"), varies=True)

    # ── jobs ────────────────────────────────────────────────────────────────────────────────

    def _reserve(self, recipe: Recipe, draft: Draft, model: Model) -> None:
        """Take the id of an entry that has errors, and its files when their names are known."""
        if not draft.name.strip() or self._scribe.failed(recipe.field("id")):
            return
        try:
            self._register.take_id(draft.name)
        except Fault as fault:
            self._scribe.error(fault, recipe.field("id"), varies=recipe.varies("id"))
            return
        named = (recipe.field(name) for name in ("model", "size", "n", "tags"))
        if not any(self._scribe.failed(field) for field in named):
            self._stems(recipe, draft, draft.name, model)
        elif self._naming:
            self._try_naming(self._naming)

    def _try_naming(self, naming: Naming) -> None:
        try:
            naming.rehearse()
        except Fault as fault:
            self._scribe.error(fault, self._name_field, varies=False)

    def _entry(self, recipe: Recipe, draft: Draft, model: Model, position: int) -> Entry | None:
        request = canonical(draft.request)
        identities = [one.identity for one in draft.references]
        first = fingerprint(request, identities, 1)
        try:
            name = self._named(draft)
        except Fault as fault:
            self._scribe.error(fault, recipe.field("id"), varies=recipe.varies("id"))
            return None
        twin = self._register.note_request(first, name)
        if twin:
            self._scribe.warning(twin, recipe.prompt.field, varies=True)
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
        if self._naming is None:
            return None
        indexes = range(1, draft.n + 1)
        size = str(draft.request.get("size", ""))
        try:
            stems = self._naming.stems(name, indexes, model.name, size, draft.tags)
        except Fault as fault:
            self._scribe.error(fault, self._name_field)
            return None
        try:
            for one in stems:
                self._register.take_file(one, name)
        except Fault as fault:
            self._scribe.error(fault, recipe.field("id"))
            return None
        return stems
