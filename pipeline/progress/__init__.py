"""How a run is told while it goes on: a bar, plain lines, JSON lines, a log file, or silence.

Every one is a listener of the same events and keeps its own counts; none asks anything of the
engine. The only importer of tqdm.
"""

from pipeline.progress.bar import Bar
from pipeline.progress.fan import Fan, fan
from pipeline.progress.lines import Lines, Silent
from pipeline.progress.log import JsonLines, Log
from pipeline.progress.steps import Steps

__all__ = ["Bar", "Fan", "JsonLines", "Lines", "Log", "Silent", "Steps", "fan"]
