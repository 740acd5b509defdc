"""Ctrl-C and SIGTERM, put off until training is between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While entered, remembers the first signal instead of obeying it; a second one is obeyed at once.

    Half a step is no state to continue from, so the loop asks `pending` between steps, saves, and calls `obey`.
    Outside of the main thread signals do not arrive, and nothing is done.
    """

    def __init__(self) -> None:
        self.pending: int | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.obey()
        self._restore()

    def obey(self) -> None:
        """Let the remembered signal do what it would have done, e.g. raise KeyboardInterrupt; without one, nothing."""
        if self.pending is not None:
            number, self.pending = self.pending, None
            self._restore()
            signal.raise_signal(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pending is not None:
            self.obey()
        self.pending = number

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
