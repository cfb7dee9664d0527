"""YAML text becomes validated data that knows its line numbers; the only importer of YAML.

source    bytes -> text: sizes, encodings, lines
scalars   one word of YAML -> a value, by the core rules of YAML 1.2
compose   YAML events -> data, and the place of every key and value
wording   what the parser says -> what a person can use
document  one file: its data and its places
shape     data -> problems, by `schemas/spec.schema.json`
load      a path -> a Spec, includes and all
settings  the spec's `run:` and the command line -> how a run behaves
"""

from pipeline.spec.document import Document
from pipeline.spec.load import Spec, load
from pipeline.spec.settings import run_settings

__all__ = ["Document", "Spec", "load", "run_settings"]
