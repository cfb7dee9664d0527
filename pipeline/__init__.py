"""banana-batch: declarative batch image generation.

A spec in YAML becomes entries, entries become jobs, jobs become images on disk and rows in a
manifest. `docs/ARCHITECTURE.md` walks one run through every room of this package.
"""

__version__ = "0.1.0"
