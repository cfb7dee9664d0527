"""One item of the spec made ready: its texts compiled once, however many entries come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline import schema
from pipeline.entries.fault import Fault
from pipeline.entries.template import MARK, Text
from pipeline.explain import stands_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.entries.complaints import Complaints
    from pipeline.entries.fields import Field
    from pipeline.entries.template import Templates
    from pipeline.problem import Place

_OUR_FIELDS = (
    "id enabled matrix from prompt prompt_file prompt_prefix prompt_suffix split references"
    " references_as tags webhook"
)
_STAND_IN = "a prompt"
"""Stands for a prompt that is wrong or missing, so that the rest can be looked at."""
_PROMPTS = ("prompt", "prompt_file")
_OURS = frozenset(_OUR_FIELDS.split())
"""Fields that mean something to this program; every other one is a parameter of the request."""


@dataclass(frozen=True, slots=True)
class Part:
    """A compiled text and the field it was written in."""

    text: Text
    field: Field

    @property
    def varies(self) -> bool:
        """Whether the text is filled in anew for each entry."""
        return self.text.fixed is None

    @property
    def lone(self) -> bool:
        """Whether it is one `${{ … }}` and nothing else, so that it may come to nothing."""
        written = str(self.field.value).strip()
        return written.startswith(MARK) and written.endswith("}}") and written.count(MARK) == 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """An item's fields, compiled. `parameters` are the request's own, text or plain value.

    Of a `broken` one no entry comes, but what is wrong with the rest of it is still to be told;
    about the fields at the `muted` paths all is said.
    """

    item: Field
    place: Place
    fields: Mapping[str, Field]
    id: Part | None
    enabled: Part | bool
    prompt: Part
    prompt_is_file: bool
    prefix: Part | None
    suffix: Part | None
    parameters: tuple[tuple[str, Part | Any], ...]
    references: tuple[tuple[Part, str], ...]
    tags: tuple[Part, ...]
    webhook: Part | None
    split: bool
    references_as: str
    broken: bool
    muted: frozenset[tuple[str | int, ...]]

    def field(self, name: str) -> Field:
        """Return the field of that name, or the whole item when it has none."""
        return self.fields.get(name, self.item)

    def varies(self, name: str) -> bool:
        """Say whether the field's value differs from entry to entry."""
        if name == "references":
            return any(part.varies for part, _ in self.references)
        if name == "prompt":
            return self.prompt.varies
        if name == "id":
            return self.id is None or self.id.varies
        part = dict(self.parameters).get(name)
        return isinstance(part, Part) and part.varies


def compiled(
    item: Field,
    fields: Mapping[str, Field],
    templates: Templates,
    complaints: Complaints,
    *,
    broken: bool,
    torn: bool,
) -> Recipe:
    """Compile an item's fields. Each problem is reported at its field, and makes it broken.

    `broken` says whether it is so already, `torn` whether fields are missing by another mistake.
    """
    compiler = _Compiler(fields, templates, complaints)
    prompt, is_file = compiler.prompt(item, torn=torn)
    return Recipe(
        item=item,
        place=item.place(),
        fields=fields,
        id=compiler.part("id"),
        enabled=compiler.switch("enabled"),
        prompt=prompt,
        prompt_is_file=is_file,
        prefix=compiler.part("prompt_prefix"),
        suffix=compiler.part("prompt_suffix"),
        parameters=compiler.parameters(),
        references=compiler.references(),
        tags=compiler.tags(),
        webhook=compiler.part("webhook"),
        split=bool(compiler.plain("split")),
        references_as=str(compiler.plain("references_as")),
        # The arguments above are worked out first, so all that is wrong is known by now.
        broken=broken or compiler.broken,
        muted=frozenset(compiler.muted),
    )


class _Compiler:
    def __init__(
        self, fields: Mapping[str, Field], templates: Templates, complaints: Complaints
    ) -> None:
        self._fields = fields
        self._templates = templates
        self._complaints = complaints
        self.muted = {field.path for field in fields.values() if not field.sound}
        self.broken = bool(self.muted)

    def _known(self, name: str) -> Field | None:
        """Return a field that is there and has the right shape."""
        field = self._fields.get(name)
        return field if field and field.sound else None

    def plain(self, name: str) -> Any:
        field = self._known(name)
        return field.value if field else schema.defaults("fields")[name]

    def part(self, name: str) -> Part | None:
        field = self._known(name)
        return self._part(field) if field else None

    def _part(self, field: Field) -> Part | None:
        try:
            return Part(self._templates.text(str(field.value)), field)
        except Fault as fault:
            self._fail(fault, field)
            return None

    def _fail(self, fault: Fault, field: Field) -> None:
        self.muted.add(field.path)
        self.broken = True
        self._complaints.error(fault, field.place(), field.line())

    def switch(self, name: str) -> Part | bool:
        field = self._known(name)
        if field is None or isinstance(field.value, bool):
            return field is None or bool(field.value)
        return self._part(field) or True

    def prompt(self, item: Field, *, torn: bool) -> tuple[Part, bool]:
        """Return the prompt, and whether it is a file's name; a stand-in when it is wrong."""
        written, file = self._fields.get("prompt"), self._fields.get("prompt_file")
        found = written or file or item
        if written and file:
            fault = Fault(
                "two-prompts",
                "there is both a `prompt` and a `prompt_file`",
                why="Only one of them can be sent.",
                fix="Remove one of them; `prompt_suffix` adds words to either.",
            )
            self._fail(fault, file)
        elif not written and not file and not torn and not self._misspelt():
            fault = Fault(
                "missing-prompt",
                "the entry has no `prompt`",
                why="The prompt says what to draw; the API refuses a request without one.",
                fix="Add `prompt:` or `prompt_file:`, here or under `defaults:`.",
            )
            self._fail(fault, item)
        elif found is not item and (part := self.part("prompt" if written else "prompt_file")):
            return part, bool(file)
        return Part(Text(_STAND_IN), found), False

    def _misspelt(self) -> bool:
        """Say whether one of the unknown keys, which are told of already, is the prompt."""
        unknown = (name for name, field in self._fields.items() if not field.sound)
        return any(stands_for(name, field) for name in unknown for field in _PROMPTS)

    def parameters(self) -> tuple[tuple[str, Part | Any], ...]:
        found: list[tuple[str, Part | Any]] = []
        for name in self._fields:
            field = self._known(name)
            if name in _OURS or field is None:
                continue
            if not isinstance(field.value, str):
                found.append((name, _plain(field.value)))
            elif part := self._part(field):
                found.append((name, part))
        return tuple(found)

    def _items(self, name: str) -> Iterator[tuple[Field, int, Any]]:
        """Yield a list's items that are right, each with its number."""
        field = self._fields.get(name)
        for number, written in enumerate(field.value if field and _is_list(field) else ()):
            if field and written is not None:
                yield field, number, written

    def references(self) -> tuple[tuple[Part, str], ...]:
        found = []
        for field, number, written in self._items("references"):
            named = isinstance(written, dict)
            part = self._part(field.part(number, "file") if named else field.part(number))
            if part:
                found.append((part, str(written.get("role", "object")) if named else "object"))
        return tuple(found)

    def tags(self) -> tuple[Part, ...]:
        parts = (self._part(field.part(number)) for field, number, _ in self._items("tags"))
        return tuple(part for part in parts if part)


def _is_list(field: Field) -> bool:
    return isinstance(field.value, list)


def _plain(value: Any) -> Any:
    """Return a copy without numbers that keep their text: a request holds plain JSON."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return int(value) if isinstance(value, int) else float(value)
