"""Expansion: a spec becomes entries with unique ids, checked requests, files and fingerprints.

fields        an item's fields, layered over `defaults`, each with its place
rows, matrix  where many entries come from one item
cage, template  `${{ … }}`, filled in once, with bounded memory and time
recipe        an item with its texts compiled
drafting      one entry out of a recipe and the names of the moment
checking      an entry against its model's limits
references, picture  reference images, found, looked at and hashed
identity, naming, register  ids, file stems, and who has them already
fingerprint   the versioned rule of what makes a picture the same
scribe, complaints  every problem once, with its place
"""

from pipeline.entries.expansion import RESERVED, expand
from pipeline.entries.fingerprint import canonical, fingerprint

__all__ = ["RESERVED", "canonical", "expand", "fingerprint"]
