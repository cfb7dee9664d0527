"""The same program for programs: `load`, `plan` and `run` with results as values.

Everything the command line promises holds here too, for these functions call what the commands
call: one run at a time for a spec, the state file, nothing paid twice, `max_cost`. What the
command line says with an exit code is an `Outcome`; what keeps a run from starting is raised as
`Trouble`. Nothing is printed, no signal is touched, no exit is called.
"""

from pipeline.library.calls import load, plan, run, run_async
from pipeline.library.options import RunWords, SelectWords
from pipeline.library.results import ImageFile, Outcome, Plan, PlanItem, Spec

__all__ = [
    "ImageFile",
    "Outcome",
    "Plan",
    "PlanItem",
    "RunWords",
    "SelectWords",
    "Spec",
    "load",
    "plan",
    "run",
    "run_async",
]
