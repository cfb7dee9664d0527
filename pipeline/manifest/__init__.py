"""The manifest: which picture belongs to which entry, as CSV, JSON, JSON lines or Parquet.

Reads records, never the engine's memory: what can be exported after a run is what can be exported
after a crash. `docs/manifest.md` says what the columns mean and how other tools read them.
"""

from pipeline.manifest.document import write_json
from pipeline.manifest.parquet import write_parquet
from pipeline.manifest.publish import publish
from pipeline.manifest.rows import COLUMNS, chosen, rows, selected
from pipeline.manifest.table import write_csv, write_jsonl

__all__ = [
    "COLUMNS",
    "chosen",
    "publish",
    "rows",
    "selected",
    "write_csv",
    "write_json",
    "write_jsonl",
    "write_parquet",
]
