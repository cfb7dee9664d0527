"""What stands when a run is over, and what `status` shows: text for people, data for programs.

Pure: everything comes in as arguments, nothing is read or printed here.
"""

from pipeline.summary.closing import closing, closing_data
from pipeline.summary.standing import Standing, status, status_data, table, table_data

__all__ = [
    "Standing",
    "closing",
    "closing_data",
    "status",
    "status_data",
    "table",
    "table_data",
]
