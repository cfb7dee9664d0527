"""The manners around the API: whose turn it is, how long to wait, when to look.

`Pace` finds the rate that the API allows, `Backoff` spaces tries, `Looks` times polls, and
`Patient` is an `Api` that has all of them.
"""

from pipeline.retry.backoff import Backoff
from pipeline.retry.looks import Looks
from pipeline.retry.pace import Memory, Pace
from pipeline.retry.patient import Patient

__all__ = ["Backoff", "Looks", "Memory", "Pace", "Patient"]
