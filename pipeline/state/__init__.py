"""The state file: what is known of every job, on disk before anything depends on it.

`Store` opens and changes it, `Scribe` groups the changes of a run into few transactions off the
event loop, `Book` reads it. This room holds the only SQL of the program.
"""

from pipeline.state.book import Book
from pipeline.state.scribe import Scribe
from pipeline.state.store import PUBLISHED, Change, Store, change, fresh_attempt, rechecked

__all__ = [
    "PUBLISHED",
    "Book",
    "Change",
    "Scribe",
    "Store",
    "change",
    "fresh_attempt",
    "rechecked",
]
