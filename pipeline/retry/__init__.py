"""Manners around the API: backoff, the rate that nobody tells, patience, and when to look.

`Patient` wraps any `Api` and is one, `Careful` any `Porter`. `Pace` says when the next request to
a host may go, `Backoff` how long to wait before trying again, `Looks` when to ask for a task. All
time is passed in, and whoever waits here is woken when the brake is pulled.
"""

from pipeline.retry.backoff import Backoff
from pipeline.retry.looks import Looks
from pipeline.retry.pace import Memory, Pace
from pipeline.retry.patient import Careful, Manners, Patient

__all__ = ["Backoff", "Careful", "Looks", "Manners", "Memory", "Pace", "Patient"]
