"""The names that the package offers, for type checkers; `__init__.py` loads them late."""

from pipeline.errors import Exit as Exit
from pipeline.errors import SpecError as SpecError
from pipeline.errors import Trouble as Trouble
from pipeline.library import ImageFile as ImageFile
from pipeline.library import Outcome as Outcome
from pipeline.library import Plan as Plan
from pipeline.library import PlanItem as PlanItem
from pipeline.library import Spec as Spec
from pipeline.library import load as load
from pipeline.library import plan as plan
from pipeline.library import run as run
from pipeline.library import run_async as run_async
from pipeline.lifecycle import Status as Status

__version__: str
