"""Every error the program expects, and the exit code each one ends with.

Trouble                      expected; a summary, a reason and a fix; never a traceback
├── InputError         (2)   the command line or the set-up is wrong
│   ├── SpecError            the spec is wrong; carries every problem found
│   └── StateError           the state file is damaged, or newer than this program
├── LockHeld           (4)   another run holds this spec
├── DiskError          (5)   the disk is full, read-only or gone
└── ApiError           (5)   the API, or the way to it; `submit` names the row of the table
    ├── Refused              this request is wrong; waiting does not help
    │   └── UnknownTask      the API does not know this task
    ├── AccountError   (3)   the key, the permission or the balance; nothing else can go on
    │   ├── KeyRefused
    │   ├── BalanceEmpty
    │   └── NotPermitted
    ├── Busy                 certainly not executed; waiting helps, `retry_after` in seconds
    │   ├── RateLimited
    │   ├── NotExecuted
    │   └── Unreachable      nothing was sent
    ├── Unsure               it may have been executed
    │   ├── Unavailable
    │   ├── Cut
    │   ├── TimedOut
    │   ├── Rubbish
    │   └── InProgress
    ├── KeyDoubt             the idempotency key cannot settle it any more
    │   ├── KeyReused
    │   └── Indeterminate
    └── FetchError           an image's url does not give an image
        ├── Gone             the url is expired or unknown
        └── NotAnImage       what came is no image, too large, or incomplete
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from pipeline.lifecycle import Submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.problem import Problem


class Exit(IntEnum):
    """What the program's end means to the shell. Fixed by the product."""

    DONE = 0
    SOME_FAILED = 1
    WRONG_INPUT = 2
    STOPPED = 3
    LOCKED = 4
    UNFINISHED = 5
    BUG = 70
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_MEANING = {
    Exit.DONE: "all selected entries are downloaded, or there was nothing to do",
    Exit.SOME_FAILED: "finished, but some jobs failed, are held or expired",
    Exit.WRONG_INPUT: "the spec or the command line is wrong; nothing was sent",
    Exit.STOPPED: "stopped: key refused, no permission, balance empty, or --max-cost reached;"
    " run again after mending",
    Exit.LOCKED: "another run holds this spec's lock",
    Exit.UNFINISHED: "stopped before the end with work left (deadline, --no-wait, the API out of"
    " reach, the disk full); run again to go on",
    Exit.BUG: "a bug of ours: one line, and a report file to send",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.TERMINATED: "ended by SIGTERM",
}


class Trouble(Exception):
    """Something expected went wrong. Says what, why it matters and what to do.

    `why` and `fix` may be empty; a command worth copying is the last line of `fix`.
    """

    exit: Exit = Exit.WRONG_INPUT

    def __init__(self, summary: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.why = why
        self.fix = fix


class InputError(Trouble):
    """The command line, the environment or a file the user named is wrong."""


class SpecError(InputError):
    """The spec is wrong. `problems` holds every problem found, warnings included."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the spec has problems")
        self.problems = tuple(problems)


class StateError(InputError):
    """The state file cannot be used as it is. It is never overwritten."""


class LockHeld(Trouble):
    """Another process runs this spec."""

    exit = Exit.LOCKED


class DiskError(Trouble):
    """A file could not be written: no room, no permission, or no disk."""

    exit = Exit.UNFINISHED


class ApiError(Trouble):
    """The API said no, or nothing at all.

    `submit` is the row of `lifecycle.SUBMIT_OUTCOMES` that this error is, when it answers a
    submit. `kind` and `code` are the API's own words for it, when it gave any.
    """

    exit = Exit.UNFINISHED
    submit: Submit = Submit.RUBBISH
    heals = False
    """Whether the same request may succeed later."""

    def __init__(
        self,
        summary: str,
        *,
        why: str = "",
        fix: str = "",
        kind: str = "",
        code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(summary, why=why, fix=fix)
        self.kind = kind
        self.code = code
        self.retry_after = retry_after


class Refused(ApiError):
    """The request is wrong. Sending it again gives the same answer. Nothing was paid."""

    submit = Submit.REFUSED


class Disguised(Refused):
    """A wrong request that the API reports as its own 500 (`build_request_failed:`)."""

    submit = Submit.DISGUISED


class UnknownTask(Refused):
    """The API does not know the task that was asked for."""


class AccountError(ApiError):
    """The account cannot go on: every further request would be refused as well."""

    exit = Exit.STOPPED
    submit = Submit.STOPPED


class KeyRefused(AccountError):
    """401: the key is wrong or was withdrawn."""


class BalanceEmpty(AccountError):
    """402: the account has no money left."""


class NotPermitted(AccountError):
    """403: the key may not do this."""


class Busy(ApiError):
    """The request was certainly not executed; it can go out again, unchanged, later."""

    heals = True


class RateLimited(Busy):
    """429: too many requests. Costs no attempt."""

    submit = Submit.THROTTLED


class NotExecuted(Busy):
    """503 `idempotency_unavailable`: the API promises that it did nothing."""

    submit = Submit.NOT_EXECUTED


class Unreachable(Busy):
    """No connection came about, so nothing was sent."""

    submit = Submit.NEVER_SENT


class Unsure(ApiError):
    """Nobody knows whether the request was executed: same key, same body, again."""

    heals = True


class Unavailable(Unsure):
    """408 or a 5xx: the API, or something before it, broke."""

    submit = Submit.UNAVAILABLE


class Cut(Unsure):
    """The connection broke after the request left and before an answer was complete."""

    submit = Submit.CUT


class TimedOut(Unsure):
    """The request left and no answer came in time."""

    submit = Submit.TIMED_OUT


class Rubbish(Unsure):
    """An answer came that says nothing: not JSON, or without what it must hold."""

    submit = Submit.RUBBISH


class InProgress(Unsure):
    """409 `idempotency_in_progress`: the first request with this key still runs."""

    submit = Submit.IN_PROGRESS


class KeyDoubt(ApiError):
    """The idempotency key cannot tell any more what became of the first request."""


class KeyReused(KeyDoubt):
    """409 `idempotency_key_reused`: this key was used with another body."""

    submit = Submit.KEY_REUSED


class Indeterminate(KeyDoubt):
    """409 `idempotency_result_indeterminate`: stop retrying, do not change the key."""

    submit = Submit.INDETERMINATE


class FetchError(ApiError):
    """An image could not be had from its url."""


class Gone(FetchError):
    """The url has expired or never was."""


class NotAnImage(FetchError):
    """What the url gave is not a complete image within the limits."""

    heals = True
