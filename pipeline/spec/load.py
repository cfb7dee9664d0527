"""Loads a spec with everything it includes, and says all that is wrong with its shape."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from pipeline import schema
from pipeline.errors import InputError, SpecError
from pipeline.explain import shown
from pipeline.model import Model, OutputSettings
from pipeline.problem import Problem, Severity
from pipeline.spec import shape
from pipeline.spec.compose import Composer, Spot, unpack
from pipeline.spec.document import Document
from pipeline.spec.source import decode, empty, fatal, limit, read_file, read_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

_STDIN = "<stdin>"
_SANDBOX = "-sandbox"
_Wrong = list[tuple[shape.Path, Problem | None]]


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec as its file says it, before expansion.

    `model` is the default model; `models` every known one, those of the spec's own folder and of
    BANANA_BATCH_MODELS included. `includes` are the specs it includes, loaded the same way.
    `problems` holds all that is wrong with its shape, in this file and in the included ones.
    """

    document: Document
    name: str
    model: str
    models: Mapping[str, Model] = field(repr=False)
    output: OutputSettings
    includes: tuple[Spec, ...]
    problems: tuple[Problem, ...]
    faults: frozenset[shape.Path] = field(default=frozenset(), repr=False)
    """Every path of this file at which, or below which, something is wrong."""
    wrong: frozenset[shape.Path] = field(default=frozenset(), repr=False)
    """Every path of this file at which something is wrong."""

    def known_models(self) -> dict[str, Model]:
        """Return the models of this spec and of all that it includes; its own come last."""
        found: dict[str, Model] = {}
        for one in self.includes:
            found |= one.known_models()
        return found | dict(self.models)

    def sound(self, path: tuple[str | int, ...]) -> bool:
        """Say whether nothing is wrong with the shape of this file at `path` or below it."""
        return tuple(path) not in self.faults

    def torn(self, path: tuple[str | int, ...]) -> bool:
        """Say whether something is wrong with the value at `path` as a whole.

        Then parts of it may be missing that the user believes to be there.
        """
        return tuple(path) in self.wrong


def load(
    source: str | Path,
    *,
    stdin: TextIO | BinaryIO | None = None,
    environ: Mapping[str, str],
    cwd: Path,
    sandbox: bool = False,
) -> Spec:
    """Load the spec at `source`, relative to `cwd`; `-` reads `stdin`.

    Raises `SpecError` when nothing can be made of the file, and `InputError` when
    BANANA_BATCH_MODELS names no folder of models. All else that is wrong is in `problems`.
    """
    return _Loader(stdin, environ, cwd, sandbox).load(source)


class _Loader:
    """Loads one spec and what it includes, each file once."""

    def __init__(
        self,
        stdin: TextIO | BinaryIO | None,
        environ: Mapping[str, str],
        cwd: Path,
        sandbox: bool,
    ) -> None:
        self._stdin = stdin
        self._cwd = cwd.absolute()
        self._sandbox = sandbox
        self._folders = schema.model_folders(environ, self._cwd)
        self._done: dict[Path, Spec] = {}

    def load(self, source: str | Path) -> Spec:
        if str(source) == "-":
            data = read_stream(self._stdin, _STDIN)
            return self._spec(data, _STDIN, None, ())
        file = str(source)
        typed = self._cwd / source
        path = _resolved(typed, file)
        data = read_file(typed, file)
        if not path.is_file():  # a pipe, such as bash's <(…), has no name that lasts
            return self._spec(data, file, None, ())
        return self._spec(data, file, path, (path,))

    def _spec(self, data: bytes, file: str, path: Path | None, chain: tuple[Path, ...]) -> Spec:
        document, wrong, odd = _document(data, file, path, self._cwd)
        wrong.extend(shape.secrets(document))
        models = self._models(document, wrong)
        # What YAML itself could not carry, such as a lost alias, is not told twice.
        told = {problem.place for _, problem in wrong if problem}
        wrong.extend(
            (at, problem if problem and problem.place not in told else None)
            for at, problem in shape.check(document, models, odd=odd)
        )
        if not any(at[:1] == ("model",) for at, _ in wrong):
            found = shape.unknown_model(document, models)
            wrong.extend([found] if found else [])
        includes = self._includes(document, chain, wrong)
        faults = _faults(wrong)
        own = [_masked(problem, document) for _, problem in wrong if problem is not None]
        nested = [problem for one in includes for problem in one.problems]
        name = _text(document.data, "name", faults) or (path.stem if path else "stdin")
        return Spec(
            document=document,
            name=name,
            model=_text(document.data, "model", faults) or _default("model"),
            models=models,
            output=_output(document, name, faults, self._sandbox),
            includes=includes,
            problems=_distinct([*own, *nested]),
            faults=faults,
            wrong=frozenset(at for at, problem in wrong if _is_error(problem)),
        )

    def _models(self, document: Document, wrong: _Wrong) -> Mapping[str, Model]:
        folder = document.data.get("models")
        known = schema.models(*self._folders)
        if not isinstance(folder, str) or not folder:
            return known
        try:
            if (document.folder / folder).is_dir():
                return schema.models(*self._folders, document.folder / folder)
            message, why = f"the models folder {shown(folder)} does not exist", ""
            fix = "Mend the name; it is relative to the spec."
        except (InputError, OSError, ValueError) as error:
            message = getattr(error, "summary", f"{shown(folder)} cannot be read")
            why, fix = getattr(error, "why", ""), getattr(error, "fix", "")
        place = document.place(("models",))
        problem = Problem("models-folder", message, place, why, fix, document.line(place))
        wrong.append((("models",), problem))
        return known

    # ── includes ────────────────────────────────────────────────────────────────────────

    def _includes(
        self, document: Document, chain: tuple[Path, ...], wrong: _Wrong
    ) -> tuple[Spec, ...]:
        names = document.data.get("include")
        included = []
        for index, name in enumerate(names if isinstance(names, list) else ()):
            at = ("include", index)
            if not isinstance(name, str) or not name:
                continue
            try:
                included.append(self._included(document, name, chain))
            except SpecError as error:
                for problem in error.problems:
                    wrong.append((at, _at_include(problem, document, at)))
        return tuple(included)

    def _included(self, document: Document, name: str, chain: tuple[Path, ...]) -> Spec:
        path = _resolved(document.folder / name, name)
        if path in chain:
            circle = " -> ".join(one.name for one in (*chain[chain.index(path) :], path))
            raise fatal(
                "",
                "include-circle",
                f"{shown(name)} includes itself: {circle}",
                why="The entries of a circle would never end.",
                fix="Take one of the includes away.",
            )
        if len(chain) >= limit("include_depth") or len(self._done) >= limit("include_files"):
            message = "too many files include one another"
            raise fatal("", "too-many", message, fix="Put the entries into fewer files.")
        if path not in self._done:
            file = name if Path(name).is_absolute() else os.path.relpath(path, self._cwd.resolve())
            data = read_file(path, file)
            self._done[path] = self._spec(data, file, path, (*chain, path))
        return self._done[path]


