"""banana-batch: declarative batch image generation.

A spec in YAML becomes entries, entries become jobs, jobs become images on disk and rows in a
manifest. `docs/ARCHITECTURE.md` walks one run through every room of this package.

For programs: `from pipeline import load, plan, run`; `docs/python.md` shows how.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(("Exit", "SpecError", "Trouble"), "errors"),
    "Status": "lifecycle",
    **dict.fromkeys(("ImageFile", "Outcome", "Plan", "PlanItem", "Spec"), "library"),
    **dict.fromkeys(("load", "plan", "run", "run_async"), "library"),
}
"""The names that the package offers, and the room that each is from."""


class _Package(ModuleType):
    """This package: its names are loaded when they are first asked for, so that it stays quick.

    `pipeline.plan` is the function, also once the room of that name was imported: the import
    system would put the module into its place.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        home = import_module(f"{__name__}.{_HOMES[name]}")
        found = self.__dict__[name] = getattr(home, name)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOMES})


sys.modules[__name__].__class__ = _Package
