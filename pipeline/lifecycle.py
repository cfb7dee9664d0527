"""The life of a job: its statuses, every legal step between them, and what a submit can come to.

`STEPS` is the one table of transitions and `SUBMIT_OUTCOMES` the one table of what an answer (or
no answer) to a submit means for money. The state file refuses any step that is not in the table;
`docs/resume.md` shows both tables, generated from this file.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a job stands. The words are fixed by the product and appear in the manifest."""

    PENDING = "pending"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    COMPLETED = "completed"
    DOWNLOADED = "downloaded"
    FAILED = "failed"
    HELD = "held"
    EXPIRED = "expired"


MEANING = {
    Status.PENDING: "waits to be sent; nothing was paid",
    Status.SUBMITTING: "its request is on disk and may be on the wire; it may have been paid",
    Status.SUBMITTED: "the API runs it; its task id is on disk",
    Status.COMPLETED: "finished and paid; its image is not on disk yet",
    Status.DOWNLOADED: "its image is on disk and was verified",
    Status.FAILED: "the API refused it or its task failed; nothing was paid",
    Status.HELD: "nobody knows whether it was paid; only `retry` may send it again",
    Status.EXPIRED: "finished and paid, but its image can no longer be fetched",
}

RUNNING = frozenset({Status.SUBMITTING, Status.SUBMITTED, Status.COMPLETED})
"""Something of the job is under way: a run goes on with it before it starts anything new."""

STOPPED = frozenset({Status.FAILED, Status.HELD, Status.EXPIRED})
"""A run leaves these alone; `retry` (or `run --retry-failed`, for `failed`) starts them again."""


class Step(StrEnum):
    """What happened to a job: the word that the history keeps."""

    ADD = "add"
    INTEND = "intend"
    RESEND = "resend"
    WITHDRAW = "withdraw"
    ACCEPT = "accept"
    REFUSE = "refuse"
    DOUBT = "doubt"
    COMPLETE = "complete"
    FAIL = "fail"
    LOSE = "lose"
    DOWNLOAD = "download"
    EXPIRE = "expire"
    MISS = "miss"
    RETRY = "retry"
    RECOVER = "recover"
    RECHECK = "recheck"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: from any status of `before`, `step` leads to `after`."""

    step: Step
    before: tuple[Status | None, ...]
    after: Status
    meaning: str


STEPS: tuple[Rule, ...] = (
    Rule(Step.ADD, (None,), Status.PENDING, "the spec asks for it"),
    Rule(
        Step.INTEND,
        (Status.PENDING,),
        Status.SUBMITTING,
        "request and idempotency key are on disk; the request may leave",
    ),
    Rule(
        Step.RESEND,
        (Status.SUBMITTING,),
        Status.SUBMITTING,
        "the outcome is unknown; the same key and the same body go out again",
    ),
    Rule(
        Step.WITHDRAW,
        (Status.SUBMITTING,),
        Status.PENDING,
        "the request was certainly not executed",
    ),
    Rule(Step.ACCEPT, (Status.SUBMITTING,), Status.SUBMITTED, "the API answered with a task id"),
    Rule(
        Step.REFUSE,
        (Status.PENDING, Status.SUBMITTING),
        Status.FAILED,
        "the API refused the request, or a reference of it",
    ),
    Rule(
        Step.DOUBT,
        (Status.SUBMITTING,),
        Status.HELD,
        "the outcome is unknown and the key is no longer to be trusted",
    ),
    Rule(
        Step.RECOVER,
        (Status.SUBMITTING, Status.HELD),
        Status.SUBMITTED,
        "a callback named the task of a submit whose answer was lost",
    ),
    Rule(
        Step.COMPLETE,
        (Status.SUBMITTED,),
        Status.COMPLETED,
        "the task finished; its urls are on disk",
    ),
    Rule(Step.FAIL, (Status.SUBMITTED,), Status.FAILED, "the API reports that the task failed"),
    Rule(Step.LOSE, (Status.SUBMITTED,), Status.HELD, "the API no longer knows the task"),
    Rule(
        Step.DOWNLOAD,
        (Status.COMPLETED,),
        Status.DOWNLOADED,
        "every image of the job is verified and on disk",
    ),
    Rule(
        Step.EXPIRE,
        (Status.COMPLETED,),
        Status.EXPIRED,
        "neither the urls nor the task give the image any more",
    ),
    Rule(
        Step.MISS,
        (Status.DOWNLOADED,),
        Status.COMPLETED,
        "a file is missing or damaged; it is fetched again for free",
    ),
    Rule(
        Step.RETRY,
        (Status.FAILED, Status.HELD, Status.EXPIRED),
        Status.PENDING,
        "tried again with a new key",
    ),
    Rule(
        Step.RECHECK,
        (Status.HELD, Status.EXPIRED),
        Status.SUBMITTED,
        "its task is asked once more, for free, before anything is paid again",
    ),
)

_TARGET = {(rule.step, before): rule.after for rule in STEPS for before in rule.before}


def after(step: Step, before: Status | None) -> Status | None:
    """Return the status that `step` leads to from `before`, or None when the step is illegal."""
    return _TARGET.get((step, before))


class Again(StrEnum):
    """Whether a submit may be sent again after an outcome, and by whom."""

    NO = "no"
    SAME_KEY = "same key, same body"
    NEXT_RUN = "same key, same body, once the account is mended"
    ONLY_RETRY = "only by `retry`, with a new key"


class Submit(StrEnum):
    """What a submit came to."""

    ACCEPTED = "accepted"
    NEVER_SENT = "never sent"
    REFUSED = "refused"
    DISGUISED = "refused in disguise"
    STOPPED = "stopped"
    THROTTLED = "throttled"
    NOT_EXECUTED = "not executed"
    UNAVAILABLE = "unavailable"
    CUT = "cut after sending"
    TIMED_OUT = "timed out"
    RUBBISH = "rubbish"
    IN_PROGRESS = "in progress"
    KEY_REUSED = "key reused"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row: how the outcome is seen, what may be done, and the step the job takes.

    `step` is None while the job stays `submitting`: the request goes out again, in this run or,
    when this run's patience ends, in the next one, for as long as the key is trusted.
    """

    submit: Submit
    seen: str
    again: Again
    maybe_paid: bool
    step: Step | None


