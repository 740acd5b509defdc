"""Sliding windows: where they lie, and what they weigh. Decided before any network runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Literal

import numpy as np

from medseg.values.volume import FloatArray

Blend = Literal["gaussian", "constant"]


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Windows along one axis: their first voxels (negative where padding begins) and their weights `(windows, size)`.

    At every voxel the weights of all windows that cover it sum to 1, so blending needs no division afterwards.
    """

    starts: tuple[int, ...]
    weights: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One window: `inner` cuts it from the volume, `within` is where that part lies in it, `weights` are per axis."""

    inner: tuple[slice, ...]
    within: tuple[slice, ...]
    weights: tuple[FloatArray, ...]

    def weight(self) -> FloatArray:
        """Return the weights `(X, Y, Z)` float32 of the part inside the volume."""
        x, y, z = self.weights
        weight: FloatArray = x[:, None, None] * y[:, None] * z
        return weight


def lay_windows(
    shape: tuple[int, int, int], size: tuple[int, int, int], overlap: float, blend: Blend
) -> Iterator[Window]:
    """Yield the windows of `size` voxels that cover a volume, Z fastest.

    Windows are spread evenly and neighbours share at least `overlap` of their edge. Where the volume is smaller than
    the window, one window holds it in the middle.
    """
    axes = [lay_axis(n, w, overlap, blend) for n, w in zip(shape, size, strict=True)]
    for places in product(*(range(len(axis.starts)) for axis in axes)):
        starts = [axis.starts[i] for axis, i in zip(axes, places, strict=True)]
        within = tuple(slice(max(0, -s), min(w, n - s)) for s, w, n in zip(starts, size, shape, strict=True))
        inner = tuple(slice(s + part.start, s + part.stop) for s, part in zip(starts, within, strict=True))
        weights = tuple(axis.weights[i, part] for axis, i, part in zip(axes, places, within, strict=True))
        yield Window(inner, within, weights)


def lay_axis(length: int, size: int, overlap: float, blend: Blend) -> Axis:
    """Spread windows of `size` voxels evenly over `length` voxels."""
    if length <= size:
        return Axis((-((size - length) // 2),), np.ones((1, size), np.float32))
    step = max(1, int(size * (1.0 - overlap) + 1e-9))
    count = ceil((length - size) / step) + 1
    starts = tuple(round(i * (length - size) / (count - 1)) for i in range(count))
    profile = _profile(size, blend)
    total = np.zeros(length)
    for start in starts:
        total[start : start + size] += profile
    weights = np.stack([profile / total[start : start + size] for start in starts])
    return Axis(starts, weights.astype(np.float32))


def _profile(size: int, blend: Blend) -> FloatArray:
    """Return a window's weight along one axis: flat, or a Gaussian with a standard deviation of size / 8."""
    if blend == "constant":
        return np.ones(size)
    away = (np.arange(size) - (size - 1) / 2) / (size / 8)
    profile: FloatArray = np.exp(-0.5 * away**2)
    return profile
