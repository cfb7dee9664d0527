"""banana-batch: declarative batch image generation.

A spec in YAML becomes entries, entries become jobs, jobs become images on disk and rows in a
manifest. `docs/ARCHITECTURE.md` walks one run through every room of this package.

For programs: `from pipeline import load, plan, run`; `docs/python.md` shows how.
"""

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(("Exit", "SpecError", "Trouble"), "errors"),
    "Status": "lifecycle",
    **dict.fromkeys(("ImageFile", "Outcome", "Plan", "PlanItem", "Spec"), "library"),
    **dict.fromkeys(("load", "plan", "run", "run_async"), "library"),
}
"""The names that the package offers, and the room that each is from."""


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for, so that importing the package stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
