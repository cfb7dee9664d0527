"""Words to values: the command line, the environment, and the one error handler.

The only room that knows click. Rooms below are imported when a command needs them, so that
`--help` stays quick.
"""

from pipeline.cli.ending import main
from pipeline.cli.verbs import cli

__all__ = ["cli", "main"]
