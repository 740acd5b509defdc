"""Sliding windows: where they lie, in which order they come, what they weigh. Decided before any network runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import Literal

import numpy as np

from medseg.values.volume import FloatArray

Blend = Literal["gaussian", "constant"]
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Windows along one axis: their first voxels (negative where padding begins) and their weights `(windows, size)`.

    At every voxel the weights of all windows that cover it sum to 1.
    """

    length: int
    starts: tuple[int, ...]
    weights: FloatArray

    @property
    def size(self) -> int:
        """Voxels of a window, with those outside the volume."""
        return int(self.weights.shape[1])

    def inside(self, place: int) -> slice:
        """Return the voxels of the volume that window number `place` covers."""
        start = self.starts[place]
        return slice(max(0, start), min(self.length, start + self.size))


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One window: its number along X, Y and Z; `inner` cuts it from the volume, `within` is where that lies in it."""

    places: Shape
    inner: tuple[slice, ...]
    within: tuple[slice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """All windows over a volume: the axes X, Y and Z, and their `order`, the slab axis first and the fastest last."""

    axes: tuple[Axis, Axis, Axis]
    order: Shape

    def windows(self) -> Iterator[Window]:
        """Yield the windows, so that planes across the slab axis have had their last window as early as possible."""
        for numbers in product(*(range(len(self.axes[axis].starts)) for axis in self.order)):
            x, y, z = (numbers[self.order.index(axis)] for axis in range(3))
            yield self._window((x, y, z))

    def _window(self, places: Shape) -> Window:
        inner = tuple(axis.inside(place) for axis, place in zip(self.axes, places, strict=True))
        starts = [axis.starts[place] for axis, place in zip(self.axes, places, strict=True)]
        within = tuple(slice(i.start - start, i.stop - start) for i, start in zip(inner, starts, strict=True))
        return Window(places, inner, within)


def lay_out(shape: Shape, size: Shape, plane: int | None, overlap: float, blend: Blend) -> Layout:
    """Cover a volume with windows of `size` voxels; slabs lie across `plane`, or across the axis that suits best.

    Windows are spread evenly and neighbours share at least `overlap` of their edge. Where the volume is smaller than
    the window, one window holds it in the middle.
    """
    x, y, z = (lay_axis(n, w, overlap, blend) for n, w in zip(shape, size, strict=True))
    first = slab_axis(shape, size) if plane is None else plane
    second, third = (axis for axis in range(3) if axis != first)
    return Layout((x, y, z), (first, second, third))


def slab_axis(shape: Sequence[int], size: Sequence[int]) -> int:
    """Return the axis across which one thickness of windows is the smallest part of the volume; X before Y before Z."""
    live = [min(w, n) * (prod(shape) // n) for n, w in zip(shape, size, strict=True)]
    return live.index(min(live))


def lay_axis(length: int, size: int, overlap: float, blend: Blend) -> Axis:
    """Spread windows of `size` voxels evenly over `length` voxels."""
    if length <= size:
        return Axis(length, (-((size - length) // 2),), np.ones((1, size), np.float32))
    step = max(1, int(size * (1.0 - overlap) + 1e-9))
    count = ceil((length - size) / step) + 1
    starts = tuple(round(i * (length - size) / (count - 1)) for i in range(count))
    profile = _profile(size, blend)
    total = np.zeros(length)
    for start in starts:
        total[start : start + size] += profile
    weights = np.stack([profile / total[start : start + size] for start in starts])
    return Axis(length, starts, weights.astype(np.float32))


def _profile(size: int, blend: Blend) -> FloatArray:
    """Return a window's weight along one axis: flat, or a Gaussian with a standard deviation of size / 8."""
    if blend == "constant":
        return np.ones(size)
    away = (np.arange(size) - (size - 1) / 2) / (size / 8)
    profile: FloatArray = np.exp(-0.5 * away**2)
    return profile
