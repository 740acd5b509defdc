"""The sum of overlapping windows, exact enough however many there are."""

from __future__ import annotations

import numpy as np

from medseg.engines.inference.layout import Window
from medseg.values.volume import Array, FloatArray


class Canvas:
    """Weighted windows painted into one volume `(outputs, X, Y, Z)` float32.

    Windows that start at the same X are summed in float64 in a slab, which goes into the volume when the next slab
    begins: hundreds of small numbers lose nothing, and the memory for that is one window thick. Windows must come in
    slab order.
    """

    def __init__(self, outputs: int, space: tuple[int, int, int]) -> None:
        self._whole: Array = np.zeros((outputs, *space), np.float32)
        self._slab: Array = np.zeros((outputs, 0, *space[1:]))
        self._place = slice(0, 0)

    def paint(self, window: Window, values: FloatArray) -> None:
        """Add the values `(outputs, *size)` of one whole window, times its weights."""
        place, *rest = window.inner
        if place != self._place:
            self._settle()
            outputs, _, *area = self._whole.shape
            self._slab, self._place = np.zeros((outputs, place.stop - place.start, *area)), place
        self._slab[(slice(None), slice(None), *rest)] += values[(slice(None), *window.within)] * window.weight()

    def finish(self) -> FloatArray:
        """Return the volume; the canvas is used up."""
        self._settle()
        return self._whole

    def _settle(self) -> None:
        self._whole[:, self._place] += self._slab
        self._slab, self._place = self._slab[:, :0], slice(0, 0)
