"""Drives each job through its life: sends, watches, fetches, and stops cleanly.

`drive` is the whole of it. Three lanes of workers hand jobs on: `submits` (money), `watch`
(one scheduler for all looks), `fetches` (files). Every step goes through the `Journal`, so that
it is on disk before anything depends on it and before anybody is told.
"""

from pipeline.engine.bell import Bell
from pipeline.engine.budget import Budget, BudgetReached
from pipeline.engine.drive import Orders, Parts, drive

__all__ = ["Bell", "Budget", "BudgetReached", "Orders", "Parts", "drive"]
