"""Writes down what is wrong with the entry of the moment, at the field where it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.explain import explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from pipeline.entries.complaints import Complaints
    from pipeline.entries.fault import Fault
    from pipeline.entries.fields import Field
    from pipeline.schema import Violation


class Scribe:
    """Adds to each problem which row or combination it is of, where its value differs by row."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._within: Callable[[], str] = str
        self._failed: set[tuple[str | int, ...]] = set()
        self._silent = 0

    def begin(
        self, within: Callable[[], str], muted: AbstractSet[tuple[str | int, ...]] = frozenset()
    ) -> None:
        """Begin with an entry; `within` says, when asked, which row or combination it is.

        Of the fields at the `muted` paths it is known already that they are wrong.
        """
        self._within = within
        self._failed.clear()
        self._failed |= muted

    @property
    def errors(self) -> int:
        """How many errors there were so far, in all entries, those told before included."""
        return self._complaints.errors + self._silent

    def failed(self, field: Field) -> bool:
        """Say whether this entry's value of the field is wrong already: nothing more to say."""
        return field.path in self._failed

    def error(self, fault: Fault, field: Field, *, varies: bool = True) -> None:
        """Report a fault at a field; `varies` says whether the value differs from row to row."""
        self._failed.add(field.path)
        if fault.silent:
            self._silent += 1
            return
        self._complaints.error(fault, field.place(), field.line(), self._where(varies))

    def warning(self, fault: Fault, field: Field, *, varies: bool = True) -> None:
        """Report a fault as a warning."""
        self._complaints.warning(fault, field.place(), field.line(), self._where(varies))

    def violation(self, found: Violation, field: Field, *, varies: bool) -> None:
        """Report a broken rule in the words of `explain`."""
        self._complaints.add(explain(found, field.place(), field.line(), self._where(varies)))

    def _where(self, varies: bool) -> str:
        return self._within() if varies else ""
