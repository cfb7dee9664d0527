"""Holds one entry against the limits of its model, and against our own bound of images."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline import schema
from pipeline.entries.fault import Fault
from pipeline.entries.limits import limit
from pipeline.explain import meant, shown
from pipeline.model import Model
from pipeline.schema import Validator, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.entries.recipe import Recipe
    from pipeline.entries.scribe import Scribe
    from pipeline.model import Reference

_FIELD_OF = {"image_urls": "references"}
_PLACEHOLDER = "https://example.com/reference.png"
"""Stands for a reference while a request is checked; the engine puts real addresses in."""


_ANY = Model(
    name="",
    title="",
    request={"properties": {}},
    max_references=sys.maxsize,
    max_reference_bytes=sys.maxsize,
    reference_types=tuple(schema.api("upload", "media_types")),
    suggested_roles={},
    card={},
)
"""Stands for a model that nobody knows."""


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


@dataclass(frozen=True, slots=True)
class _Card:
    """What checking needs of a model.

    `has_n` says whether its requests have an `n`, `several` whether that may be more than 1;
    `unpredictable` are the sizes that leave the ratio to the model.
    """

    validator: Validator
    defaults: dict[str, Any]
    has_n: bool
    several: bool
    unpredictable: tuple[Any, ...]


class Checker:
    """Knows the models, and says at which field a request breaks which limit."""

    def __init__(self, models: Mapping[str, Model], scribe: Scribe) -> None:
        self._models = models
        self._scribe = scribe
        self._cards: dict[str, _Card] = {}

    def model(self, recipe: Recipe, draft: Draft) -> Model:
        """Return the model an entry names.

        When there is none such, a problem and the model that was probably meant; should none be
        near, one that allows everything, so that what no model has to do with is still checked.
        """
        field = recipe.field("model")
        name = draft.request.setdefault("model", str(field.value))
        model = self._models.get(name)
        if model is not None:
            return model
        near = meant(name, self._models) if name else ""
        if not self._scribe.failed(field):
            question = f"; did you mean {shown(near)}?" if near else ""
            fault = Fault(
                "unknown-model",
                f"there is no model {shown(name)}{question}",
                why=f"Known: {', '.join(sorted(self._models))}.",
                fix="Write one of these, or put a file for it into a `models:` folder.",
            )
            self._scribe.error(fault, field, varies=recipe.varies("model"))
        draft.request["model"] = near
        return self._models[near] if near else _ANY

    def check(self, recipe: Recipe, model: Model, draft: Draft) -> None:
        """Make the draft's request whole with the model's defaults, and report what breaks a rule.

        Afterwards `request["n"]` is the number of images that one request asks for; a model
        whose requests have no `n` gets none.
        """
        card = self._card(model)
        draft.request = {**card.defaults, **draft.request}
        single = recipe.split and not card.several
        # When a model gives one image a request, `n` only counts our own requests.
        asked = min(draft.n, 1) if single else draft.n
        instance = {**draft.request, "n": asked}
        if not card.has_n and asked == 1:
            del instance["n"]
        if draft.references:
            instance["image_urls"] = [_PLACEHOLDER] * len(draft.references)
        if draft.webhook:
            instance["webhook"] = draft.webhook
        if draft.n > limit("images_per_entry"):
            instance.pop("n", None)
            rule = Violation(("n",), "maximum", limit("images_per_entry"), draft.n, "", {})
            self._scribe.violation(rule, recipe.field("n"), varies=recipe.varies("n"))
        if not card.validator.valid(instance):
            # One word for a value: an empty prompt breaks two rules, and is still just empty.
            broken = {one.path: one for one in reversed(card.validator.violations(instance))}
            for found in reversed(broken.values()):
                self._limit_broken(recipe, model, found)
        if draft.request.get("size") in card.unpredictable:
            self._warn_of_size(recipe, draft.request["size"])
        draft.request.pop("n", None)
        if card.has_n:
            draft.request["n"] = 1 if recipe.split else draft.n

    def _card(self, model: Model) -> _Card:
        if model.name not in self._cards:
            properties = model.request["properties"]
            defaults = {
                key: part["default"] for key, part in properties.items() if "default" in part
            }
            most = properties.get("n", {"maximum": 1}).get("maximum")
            self._cards[model.name] = _Card(
                Validator(model.request),
                defaults,
                has_n="n" in properties,
                several=most != 1,
                unpredictable=tuple(properties.get("size", {}).get("x-unpredictable", ())),
            )
        return self._cards[model.name]

    def _limit_broken(self, recipe: Recipe, model: Model, found: Violation) -> None:
        name = str(found.path[0]) if found.path else ""
        name = _FIELD_OF.get(name, name)
        field = recipe.prompt.field if name == "prompt" else recipe.field(name)
        if self._scribe.failed(field):
            return
        if found.keyword == "additionalProperties":
            fault = Fault(
                "not-available",
                f"{shown(name)} cannot be used with {shown(model.name)}",
                why="The model's requests have no such parameter.",
                fix="Remove it, or choose another model:\n  banana-batch models",
            )
            self._scribe.error(fault, field, varies=recipe.varies(name))
        else:
            self._scribe.violation(found, field, varies=recipe.varies(name))

    def _warn_of_size(self, recipe: Recipe, size: Any) -> None:
        fault = Fault(
            "unpredictable-size",
            f"with `size: {size}` nobody knows which ratio comes back",
            why="The API recommends naming one, so that all images of a batch fit together.",
            fix="Write a ratio, such as `size: 1:1`.",
        )
        self._scribe.warning(fault, recipe.field("size"), varies=recipe.varies("size"))
