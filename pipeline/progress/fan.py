"""One listener in front of several: who cannot listen any more is dropped, the others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.events import Event, Listener


class Fan:
    """Hands each event to every listener, in order.

    A listener whose stream is gone (a closed pipe, a closed file, an encoding that cannot carry
    the text) must not stop a run that costs money: it hears nothing more.
    """

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)

    def __call__(self, event: Event) -> None:
        """Tell everyone. Raises nothing for a stream that does not work."""
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except (OSError, ValueError):
                self._listeners.remove(listener)

    def close(self) -> None:
        """Close every listener that can be closed; harmless when the run has ended already."""
        for listener in self._listeners:
            close = getattr(listener, "close", None)
            try:
                if close is not None:
                    close()
            except (OSError, ValueError):
                continue


def fan(*listeners: Listener) -> Fan:
    """Return one listener that tells all of `listeners`."""
    return Fan(*listeners)