def _document(
    data: bytes, file: str, path: Path | None, cwd: Path
) -> tuple[Document, _Wrong, bool]:
    source = decode(data, file)
    composer = Composer(source)
    composer.compose()
    if composer.data is None and not composer.problems:
        raise empty(file)
    if not isinstance(composer.data, dict):
        place = unpack(composer.mark, file)
        kind = "a list" if isinstance(composer.data, list) else shown(composer.data)
        message = f"the file holds {kind}, not a mapping of keys to values"
        fix = "Start with `version: 1`, and put the list under `entries:`."
        raise SpecError(
            [
                *(problem for _, problem in composer.problems),
                source.problem("not-a-mapping", message, place, fix=fix),
            ]
        )
    document = Document(
        file=file,
        path=path,
        folder=path.parent if path else cwd,
        data=composer.data,
        source=source,
        spot=composer.spot or Spot(),
        mark=composer.mark,
    )
    return document, list(composer.problems), composer.odd


def _resolved(path: Path, file: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        # RuntimeError is what Python before 3.13 says of symbolic links in a circle.
        message = f"{shown(file)} cannot be read: {error}"
        raise fatal(file, "not-readable", message, fix="Name the file itself.") from None


def _at_include(problem: Problem, document: Document, at: shape.Path) -> Problem:
    """Give a problem with a whole file the place where that file is included."""
    if problem.place.line:
        return problem
    place = document.place(at)
    return replace(problem, place=place, text=document.line(place))


def _faults(wrong: _Wrong) -> frozenset[shape.Path]:
    return frozenset(
        path[:length]
        for path, problem in wrong
        if _is_error(problem)
        for length in range(len(path) + 1)
    )


def _is_error(problem: Problem | None) -> bool:
    return problem is None or problem.severity is Severity.ERROR


def _distinct(problems: list[Problem]) -> tuple[Problem, ...]:
    """Return problems in the order of their places, what an alias repeats only once."""
    order = sorted(problems, key=lambda one: (one.place.line, one.place.column))
    # An alias is read in several fields, so the messages differ while the mistake is the same.
    return tuple({(one.place, one.code, one.fix): one for one in reversed(order)}.values())[::-1]


def _masked(problem: Problem, document: Document) -> Problem:
    """Star out keys that were found after the problem was worded."""
    if problem.place.file != document.file:
        return problem
    hide = document.source.masked
    return replace(
        problem, message=hide(problem.message), fix=hide(problem.fix), text=hide(problem.text)
    )


def _text(data: Mapping[str, Any], key: str, faults: frozenset[shape.Path]) -> str:
    value = data.get(key)
    return value if isinstance(value, str) and (key,) not in faults else ""


def _default(key: str) -> str:
    return str(schema.document("spec")["properties"][key]["default"])


def _output(
    document: Document, name: str, faults: frozenset[shape.Path], sandbox: bool
) -> OutputSettings:
    asked = document.data.get("output")
    settings: dict[str, Any] = {"folder": f"out/{name}", **schema.defaults("output")}
    if isinstance(asked, str) and ("output",) not in faults:
        settings["folder"] = asked
    elif isinstance(asked, dict):
        settings |= {k: v for k, v in asked.items() if ("output", k) not in faults}
    folder = os.path.normpath(document.folder / settings["folder"])
    return OutputSettings(
        folder=Path(folder + _SANDBOX if sandbox else folder),
        name=settings["name"],
        metadata=settings["metadata"],
        sidecar=settings["sidecar"],
    )
