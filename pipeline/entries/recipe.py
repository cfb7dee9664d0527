"""One item of the spec made ready: its texts compiled once, however many entries come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline import schema
from pipeline.entries.fault import Fault
from pipeline.entries.template import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.entries.complaints import Complaints
    from pipeline.entries.fields import Field
    from pipeline.entries.template import Templates, Text
    from pipeline.problem import Place

_OUR_FIELDS = (
    "id enabled matrix from prompt prompt_file prompt_prefix prompt_suffix split references"
    " references_as tags webhook"
)
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
    """An item's fields, compiled. `parameters` are the request's own, text or plain value."""

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

    def field(self, name: str) -> Field:
        """Return the field of that name, or the whole item when it has none."""
        return self.fields.get(name, self.item)

    def varies(self, name: str) -> bool:
        """Say whether the field's value differs from entry to entry."""
        if name == "references":
            return any(part.varies for part, _ in self.references)
        if name == "prompt":
            return self.prompt.varies
        part = dict(self.parameters).get(name)
        return isinstance(part, Part) and part.varies


def compiled(
    item: Field, fields: Mapping[str, Field], templates: Templates, complaints: Complaints
) -> Recipe | None:
    """Compile an item's fields; None when one cannot be. Each problem is reported at its field."""
    before = complaints.errors
    compiler = _Compiler(fields, templates, complaints)
    prompt, is_file = compiler.prompt(item)
    defaults = schema.defaults("fields")
    split = fields["split"].value if "split" in fields else defaults["split"]
    sent = fields.get("references_as")
    recipe = Recipe(
        item=item,
        place=item.place(),
        fields=fields,
        id=compiler.part("id"),
        enabled=compiler.switch("enabled"),
        prompt=prompt,  # type: ignore[arg-type] # None is an error, and then nothing is returned
        prompt_is_file=is_file,
        prefix=compiler.part("prompt_prefix"),
        suffix=compiler.part("prompt_suffix"),
        parameters=compiler.parameters(),
        references=compiler.references(),
        tags=compiler.tags(),
        webhook=compiler.part("webhook"),
        split=bool(split),
        references_as=str(sent.value if sent else defaults["references_as"]),
    )
    return recipe if complaints.errors == before else None


class _Compiler:
    def __init__(
        self, fields: Mapping[str, Field], templates: Templates, complaints: Complaints
    ) -> None:
        self._fields = fields
        self._templates = templates
        self._complaints = complaints

    def part(self, name: str) -> Part | None:
        return self._part(self._fields[name]) if name in self._fields else None

    def _part(self, field: Field) -> Part | None:
        try:
            return Part(self._templates.text(str(field.value)), field)
        except Fault as fault:
            self._complaints.error(fault, field.place(), field.line())
            return None

    def switch(self, name: str) -> Part | bool:
        field = self._fields.get(name)
        if field is None or isinstance(field.value, bool):
            return field is None or bool(field.value)
        return self._part(field) or False

    def prompt(self, item: Field) -> tuple[Part | None, bool]:
        written, file = self._fields.get("prompt"), self._fields.get("prompt_file")
        if written and file:
            fault = Fault(
                "two-prompts",
                "there is both a `prompt` and a `prompt_file`",
                why="Only one of them can be sent.",
                fix="Remove one of them; `prompt_suffix` adds words to either.",
            )
            self._complaints.error(fault, file.place(), file.line())
            return None, False
        if not written and not file:
            fault = Fault(
                "missing-prompt",
                "the entry has no `prompt`",
                why="The prompt says what to draw; the API refuses a request without one.",
                fix="Add `prompt:` or `prompt_file:`, here or under `defaults:`.",
            )
            self._complaints.error(fault, item.place(), item.line())
            return None, False
        return self.part("prompt" if written else "prompt_file"), bool(file)

    def parameters(self) -> tuple[tuple[str, Part | Any], ...]:
        return tuple(
            (name, self._part(field) if isinstance(field.value, str) else _plain(field.value))
            for name, field in self._fields.items()
            if name not in _OURS
        )

    def references(self) -> tuple[tuple[Part, str], ...]:
        found = []
        field = self._fields.get("references")
        for number, written in enumerate(field.value if field else ()):
            assert field is not None  # noqa: S101 - said for the type checker only
            named = isinstance(written, dict)
            part = self._part(field.part(number, "file") if named else field.part(number))
            if part:
                found.append((part, str(written.get("role", "object")) if named else "object"))
        return tuple(found)

    def tags(self) -> tuple[Part, ...]:
        field = self._fields.get("tags")
        if field is None:
            return ()
        parts = (self._part(field.part(number)) for number in range(len(field.value)))
        return tuple(part for part in parts if part)


def _plain(value: Any) -> Any:
    """Return a copy without numbers that keep their text: a request holds plain JSON."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    return int(value) if isinstance(value, int) else float(value)
