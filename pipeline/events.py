"""What a run tells while it goes on: frozen records for whoever listens.

The bar, the plain lines, the log file and the closing summary are all listeners of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.money import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.errors import Exit
    from pipeline.lifecycle import Status, Step
    from pipeline.model import Totals
    from pipeline.money import Money


@dataclass(frozen=True, slots=True)
class Started:
    """The plan is in the state file and work begins.

    `todo` is the number of jobs this run will work on; `totals` covers every job of the spec,
    so a bar that starts from it is true after a resume.
    """

    at: float
    spec: str
    output: str
    host: str
    todo: int
    totals: Totals


@dataclass(frozen=True, slots=True)
class Stepped:
    """A job took a step; it is on disk already. `before` is None for a job just added.

    `cost` is what the task cost, when the step told; `images` how many pictures the job has.
    `again` says of a failure that the run tries the job once more by itself.
    """

    at: float
    number: int
    entry_id: str
    image_index: int
    images: int
    step: Step
    before: Status | None
    status: Status
    task_id: str
    cost: Money | None
    error_type: str
    error_message: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing is sent for `seconds`, because of `reason` (the API said to slow down, say)."""

    at: float
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a user may want to know; `level` is `info` or `warning`."""

    at: float
    level: str
    message: str
    details: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is over. `reason` is one sentence, empty when everything asked for is there.

    `spent` is what this run came to cost; `totals.spent` what all runs of the spec did.
    """

    at: float
    exit: Exit
    reason: str
    seconds: float
    totals: Totals
    spent: Money = NOTHING


Event = Started | Stepped | Waiting | Noted | Ended
Listener = Callable[[Event], None]
