"""What one run learned of the API and the next one starts from: its pace, its tasks' durations."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.retry import Memory

if TYPE_CHECKING:
    from pipeline.commands.account import Account
    from pipeline.retry import Looks, Pace
    from pipeline.state import Store


class Learned:
    """Kept in the state file, for each host and key by itself."""

    def __init__(self, store: Store, account: Account) -> None:
        """Read and write the facts of `store`."""
        self._store = store
        self._whose = f"{account.host} {account.mark}"

    def pace(self) -> Memory:
        """Return the pace that worked, or nothing when none is known."""
        try:
            return Memory(**self._read("pace"))
        except TypeError:
            return Memory()

    def durations(self) -> dict[str, list[float]]:
        """Return how long each model's tasks took."""
        return self._read("durations")

    def keep(self, looks: Looks, pace: Pace) -> None:
        """Write down what this run knows at its end."""
        self._store.keep_fact(f"durations {self._whose}", json.dumps(looks.snapshot()))
        self._store.keep_fact(f"pace {self._whose}", json.dumps(asdict(pace.memory())))

    def _read(self, what: str) -> dict[str, Any]:
        kept = self._store.fact(f"{what} {self._whose}")
        found: dict[str, Any] = json.loads(kept) if kept else {}
        return found
