"""One `${{ … }}` as Jinja2 reads it, in a cage. The only importer of Jinja2 here, with `cage`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import Template, meta, nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError

from pipeline import explain
from pipeline.entries.cage import Cage
from pipeline.entries.fault import Fault, too_heavy
from pipeline.entries.limits import limit
from pipeline.entries.template import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_SUCH = re.compile(r"No (filter|test) named '(.*)'\.")
_TEMPLATES_KEPT = 2048
_NAMES_SHOWN = 30
_COLUMNS = "A column whose name holds spaces is read as `row['its name']`."


_MISUSED = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AssertionError)
"""What filters and operators raise for values that they do not take; Jinja2 asserts some."""


class Expressions:
    """Compiles texts with expressions, and keeps them. All of them read `names`."""

    def __init__(self, names: dict[str, Any], advice: str) -> None:
        self._names = names
        self._advice = {"": advice}
        self._cage = Cage()
        self.compiled = lru_cache(maxsize=_TEMPLATES_KEPT)(self._compiled)
        """Returns what fills a text in; raises `Fault`, as does calling what it returns."""

    def _forbid(self) -> None:
        """Make the names that must not be used now say so when an expression uses them."""
        for name, value in self._names.items():
            if isinstance(value, Unknown):
                self._advice[value.hint] = value.advice
                self._names[name] = self._cage.undefined(value.hint, name=name)

    def _compiled(self, written: str) -> Callable[[], str]:
        cage = self._cage
        cage.begin()
        try:
            tree = cage.parse(written)
            _must_be_sound(tree)
            template = Template.from_code(cage, cage.compile(tree), {}, None)
        except TemplateSyntaxError as error:
            if named := _NO_SUCH.fullmatch(error.message or ""):
                raise self._no_such(*named.groups()) from None
            raise Fault(
                "template-syntax",
                f"this template cannot be read: {_said(error)}",
                fix="Between `${{` and `}}` stands one expression, such as `${{ name | lower }}`.",
            ) from None
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError):
            raise too_heavy() from None
        return self._renderer(template, tree)

    def _renderer(self, template: Template, tree: nodes.Template) -> Callable[[], str]:
        cage, names = self._cage, self._names
        # One context for all renderings: it reads `names` itself, so nothing is copied.
        context = template.new_context(names, shared=True)
        root, longest = template.root_render_func, limit("text_characters")

        def render() -> str:
            cage.begin()
            self._forbid()
            try:
                text = "".join(root(context))
            except Fault:
                raise
            except _MISUSED as error:
                raise self._fault(error, tree) from None
            except (AttributeError, RecursionError, MemoryError) as error:
                raise self._fault(error, tree) from None
            if len(text) > longest:
                raise too_heavy()
            return text

        return render

    def _no_such(self, kind: str, name: str) -> Fault:
        known = sorted(self._cage.filters if kind == "filter" else self._cage.tests)
        words = [one for one in known if one.isalpha()]
        near = explain.meant(name, words)
        question = f"; did you mean {explain.shown(near)}?" if near else ""
        return Fault(
            "template-syntax",
            f"there is no {kind} {explain.shown(name)}{question}",
            why=f"Known here: {', '.join(words)}.",
            fix=f"Write {explain.shown(near)} instead." if near else "Use one of these.",
        )

    def _fault(self, error: BaseException, tree: nodes.Template) -> Fault:
        if isinstance(error, UndefinedError):
            return self._unknown(error, tree)
        if isinstance(error, SecurityError):
            return Fault(
                "template-unsafe",
                f"a `${{{{ … }}}}` here reaches for {explain.shown(error.message or '')}, which"
                " templates may not use",
                why="Expressions see names, items of mappings and lists, and filters.",
                fix="Use a filter, such as `${{ name | upper }}`.",
            )
        if isinstance(error, (RecursionError, MemoryError)):
            return too_heavy()
        if named := _NO_SUCH.fullmatch(str(error)):
            return self._no_such(*named.groups())
        return Fault(
            "template-failed",
            f"a `${{{{ … }}}}` here cannot be worked out: {explain.shown(str(error))[1:-1]}",
            fix="Mend the expression, or the value that it reads.",
        )

    def _unknown(self, error: UndefinedError, tree: nodes.Template) -> Fault:
        missing = sorted(meta.find_undeclared_variables(tree) - self._names.keys())
        if not missing:
            hint = error.message or ""
            return Fault("unknown-name", hint, fix=self._advice.get(hint, "Mend the name."))
        known = sorted(name for name in self._names if name.isidentifier())
        near = explain.meant(missing[0], known)
        question = f"; did you mean {explain.shown(near)}?" if near else ""
        advice = self._advice[""]
        if "row" in self._names:
            advice = f"Add a column of that name, or mend it. {_COLUMNS}"
        return Fault(
            "unknown-name",
            f"{explain.shown(missing[0])} is no name here{question}",
            why=f"Known here: {', '.join(known[:_NAMES_SHOWN])}.",
            fix=f"Write {explain.shown(near)} instead." if near else advice,
        )


def _must_be_sound(tree: nodes.Template) -> None:
    """Raise `Fault` for a template that is too large, or could quietly come to nothing."""
    if sum(1 for _ in tree.find_all(nodes.Expr)) > limit("template_nodes"):
        raise too_heavy()
    if any(one.expr2 is None for one in tree.find_all(nodes.CondExpr)):
        raise Fault(
            "template-syntax",
            "an `if` in a `${{ … }}` here has no `else`",
            why="Without it the text would be empty when the condition is false.",
            fix="Say what else to write: `${{ 'red' if warm else 'blue' }}`.",
        )


def _said(error: TemplateSyntaxError) -> str:
    words = (error.message or "").replace("end of print statement", "}}")
    return explain.shown(words)[1:-1]
