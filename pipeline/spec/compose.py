"""Turns the events of a YAML parser into plain data, and keeps where everything stands.

No object graph of the parser is built: a file of 100,000 entries costs two packed numbers a key.
Nothing recurses, so no depth of nesting is a danger, and aliases are weighed before anybody walks
through them.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.errors import SpecError
from pipeline.explain import meant, shown
from pipeline.problem import Place, Problem
from pipeline.spec.scalars import NotANumber, Real, Scalar, Whole, resolve
from pipeline.spec.source import CONTROL, limit
from pipeline.spec.wording import reword

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.spec.source import Source

Path = tuple[str | int, ...]
_CORE = "tag:yaml.org,2002:"
_BITS = 32


class Spot:
    """Where the parts of one mapping or list stand.

    `marks` holds, in the order of the data, two packed places a key (its own and its value's) or
    one an item; `inner` the spots of those parts that have parts of their own.
    """

    __slots__ = ("inner", "marks")

    def __init__(self) -> None:
        self.marks: array[int] = array("Q")
        self.inner: dict[int, Spot] = {}


def unpack(mark: int, file: str) -> Place:
    """Return the place that a packed mark stands for."""
    return Place(file, (mark >> _BITS) + 1, (mark & ((1 << _BITS) - 1)) + 1)


def _pack(mark: Any) -> int:
    return int(mark.line << _BITS | mark.column)


class _Key:
    """What a mapping waits for, where it is not a key of the user's."""

    def __init__(self, name: str) -> None:
        self.name = name


_NONE, _MERGE, _DROPPED = _Key("none"), _Key("merge"), _Key("dropped")


class _Part:
    """A finished value: what it is, where its parts are, how much it weighs, how deep it goes."""

    __slots__ = ("height", "size", "spot", "value")

    def __init__(self, value: Any, spot: Spot | None, size: int, height: int) -> None:
        self.value = value
        self.spot = spot
        self.size = size
        self.height = height


class _Open:
    """A mapping or list whose end has not come yet."""

    __slots__ = ("anchor", "data", "height", "key", "key_mark", "mark", "merges", "size", "spot")

    def __init__(self, data: Any, mark: int, anchor: str | None) -> None:
        self.data = data
        self.mark = mark
        self.anchor = anchor
        self.spot = Spot()
        self.key: str | _Key = _NONE
        self.key_mark = 0
        self.size = 1
        self.height = 1
        self.merges: list[_Part] = []


class Composer:
    """Builds the data of one file. `problems` are those that leave data worth looking at.

    `odd` says whether the data holds numbers that keep their text, which are no plain scalars.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Part | None] = {}
        self._aliased = False
        self._values = 0
        self._most_digits = limit("number_digits")
        self._most_values = limit("values")
        self._per_text = limit("text_per_value")
        self._depth = limit("depth")
        self.problems: list[tuple[Path, Problem]] = []
        self.data: Any = None
        self.spot: Spot | None = None
        self.mark = 0
        self.odd = False

    def compose(self) -> None:
        """Read the first document. Raises `SpecError` when the text is not YAML, or a bomb."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self._source.text)
        steps: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.SequenceStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
        }
        documents = 0
        try:
            while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
                step = steps.get(type(event))
                if step is not None:
                    step(event)
                elif isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._second_document(event)
                        return
        except yaml.YAMLError as error:
            found = [problem for _, problem in self.problems]
            raise SpecError([*found, _not_yaml(error, self._source)]) from None
        finally:
            loader.dispose()

    # ── values ──────────────────────────────────────────────────────────────────────────

    def _scalar(self, event: Any) -> None:
        word, mark = event.value, _pack(event.start_mark)
        top = self._stack[-1] if self._stack else None
        is_key = top is not None and top.key is _NONE and isinstance(top.data, dict)
        plain = event.implicit[0] and event.tag is None
        if is_key and top is not None:
            value = self._resolved(event) if event.tag else word
            self._key(top, value, mark, self._untouched(word, plain))
            if event.anchor:
                self._anchors[event.anchor] = _Part(value, None, 1, 0)
            return
        value = self._resolved(event) if plain or event.tag else word
        if event.style == '"' and (found := CONTROL.search(word)):
            message = f"there is a control character ({ord(found[0]):#04x}) in the text"
            self._wrong("control-character", message, mark, fix="Remove the escape.")
        if type(value) is Whole or type(value) is Real:
            self.odd = True
        size = 1 + len(word) // self._per_text
        if event.anchor:
            self._anchors[event.anchor] = _Part(value, None, size, 0)
        self._put(value, mark, None, size, 0)

    def _untouched(self, word: str, plain: bool) -> Scalar | _Key:
        """Return what a plain key would be as a value: text only is right for a key."""
        if plain and word == "<<":
            return _MERGE
        try:
            return resolve(word, self._most_digits) if plain else word
        except NotANumber:
            return None

    def _resolved(self, event: Any) -> Scalar:
        tag, word, mark = event.tag, event.value, _pack(event.start_mark)
        try:
            if tag is None:
                return resolve(word, self._most_digits)
            if tag in ("!", _CORE + "str"):
                return str(word)
            kinds: dict[str, tuple[type, ...]] = {
                _CORE + "int": (int,),
                _CORE + "float": (float, int),
                _CORE + "bool": (bool,),
                _CORE + "null": (type(None),),
            }
            if tag not in kinds:
                self._refuse_tag(tag, mark)
                return str(word)
            value = resolve(word, self._most_digits)
            if not isinstance(value, kinds[tag]) or (isinstance(value, bool) and "bool" not in tag):
                kind = tag.removeprefix(_CORE)
                self._wrong("wrong-type", f"{shown(word)} is no !!{kind}", mark, fix="Remove it.")
        except NotANumber:
            message = f"{shown(word)} is not a number that can be used"
            fix = "Write a finite number, or put it in quotes to mean the text."
            self._wrong("not-a-number", message, mark, fix=fix)
            return str(word)
        return value

    def _open(self, event: Any) -> None:
        mark = _pack(event.start_mark)
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _CORE + ("map" if is_map else "seq")):
            kinds = {_CORE + "map": "mapping", _CORE + "seq": "list"}
            if event.tag in kinds:
                tag = event.tag.removeprefix(_CORE)
                message = f"`!!{tag}` stands before what is no {kinds[event.tag]}"
                self._wrong("wrong-type", message, mark, fix="Remove the tag.")
            else:
                self._refuse_tag(event.tag, mark)
        if len(self._stack) >= self._depth:
            self._stop(
                "too-deep", f"lists and mappings are nested more than {self._depth} deep", mark
            )
        self._stack.append(_Open({} if is_map else [], mark, event.anchor))
        if event.anchor:
            self._anchors[event.anchor] = None

    def _close(self, event: Any) -> None:  # noqa: ARG002 - every step is handed its event
        top = self._stack.pop()
        for part in top.merges:
            _merge(top, part)
        if top.anchor:
            self._anchors[top.anchor] = _Part(top.data, top.spot, top.size, top.height)
        self._put(top.data, top.mark, top.spot, top.size, top.height, counted=True)

    def _alias(self, event: Any) -> None:
        name, mark = event.anchor, _pack(event.start_mark)
        self._aliased = True
        part = self._anchors.get(name)
        if part is None:
            part = _Part(None, None, 1, 0)
            if name in self._anchors:
                message = f"`*{name}` stands inside the value that it names"
                self._wrong("recursive-alias", message, mark, fix="Write the value out.")
            else:
                near = meant(name, self._anchors)
                question = f"; did you mean `*{near}`?" if near else ""
                message = f"there is no `&{shown(name)[1:-1]}` before this `*`{question}"
                fix = "Name an anchor that stands above, or put the text in quotes."
                self._wrong("unknown-alias", message, mark, fix=fix)
            if self._stack and self._stack[-1].key is _MERGE:
                self._stack[-1].key = _NONE
                return
        if len(self._stack) + part.height > self._depth:
            message = f"aliases nest lists and mappings more than {self._depth} deep"
            self._stop("too-deep", message, mark)
        self._put(part.value, mark, part.spot, part.size, part.height)

    def _put(
        self,
        value: Any,
        mark: int,
        spot: Spot | None,
        size: int,
        height: int,
        *,
        counted: bool = False,
    ) -> None:
        """Give a finished value to whatever waits for it. `counted`: its parts were counted."""
        self._values += 1 if counted else size
        if self._values > self._most_values:
            self._too_many(mark)
        if not self._stack:
            self.data, self.spot, self.mark = value, spot, mark
            return
        top = self._stack[-1]
        top.size += size
        if height >= top.height:
            top.height = height + 1
        if isinstance(top.data, list):
            top.data.append(value)
            top.spot.marks.append(mark)
        elif top.key is _NONE:
            self._key(top, value, mark, value)
            return
        elif top.key is _MERGE:
            self._wait_for_merge(top, _Part(value, spot, size, height), mark)
            return
        else:
            key, top.key = top.key, _NONE
            if key is _DROPPED:
                return
            top.data[key] = value
            top.spot.marks.extend((top.key_mark, mark))
        if spot is not None:
            top.spot.inner[len(top.data) - 1] = spot

    # ── keys ────────────────────────────────────────────────────────────────────────────

    def _key(self, top: _Open, word: Any, mark: int, value: Any) -> None:
        """Take a key; `value` is what it would be as a value."""
        top.key_mark = mark
        if value is _MERGE:
            top.key = _MERGE
            return
        if isinstance(word, (dict, list)):
            top.key = _DROPPED
            message = "a key must be text, not a list or a mapping"
            self._wrong("key-not-text", message, mark, fix="Give the value a name.")
            return
        text = sys.intern(str(word))
        top.key = text
        if text in top.data:
            first = unpack(top.spot.marks[2 * list(top.data).index(text)], self._source.file)
            message = f"the key {shown(text)} is here twice; the first is on line {first.line}"
            why = "Only one of them could count, and nobody would see which."
            self._wrong("duplicate-key", message, mark, why=why, fix="Remove one of them.")
            top.key = _DROPPED
        elif not isinstance(value, str):
            message = f"the key {shown(word)} is not text"
            fix = f'Put it in quotes: `"{shown(word)[1:-1]}":`.' if text else "Give it a name."
            self._wrong("key-not-text", message, mark, fix=fix)

    def _wait_for_merge(self, top: _Open, part: _Part, mark: int) -> None:
        top.key = _NONE
        values = part.value if isinstance(part.value, list) else [part.value]
        if not all(isinstance(value, dict) for value in values):
            message = "`<<` must be given a mapping, or a list of mappings"
            fix = "Write `<<: *name` where `&name` marks a mapping."
            self._wrong("bad-merge", message, mark, fix=fix)
        elif isinstance(part.value, dict):
            top.merges.append(part)
        elif part.spot is not None:
            spots = part.spot.inner
            top.merges.extend(_Part(one, spots[i], 0, 0) for i, one in enumerate(values))

    # ── problems ────────────────────────────────────────────────────────────────────────

    def _here(self) -> Path:
        path: list[str | int] = []
        for part in self._stack:
            if isinstance(part.data, list):
                path.append(len(part.data))
            elif isinstance(part.key, str):
                path.append(part.key)
        return tuple(path)

    def _wrong(self, code: str, message: str, mark: int, *, why: str = "", fix: str = "") -> None:
        place = unpack(mark, self._source.file)
        told = len(self.problems) < limit("explained_items")
        text = self._source.line(place) if told else ""
        message = self._source.masked(message)
        self.problems.append((self._here(), Problem(code, message, place, why, fix, text)))

    def _stop(self, code: str, message: str, mark: int, *, why: str = "", fix: str = "") -> None:
        self._wrong(code, message, mark, why=why, fix=fix or "Write it flatter.")
        raise SpecError([problem for _, problem in self.problems])

    def _too_many(self, mark: int) -> None:
        if self._aliased:
            message = f"aliases blow this file up to more than {self._most_values:,} values"
            why = "Such a file is refused before it eats the memory."
            self._stop("alias-bomb", message, mark, why=why, fix="Use fewer `*aliases`.")
        message = f"there are more than {self._most_values:,} values in this file"
        self._stop(
            "too-big", message, mark, fix="Put the rows into a csv file and name it `from:`."
        )

    def _refuse_tag(self, tag: str, mark: int) -> None:
        name = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        message = f"the tag {shown(name)} is not known here"
        why = "A spec is plain data; tags that make objects are never followed."
        self._wrong("unknown-tag", message, mark, why=why, fix="Remove the tag.")

    def _second_document(self, event: Any) -> None:
        message = "a second YAML document starts here; a spec is one document"
        fix = "Put it into a file of its own, and name that under `include:`."
        self._wrong("several-documents", message, _pack(event.start_mark), fix=fix)


def _not_yaml(error: yaml.YAMLError, source: Source) -> Problem:
    marks = [getattr(error, name, None) for name in ("problem_mark", "context_mark")]
    places = [unpack(_pack(mark), source.file) for mark in marks if mark is not None]
    said = " ".join(str(getattr(error, part, None) or "") for part in ("problem", "context"))
    return reword(said, places or [Place(source.file, 1, 1)], source)


def _merge(top: _Open, part: _Part) -> None:
    """Add what `part` has and `top` has not: own keys win, then those that were merged first."""
    for index, (key, value) in enumerate(part.value.items()):
        if key in top.data:
            continue
        top.data[key] = value
        top.spot.marks.extend(part.spot.marks[2 * index : 2 * index + 2] if part.spot else (0, 0))
        if part.spot and index in part.spot.inner:
            top.spot.inner[len(top.data) - 1] = part.spot.inner[index]
