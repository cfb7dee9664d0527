"""How a run ended: its exit code, and what is left for people and programs to read."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from pipeline import __version__, gallery, manifest
from pipeline.commands.batch import git_commit
from pipeline.errors import Exit, Trouble
from pipeline.lifecycle import RUNNING, STOPPED, Status
from pipeline.state import PUBLISHED, Book

if TYPE_CHECKING:
    from pipeline.commands.batch import Batch
    from pipeline.model import Totals
    from pipeline.state import Store


class Interrupted(Trouble):
    """A signal asked the run to stop."""

    def __init__(self, number: int) -> None:
        """Say which signal it was."""
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        super().__init__(
            f"stopped by {name}",
            why="Nothing is lost: tasks under way are collected by the next run.",
            fix="Run again to go on.",
        )
        self.exit = Exit.INTERRUPTED if number == signal.SIGINT else Exit.TERMINATED


def verdict(cause: BaseException | str | None, selected: Totals) -> tuple[Exit, str]:
    """Return the exit code and the reason, from what stopped the run and where its jobs stand."""
    if isinstance(cause, Trouble):
        return cause.exit, cause.summary
    count = selected.counts
    left = sum(count.get(status, 0) for status in (*RUNNING, Status.PENDING))
    if left:
        return Exit.UNFINISHED, f"{_jobs(left)} left for the next run"
    stopped = sum(count.get(status, 0) for status in STOPPED)
    if stopped:
        return Exit.SOME_FAILED, f"{_jobs(stopped)} without an image"
    return Exit.DONE, ""


def _jobs(count: int) -> str:
    return f"{count:,} job" if count == 1 else f"{count:,} jobs"


def publish(batch: Batch, store: Store, host: str, *, page: bool) -> None:
    """Write manifest and gallery, unless those that are there tell the present already.

    Raises `DiskError`.
    """
    book = Book(batch.state)
    try:
        commit = git_commit(batch.spec.document.path)
        edition = " ".join((book.edition(), commit, __version__, str(page)))
    finally:
        book.close()
    wanted = ["manifest.csv", "manifest.json", *(["gallery.html"] if page else [])]
    there = all((batch.folder / name).is_file() for name in wanted)
    if there and store.fact(PUBLISHED) == edition:
        return
    publish_manifest(batch, host)
    if page:
        publish_gallery(batch, host)
    store.keep_fact(PUBLISHED, edition)


def publish_manifest(batch: Batch, host: str) -> None:
    """Write the manifest anew from the state file. Raises `DiskError`."""
    book = Book(batch.state)
    try:
        manifest.publish(batch.folder, batch.about(book.totals(), host), book.active)
    finally:
        book.close()


def publish_gallery(batch: Batch, host: str, *, live: bool = False) -> None:
    """Write the gallery anew from the state file. Raises `DiskError`."""
    book = Book(batch.state)
    try:
        gallery.publish(
            batch.folder,
            batch.about(book.totals(), host),
            book.active,
            failures=book.failures(statuses=STOPPED),
            spec_folder=batch.home,
            live=live,
        )
    finally:
        book.close()
