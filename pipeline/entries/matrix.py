"""The matrix: one combination of values for each entry, as users of GitHub Actions know it."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from pipeline import explain
from pipeline.entries.fault import Fault
from pipeline.entries.limits import limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_OWN = ("include", "exclude")


class Matrix:
    """The combinations of one entry's `matrix:`, made one by one.

    The product of the lists, in the order of the keys, without those that `exclude` names. Then
    each `include` adds its new keys to every combination whose own values it would not change;
    one that fits nowhere becomes a combination of its own, after the others.
    Raises `Fault` when there are too many, or when a key of `exclude` is none of the matrix's.
    """

    def __init__(self, written: Mapping[str, Any]) -> None:
        self._axes = {key: value for key, value in written.items() if key not in _OWN}
        self._include: Sequence[Mapping[str, Any]] = written.get("include") or ()
        self._exclude: Sequence[Mapping[str, Any]] = written.get("exclude") or ()
        self._check_size()
        for one in self._exclude:
            for key in one:
                self._check_key(key)

    def _check_size(self) -> None:
        count = math.prod(len(values) for values in self._axes.values()) + len(self._include)
        if count > limit("matrix_combinations"):
            raise Fault(
                "matrix-too-large",
                f"the matrix has {count:,} combinations; at most"
                f" {limit('matrix_combinations'):,} are made",
                why="Each combination is at least one paid image.",
                fix="Take values or keys away, or split it into several specs.",
            )

    def _check_key(self, key: str) -> None:
        if key not in self._axes:
            near = explain.meant(str(key), [str(one) for one in self._axes])
            raise Fault(
                "unknown-matrix-key",
                f"`exclude` names {explain.shown(key)}, which is no key of the matrix"
                + (f"; did you mean {explain.shown(near)}?" if near else ""),
                why=f"Its keys: {', '.join(map(str, self._axes)) or 'none'}.",
                fix="Mend the name, or remove it.",
            )

    def names(self) -> set[str]:
        """Return every name that a combination can have."""
        return set(self._axes).union(*self._include)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        fitted = [False] * len(self._include)
        for values in itertools.product(*self._axes.values()) if self._axes else ():
            combination = dict(zip(self._axes, values, strict=True))
            if not any(_agrees(one, combination) for one in self._exclude):
                self._add_included(combination, fitted)
                yield combination
        yield from (dict(one) for one, fits in zip(self._include, fitted, strict=True) if not fits)

    def _add_included(self, combination: dict[str, Any], fitted: list[bool]) -> None:
        original = dict(combination)
        for number, one in enumerate(self._include):
            own = {key: value for key, value in one.items() if key in original}
            if _agrees(own, original):
                fitted[number] = True
                combination.update(one)


def words(combination: Mapping[str, Any]) -> str:
    """Return how a message names a combination: `color: red, surface: oak`."""
    return ", ".join(f"{key}: {explain.shown(value)[1:-1]}" for key, value in combination.items())


def _agrees(part: Mapping[str, Any], combination: Mapping[str, Any]) -> bool:
    return all(
        key in combination
        and combination[key] == value
        and isinstance(combination[key], bool) == isinstance(value, bool)
        for key, value in part.items()
    )
