"""Text with `${{ … }}` in it: compiled once, filled in once for each entry.

What a row or a variable holds is put in as it is and never read as a template. All other braces
stay as typed. The only importer of Jinja2 in this room, with `cage`.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import Template, meta, nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError

from pipeline import explain
from pipeline.entries.cage import Cage, too_heavy
from pipeline.entries.fault import Fault
from pipeline.entries.limits import limit

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "${{"
_NAMES = re.compile(r"\$\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_WORDS = frozenset(("true", "false", "none", "True", "False", "None", "not", "if", "else", "in"))
"""Words of the expression language, which are no names."""
_TEMPLATES_KEPT = 2048
_NAMES_SHOWN = 30


class Text:
    """One compiled text. `fixed` is the text itself when nothing has to be filled in."""

    __slots__ = ("_render", "fixed")

    def __init__(self, fixed: str | None, render: Callable[[], str] | None = None) -> None:
        self.fixed = fixed
        self._render = render

    def render(self) -> str:
        """Return the text with every `${{ … }}` filled in from the names as they are now.

        Raises `Fault` for an unknown name, a value that is no text, and an expression that
        fails, reaches for attributes or makes too much.
        """
        if self._render is None:
            return self.fixed or ""
        return self._render()


class Templates:
    """Compiles texts and keeps them. All of them read `names`, which the caller fills."""

    def __init__(
        self, names: dict[str, Any], advice: str = "Add it to `vars:`, or mend it."
    ) -> None:
        self._names = names
        self._advice = {"": advice}
        self._cage = Cage()
        self._kept = lru_cache(maxsize=_TEMPLATES_KEPT)(self._compiled)

    def text(self, written: str) -> Text:
        """Compile what the user wrote. Raises `Fault` when it cannot be read as a template."""
        if MARK not in written:
            return Text(sound_text(written))
        parts = _NAMES.split(written)
        if any(MARK in one for one in parts[::2]) or not _WORDS.isdisjoint(parts[1::2]):
            return self._kept(written)
        return self._of_names(sound_text(written), parts)

    def unknown(self, name: str, hint: str, advice: str) -> Any:
        """Return a value for a name that must not be used now; using it says `hint`."""
        self._advice[hint] = advice
        return self._cage.undefined(hint, name=name)

    def _of_names(self, written: str, parts: list[str]) -> Text:
        """Return a text with nothing but names in it, which most are: no need to compile those."""
        cage, names = self._cage, self._names
        literals, wanted, longest = parts[::2], parts[1::2], limit("text_characters")

        def render() -> str:
            cage.begin()
            try:
                values = [cage.text(names[name]) for name in wanted]
            except (KeyError, UndefinedError):
                return self._kept(written).render()
            text = "".join(itertools.chain(*zip(literals, values, strict=False), literals[-1:]))
            if len(text) > longest:
                raise too_heavy()
            return sound_text(text)

        return Text(None, render)

    def _compiled(self, written: str) -> Text:
        sound_text(written)
        cage = self._cage
        cage.begin()
        try:
            tree = cage.parse(written)
            _must_be_sound(tree)
            template = Template.from_code(cage, cage.compile(tree), {}, None)
        except TemplateSyntaxError as error:
            raise Fault(
                "template-syntax",
                f"this template cannot be read: {_said(error)}",
                fix="Between `${{` and `}}` stands one expression, such as `${{ name | lower }}`.",
            ) from None
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError):
            raise too_heavy() from None
        return self._renderer(template, tree)

    def _renderer(self, template: Template, tree: nodes.Template) -> Text:
        cage, names = self._cage, self._names
        # One context for all renderings: it reads `names` itself, so nothing is copied.
        context = template.new_context(names, shared=True)
        root, longest = template.root_render_func, limit("text_characters")

        def render() -> str:
            cage.begin()
            try:
                text = "".join(root(context))
            except Fault:
                raise
            except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise self._fault(error, tree) from None
            except (AttributeError, RecursionError, MemoryError) as error:
                raise self._fault(error, tree) from None
            if len(text) > longest:
                raise too_heavy()
            return sound_text(text)

        return Text(None, render)

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
        return Fault(
            "unknown-name",
            f"{explain.shown(missing[0])} is no name here{question}",
            why=f"Known here: {', '.join(known[:_NAMES_SHOWN])}.",
            fix=f"Write {explain.shown(near)} instead." if near else self._advice[""],
        )


def sound_text(text: str) -> str:
    """Return `text` when it can be stored and sent. Raises `Fault` for what is not text."""
    if "\0" in text:
        raise Fault(
            "not-text",
            "the text holds a NUL character",
            why="NUL ends a text in most programs: what follows it would be lost.",
            fix="Remove it.",
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Fault(
                "not-text",
                "the text holds half of a surrogate pair, which is no character",
                why="It cannot be written as UTF-8, so it cannot be sent.",
                fix="Remove the `\\ud…` escape, or write the character itself.",
            ) from None
    return text


def holds_template(value: Any) -> bool:
    """Say whether a value, or anything inside it, is written as a template."""
    if isinstance(value, str):
        return MARK in value
    if isinstance(value, dict):
        return any(holds_template(one) for one in value.values())
    return isinstance(value, list) and any(holds_template(one) for one in value)


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
