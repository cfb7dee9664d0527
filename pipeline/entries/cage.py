"""Jinja2's sandbox made narrow: expressions that can only be short, quick and harmless.

Jinja's own sandbox keeps expressions away from Python's insides, but not from memory and time.
So only filters and tests that are listed here exist, no global names, a few methods of texts and
mappings, and every step is charged to a budget by the size of what it reads and makes.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from pipeline import explain
from pipeline.entries.fault import Fault, too_heavy
from pipeline.entries.limits import limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2 import Undefined
    from jinja2.runtime import Context

_FILTERS = (
    "abs capitalize d default first float int items last length count list lower map max min"
    " reject reverse select sort title trim truncate unique upper urlencode"
)
_TESTS = (
    "boolean defined divisibleby eq equalto even false float ge gt greaterthan in integer le"
    " lessthan lower lt mapping ne none number odd sequence string true undefined upper"
    " != < <= == > >="
)
_METHOD_NAMES = (
    "capitalize casefold count endswith find get isalnum isalpha isdigit items keys lower"
    " lstrip partition removeprefix removesuffix rfind rpartition rsplit rstrip split"
    " startswith strip swapcase title upper values"
)
_METHODS = frozenset(_METHOD_NAMES.split())
_SIZED = (str, list, tuple, dict)
_WIDE = re.compile(r"\*|\d{4,}")
_WIDEST = 1000
"""What one placeholder of `%` can come to: widths of four digits are refused."""
_DIGITS = 16


class Cage(ImmutableSandboxedEnvironment):
    """The environment of every `${{ … }}`. `begin` opens the budget of one rendering."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            variable_start_string="${{",
            variable_end_string="}}",
            # There are no blocks and no comments: a text with a NUL never gets this far.
            block_start_string="\0%",
            block_end_string="%\0",
            comment_start_string="\0#",
            comment_end_string="#\0",
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            autoescape=False,
            finalize=self.text,
        )
        self.globals.clear()
        self.filters = {name: self._charged(FILTERS[name]) for name in _FILTERS.split()}
        self.filters |= {
            "format": self._formatted,
            "join": self._joined,
            "replace": self._replaced,
            "round": self._rounded,
            "string": self.text,
            "tojson": self._charged(_tojson),
        }
        self.tests = {name: self._charged(TESTS[name]) for name in _TESTS.split()}
        self._left = 0

    def begin(self) -> None:
        """Open the budget for one rendering."""
        self._left = limit("template_cost")

    def charge(self, cost: int) -> None:
        """Take `cost` from the budget. Raises `Fault` when too little is left."""
        self._left -= cost
        if self._left < 0:
            raise too_heavy()

    def weigh(self, value: Any) -> None:
        """Charge for all that `value` holds: a text by its characters, a list by its items."""
        if isinstance(value, _SIZED):
            self.charge(1 + len(value))
            if not isinstance(value, str):
                for one in value.values() if isinstance(value, dict) else value:
                    self.weigh(one)

    def _charged(self, function: Any) -> Callable[..., Any]:
        @functools.wraps(function)
        def charging(*arguments: Any, **named: Any) -> Any:
            self.weigh(arguments)
            self.weigh(named)
            result = function(*arguments, **named)
            self.weigh(result)
            return result

        return charging

    def text(self, value: Any) -> str:
        """Turn an expression's value into text: only what a reader would expect to see."""
        if isinstance(value, str):
            self.charge(len(value))
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return str(value)
        if isinstance(value, StrictUndefined):
            return str(value)
        if value is None:
            raise Fault(
                "template-null",
                "a `${{ … }}` here has no value (null)",
                fix="Give it one, or say what to write instead: `${{ name or 'text' }}`.",
            )
        raise Fault(
            "template-not-text",
            f"a `${{{{ … }}}}` here gives {_kind(value)}, not text",
            fix="Choose one part of it, or join it: `${{ names | join(', ') }}`.",
        )

    # ── operators ───────────────────────────────────────────────────────────────────────────

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Work out one of the operators that can make much out of little."""
        if operator == "+":
            self.weigh((left, right))
        elif operator == "*":
            self._may_multiply(left, right)
        elif operator == "**":
            _may_raise(left, right)
        elif isinstance(left, str):
            return self._formatted(left, *(right if isinstance(right, tuple) else (right,)))
        return super().call_binop(context, operator, left, right)

    def _may_multiply(self, left: Any, right: Any) -> None:
        if isinstance(left, _SIZED) or isinstance(right, _SIZED):
            sized, times = (left, right) if isinstance(left, _SIZED) else (right, left)
            self.charge(len(sized) * max(times, 0) if isinstance(times, int) else 0)
        elif isinstance(left, int) and isinstance(right, int):
            _few_bits(left.bit_length() + right.bit_length())

    # ── filters that can make much out of little ────────────────────────────────────────────

    def _formatted(self, form: str, *values: Any) -> str:
        if not isinstance(form, str) or _WIDE.search(form):
            raise too_heavy()
        self.charge(len(form) + form.count("%") * _WIDEST)
        plain = tuple(one if _is_number(one) else self.text(one) for one in values)
        return form % plain

    def _rounded(self, number: Any, precision: Any = 0, method: str = "common") -> Any:
        if precision not in range(_DIGITS):
            raise too_heavy()
        return FILTERS["round"](number, precision, method)

    def _joined(self, values: Iterable[Any], between: str = "") -> str:
        parts = []
        for value in values:
            parts.append(self.text(value))
            self.charge(1 + len(between))
        return str(between).join(parts)

    def _replaced(self, text: str, old: str, new: str) -> str:
        text, old, new = self.text(text), self.text(old), self.text(new)
        self.charge(len(text) + (text.count(old) * len(new)))
        return text.replace(old, new)

    # ── names, items, attributes, calls ─────────────────────────────────────────────────────

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return `obj.attribute`: an item of a mapping, or one of the listed methods."""
        return self._part(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return `obj[argument]`."""
        return self._part(obj, argument)

    def _part(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, (str, list, tuple, Mapping)):
            try:
                return obj[name]
            except (TypeError, LookupError):
                pass
        if isinstance(obj, StrictUndefined):
            return obj[name]
        if isinstance(name, str) and isinstance(obj, (str, dict)) and name in _METHODS:
            return getattr(obj, name, None) or self._absent(obj, name)
        if isinstance(name, str) and not isinstance(obj, Mapping) and hasattr(obj, name):
            raise SecurityError(name)
        if isinstance(name, str) and name.startswith("_"):
            raise SecurityError(name)
        return self._absent(obj, name)

    def _absent(self, obj: Any, name: Any) -> Undefined:
        hint = f"there is no {explain.shown(name)} in {_kind(obj)}"
        if isinstance(obj, Mapping):
            near = explain.meant(str(name), [str(key) for key in obj])
            hint = f"there is no {explain.shown(name)} here" + (
                f"; did you mean {explain.shown(near)}?" if near else ""
            )
        return self.undefined(hint, obj=obj, name=str(name))

    def is_safe_callable(self, obj: Any) -> bool:
        """Say whether `obj` is one of the listed methods of a text or a mapping."""
        return (
            isinstance(obj, BuiltinMethodType)
            and isinstance(obj.__self__, (str, dict))
            and obj.__name__ in _METHODS
        )

    def call(self, context: Context, obj: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call one of the listed methods."""
        if isinstance(obj, StrictUndefined):
            str(obj)
        if not self.is_safe_callable(obj):
            raise SecurityError(_kind(obj))
        self.weigh((obj.__self__, *arguments))
        result = super().call(context, obj, *arguments, **named)
        self.weigh(result)
        return result


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _few_bits(bits: int) -> None:
    if bits > limit("template_bits"):
        raise too_heavy()


def _may_raise(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int):
        _few_bits(base.bit_length() * max(exponent, 0))


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, (list, tuple)) else "something else"
