"""A porter in this process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline import metadata
from pipeline.api import Brought

if TYPE_CHECKING:
    from pipeline.api import Parcel, Source
    from pipeline.clock import Clock
    from pipeline.download import Shelf


class Hands:
    """Fetches from `source` and puts onto `shelf`. Implements `pipeline.api.Porter`."""

    def __init__(
        self, source: Source, shelf: Shelf, clock: Clock, *, embed: bool, sidecar: bool
    ) -> None:
        """Write a parcel's facts into its image (`embed`) and beside it (`sidecar`)."""
        self._source = source
        self._shelf = shelf
        self._clock = clock
        self._embed = embed
        self._sidecar = sidecar

    async def bring(self, parcel: Parcel) -> Brought:
        """Fetch one image, once. Raises what `Source.fetch` and `Shelf.take` do."""
        facts = parcel.facts
        dress = partial(metadata.embed, facts=facts) if self._embed else None
        story = metadata.sidecar(facts) if self._sidecar else b""
        asked = self._clock.monotonic()
        async with self._source.fetch(parcel.url) as download:
            seconds = self._clock.monotonic() - asked
            image = await self._shelf.take(download, parcel.name, parcel.stem, dress, story)
        return Brought(image, seconds)
