"""The frozen data that travels between rooms. No behaviour lives here.

Words are those of the glossary in `docs/ARCHITECTURE.md`: spec, entry, job, task, image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipeline.money import NOTHING, Money

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.lifecycle import Status
    from pipeline.problem import Place


# ── what the spec asks for ──────────────────────────────────────────────────────────────────


class ReferenceKind(StrEnum):
    """How a reference image is named in the spec."""

    LOCAL = "local"
    REMOTE = "remote"
    INLINE = "inline"


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference image.

    `source` is what the user wrote, or the file a glob found. `identity` is what enters the
    fingerprint: `sha256:<hex>` of the contents for local and inline ones, the url for remote
    ones. `path`, `media_type` and `size` (bytes) are known for local ones only.
    """

    kind: ReferenceKind
    source: str
    identity: str
    role: str = "object"
    path: Path | None = None
    media_type: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One API request that an entry asks for, before anything is known of its life.

    `request` is the canonical JSON text of the body without `image_urls` and `webhook`; the
    engine adds those when it sends. `image_index` is the first image of the job, from 1;
    `images` how many the job asks for. `stem` is the file name under `images/` of each of its
    images, without extension, `/`-separated when in subfolders.
    """

    entry_id: str
    image_index: int
    images: int
    position: int
    model: str
    prompt: str
    size: str
    request: str
    references: tuple[Reference, ...]
    references_as: str
    webhook: str
    fingerprint: str
    stems: tuple[str, ...]
    tags: tuple[str, ...]
    estimate: Money


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of the spec after expansion. `position` counts entries from 0 in spec order."""

    id: str
    position: int
    place: Place
    tags: tuple[str, ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where our own callback receiver listens and the public address that leads to it.

    `public_url` is `""` when none was told, which will do for an API on this machine only.
    """

    listen: str
    public_url: str


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a run behaves: flag beats environment beats the spec's `run:` beats the schema.

    Times are seconds; `rate` is requests a second, None for no limit of our own.
    """

    concurrency: int
    rate: float | None
    max_cost: Money | None
    deadline: float | None
    patience: float
    task_retries: int
    retry_failed: bool
    check_balance: bool
    verify: bool
    wait: bool
    download: bool
    gallery: bool
    webhook: WebhookSettings | None
    timeouts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Where results go and how files are named. `folder` is absolute."""

    folder: Path
    name: str
    metadata: str
    sidecar: bool


@dataclass(frozen=True, slots=True)
class Model:
    """One model as its file in `schemas/models/` describes it.

    `request` is the JSON Schema of the body; `card` the whole file.
    """

    name: str
    title: str
    request: Mapping[str, Any]
    max_references: int
    max_reference_bytes: int
    reference_types: tuple[str, ...]
    suggested_roles: Mapping[str, int]
    card: Mapping[str, Any]


# ── what the state file knows ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a finished job. `file` is relative to the output folder, `""` before then.

    Times are seconds since 1970 UTC, 0 when unknown.
    """

    index: int
    url: str
    url_expires_at: float = 0.0
    file: str = ""
    bytes: int = 0
    sha256: str = ""
    width: int = 0
    height: int = 0
    format: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One job as the state file has it. Times are seconds since 1970 UTC, 0 when not yet.

    `number` is the job's own number in this state file and never changes or comes again.
    `attempt` counts the keys used (1 is the first); `sends` the requests sent in all; `retries`
    the attempts made by themselves after the API reported a failed task. `extras` is the JSON of
    what the body holds besides `request` (`""` for nothing), so that the very same bytes can go
    out again. `host` is the API the task belongs to and `account` a short hash of the key it was
    sent with: a task is only asked for where it lives. `cost` is what the task cost, None while
    unknown; `sunk` what earlier attempts of this job cost.
    """

    number: int
    entry_id: str
    image_index: int
    images: int
    position: int
    active: bool
    status: Status
    model: str
    prompt: str
    size: str
    request: str
    references: tuple[Reference, ...]
    references_as: str
    webhook: str
    fingerprint: str
    stems: tuple[str, ...]
    tags: tuple[str, ...]
    estimate: Money
    attempt: int = 0
    sends: int = 0
    retries: int = 0
    key: str = ""
    extras: str = ""
    host: str = ""
    account: str = ""
    task_id: str = ""
    cost: Money | None = None
    sunk: Money = NOTHING
    error_type: str = ""
    error_message: str = ""
    intended_at: float = 0.0
    submitted_at: float = 0.0
    completed_at: float = 0.0
    results: tuple[Image, ...] = ()


# ── the plan ────────────────────────────────────────────────────────────────────────────────


class Action(StrEnum):
    """What a run would do with a job."""

    NEW = "new"
    CHANGED = "changed"
    RESUME = "resume"
    FETCH = "fetch"
    RETRY = "retry"
    FORCED = "forced"
    RENAMED = "renamed"
    RESTORED = "restored"
    UNCHANGED = "unchanged"
    LEFT = "left"
    REMOVED = "removed"


PAYING = frozenset({Action.NEW, Action.CHANGED, Action.RETRY, Action.FORCED})
"""The actions that send a request that will be paid for."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a plan: a job, what will be done with it, and why.

    `job` is what the spec asks for (None when the entry was removed); `record` what the state
    file has for it (None when nothing). For `changed`, `record` is the job that it replaces.
    """

    action: Action
    reason: str
    job: Job | None
    record: Record | None


# ── what a run tells ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Totals:
    """How things stand, over the jobs that the spec asks for now. Money in `Money`."""

    counts: Mapping[Status, int]
    images: int = 0
    spent: Money = NOTHING
    reserved: Money = NOTHING
    to_pay: Money = NOTHING

    @property
    def jobs(self) -> int:
        """How many jobs there are."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Failure:
    """Jobs that stopped for the same cause: its words, and a few of them by name."""

    status: Status
    error_type: str
    error_message: str
    count: int
    examples: tuple[tuple[str, str], ...] = field(default=())
    """Pairs of entry id and task id (`""` when there is no task)."""


@dataclass(frozen=True, slots=True)
class About:
    """What a manifest or a gallery says of the whole: whose results these are.

    `spec` is the spec's path as text, `git_commit` the commit it was at (`""` outside git),
    `host` the API's address. `generated_at` is seconds since 1970 UTC.
    """

    name: str
    spec: str
    git_commit: str
    host: str
    sandbox: bool
    generated_at: float
    version: str
    totals: Totals