SUBMIT_OUTCOMES: dict[Submit, Outcome] = {
    row.submit: row
    for row in (
        Outcome(Submit.ACCEPTED, "2xx with a task id", Again.NO, True, Step.ACCEPT),
        Outcome(
            Submit.NEVER_SENT,
            "no connection: refused, no such host, TLS failed",
            Again.SAME_KEY,
            False,
            Step.WITHDRAW,
        ),
        Outcome(
            Submit.REFUSED, "400, 404, 405, 413, 415, 422", Again.ONLY_RETRY, False, Step.REFUSE
        ),
        Outcome(
            Submit.DISGUISED,
            "500 whose message starts with `build_request_failed:`",
            Again.ONLY_RETRY,
            False,
            Step.REFUSE,
        ),
        Outcome(Submit.STOPPED, "401, 402, 403", Again.NEXT_RUN, False, Step.WITHDRAW),
        Outcome(Submit.THROTTLED, "429", Again.SAME_KEY, False, Step.WITHDRAW),
        Outcome(
            Submit.NOT_EXECUTED,
            "503 `idempotency_unavailable`",
            Again.SAME_KEY,
            False,
            Step.WITHDRAW,
        ),
        Outcome(Submit.UNAVAILABLE, "408, 500, 502, 503, 504", Again.SAME_KEY, True, None),
        Outcome(Submit.CUT, "the connection broke before an answer", Again.SAME_KEY, True, None),
        Outcome(Submit.TIMED_OUT, "no answer in time", Again.SAME_KEY, True, None),
        Outcome(Submit.RUBBISH, "an answer without a task id", Again.SAME_KEY, True, None),
        Outcome(Submit.IN_PROGRESS, "409 `idempotency_in_progress`", Again.SAME_KEY, True, None),
        Outcome(
            Submit.KEY_REUSED, "409 `idempotency_key_reused`", Again.ONLY_RETRY, True, Step.DOUBT
        ),
        Outcome(
            Submit.INDETERMINATE,
            "409 `idempotency_result_indeterminate`",
            Again.ONLY_RETRY,
            True,
            Step.DOUBT,
        ),
    )
}
