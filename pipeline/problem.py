"""One thing wrong with a spec: a value, until something prints it."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a text file. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0


class Severity(StrEnum):
    """An error stops a run before anything is sent; a warning is only said."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a spec.

    `code` is a stable kebab-case name. `message` says what is wrong in one sentence, `why` the
    reason in the API's terms, `fix` what to do. `text` is the offending line as written.
    `within` names the matrix combination or the row it was found in, when the place does not.
    """

    code: str
    message: str
    place: Place
    why: str = ""
    fix: str = ""
    text: str = ""
    within: str = ""
    severity: Severity = Severity.ERROR
