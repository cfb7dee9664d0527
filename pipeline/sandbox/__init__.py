"""A stand-in for the API: the other side of the wire, for rehearsals and for tests.

It shares only the schemas with the rest of the program, so that it cannot share a
misunderstanding of the API with the client.
"""

from pipeline.sandbox.faults import Faults, Span, describe, faults
from pipeline.sandbox.ledger import Entry, Ledger
from pipeline.sandbox.server import BANNER, Sandbox, serve

__all__ = [
    "BANNER",
    "Entry",
    "Faults",
    "Ledger",
    "Sandbox",
    "Span",
    "describe",
    "faults",
    "serve",
]
