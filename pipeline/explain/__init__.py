"""Puts a broken rule into words: what is wrong, why it matters, what to write instead.

The shape of a spec and the limits of a model are told in the same voice, because both come
through here. What a schema says for itself is used before any words of our own: `x-refused`
(`why`, `fix`), `x-form` (a pattern in words), `x-mistaken` (other names people write for a field),
`examples`.

rules    a broken rule -> a problem
nearest  the word that was probably meant
"""

from pipeline.explain.nearest import meant
from pipeline.explain.rules import explain, named, shown, stands_for

__all__ = ["explain", "meant", "named", "shown", "stands_for"]
