"""`manifest`: write it again from the state file, for people or for other tools."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline import manifest as book_of_results
from pipeline.commands import account, batch
from pipeline.commands.ending import publish_manifest
from pipeline.download import disk, whole
from pipeline.errors import Exit, InputError
from pipeline.lifecycle import Status
from pipeline.state import Book

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from pipeline.commands.batch import Batch
    from pipeline.commands.world import World


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """What `manifest` was asked for; no `format` and no `out` is what a run writes."""

    source: str
    format: str | None = None
    out: str | None = None
    status: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    output: str | None = None
    sandbox: bool = False


def manifest(world: World, options: ManifestOptions) -> int:
    """Write the manifest; returns the exit code. Raises `InputError` when nothing was run yet."""
    opened = batch.opened(world, options.source, sandbox=options.sandbox, output=options.output)
    if not opened.state.is_file():
        raise InputError(
            f"{options.source} was not run yet: there is no {opened.state}",
            fix=f"Run it first:\n  banana-batch run {options.source}",
        )
    if options.format is None and options.out is None and not (options.status or options.columns):
        publish_manifest(opened, account.host(world.environ, opened.home))
        world.stdout.write(f"{opened.folder / 'manifest.csv'}\n{opened.folder / 'manifest.json'}\n")
        return Exit.DONE
    _export(opened, options)
    return Exit.DONE


def _export(opened: Batch, options: ManifestOptions) -> None:
    world, form = opened.world, options.format or "csv"
    if form == "parquet":
        if options.out in (None, "-"):
            raise InputError("parquet is no text", fix="Name a file with -o.")
        _parquet(opened, options, world.cwd / str(options.out))
    elif options.out in (None, "-"):
        _text(opened, options, form, world.stdout)
    else:
        with whole(world.cwd / str(options.out)) as stream:
            _text(opened, options, form, stream)


def _text(opened: Batch, options: ManifestOptions, form: str, stream: TextIO) -> None:
    book = Book(opened.state)
    try:
        records = book_of_results.selected(book.active(), _statuses(options))
        columns = book_of_results.chosen(options.columns)
        if form == "csv":
            book_of_results.write_csv(records, stream, columns)
        elif form == "jsonl":
            book_of_results.write_jsonl(records, stream, columns)
        elif options.columns:
            raise InputError("--columns is for csv, jsonl and parquet; the JSON manifest is whole")
        else:
            host = account.host(opened.world.environ, opened.home)
            book_of_results.write_json(opened.about(book.totals(), host), records, stream)
    finally:
        book.close()


def _parquet(opened: Batch, options: ManifestOptions, path: Path) -> None:
    book = Book(opened.state)
    try:
        records = book_of_results.selected(book.active(), _statuses(options))
        columns = book_of_results.chosen(options.columns)
        buffer = io.BytesIO()
        book_of_results.write_parquet(records, buffer, columns)
    finally:
        book.close()
    with disk(path):
        path.write_bytes(buffer.getvalue())


def _statuses(options: ManifestOptions) -> frozenset[Status] | None:
    return frozenset(Status(word) for word in options.status) or None
