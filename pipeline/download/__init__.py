"""Bytes from the network to a verified file: part file, checks, rename.

A file under `images/` is always whole and always an image. Nothing is ever destroyed: what
stands where a new file must go moves to `images/.kept/`, named by its contents, and is found
again there when its job is asked for again.
"""

from pipeline.download.files import disk, whole
from pipeline.download.shelf import Shelf
from pipeline.download.sight import EXTENSIONS, look

__all__ = ["EXTENSIONS", "Shelf", "disk", "look", "whole"]
