"""From the prepared grid to the scan's own voxels, a brick at a time: which voxels a brick is made of, and its values.

Bricks are small enough that all that happens to one happens in the cache of a core.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from medseg.engines.inference.frame import Slab
from medseg.ops.placement import Placement
from medseg.ops.resampling import Taps, linear_taps

# Voxels of a brick, and along the slab's axis and across it, in whichever of the two grids is finer along an axis.
_VOXELS = 1 << 16
_THICKEST, _WIDEST = 32, 128


@dataclass(frozen=True, slots=True)
class Brick:
    """A box of the cropped grid, and the box of the prepared grid that its values come from."""

    place: tuple[slice, slice, slice]
    source: tuple[slice, slice, slice]


class Planes:
    """The prepared planes at hand: those of a slab, and the last plane of the one before, (K, X, Y, Z) and thin."""

    def __init__(self, slab: Slab, before: Tensor | None) -> None:
        self._slab, self._before = slab, before

    def cut(self, source: tuple[slice, slice, slice]) -> Tensor:
        """Return the scores (K, *source): a view, unless the box reaches into the slab before."""
        axis, start = self._slab.axis, self._slab.start
        first, stop = source[axis].start, source[axis].stop
        inside = list(source)
        inside[axis] = slice(max(first - start, 0), stop - start)
        scores = self._slab.scores[(slice(None), *inside)]
        if first >= start or self._before is None:
            return scores
        inside[axis] = slice(0, 1)
        return torch.cat((self._before[(slice(None), *inside)], scores), axis + 1)


class Grids:
    """The prepared and the cropped grid of one scan: the arithmetic of `resample_scores`, number for number."""

    def __init__(self, placement: Placement) -> None:
        sizes, targets = placement.prepared_shape, placement.cropped_shape
        self._growth = np.divide(targets, sizes)
        self._taps = tuple(linear_taps(size, target) for size, target in zip(sizes, targets, strict=True))
        # Shrinking axes first, as the whole volume is resampled; axes of equal length are left alone.
        changed = [axis for axis in range(3) if sizes[axis] != targets[axis]]
        self._order = sorted(changed, key=lambda axis: float(self._growth[axis]))

    def ready(self, axis: int, stop: int) -> int:
        """Return how many planes of the cropped grid along `axis` need no prepared plane from `stop` on."""
        return int(np.searchsorted(self._taps[axis].high, stop))

    def bricks(self, axis: int, first: int, stop: int) -> Iterator[Brick]:
        """Yield the bricks that fill the planes from `first` to `stop` along `axis`."""
        spans = [(first, stop) if i == axis else (0, len(taps.low)) for i, taps in enumerate(self._taps)]
        steps = self._steps(axis, stop - first)
        corners = [range(low, high, step) for (low, high), step in zip(spans, steps, strict=True)]
        for corner in product(*corners):
            ends = [min(at + step, high) for at, step, (_, high) in zip(corner, steps, spans, strict=True)]
            x, y, z = (slice(at, end) for at, end in zip(corner, ends, strict=True))
            place = x, y, z
            u, v, w = (_source(taps, part) for taps, part in zip(self._taps, place, strict=True))
            yield Brick(place, (u, v, w))

    def _steps(self, axis: int, planes: int) -> list[int]:
        """Return the edges of a brick in voxels of the crop: wider ones where few planes are at hand."""
        shrinking = np.minimum(self._growth, 1.0)
        thick = min(_THICKEST, max(1.0, planes / shrinking[axis]))
        edges = [float(min(_WIDEST, (_VOXELS / thick) ** 0.5))] * 3
        edges[axis] = thick
        return [max(1, int(edge + 1e-6)) for edge in np.multiply(edges, shrinking)]

    def interpolated(self, values: Tensor, brick: Brick) -> Tensor:
        """Return values (N, *place) of a brick from values (N, *source); without resampling the same tensor."""
        for axis in self._order:
            values = _along(values, axis + 1, self._taps[axis], brick.place[axis], brick.source[axis].start)
        return values


def _source(taps: Taps, part: slice) -> slice:
    return slice(int(taps.low[part.start]), int(taps.high[part.stop - 1]) + 1)


def _along(values: Tensor, axis: int, taps: Taps, part: slice, start: int) -> Tensor:
    """Interpolate between neighbours along one axis; two products and a sum, so that rounding is that of the whole."""
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    low, high = (torch.from_numpy(found[part] - start) for found in (taps.low, taps.high))
    weights = [torch.from_numpy(found[part]).view(shape) for found in (taps.low_weight, taps.high_weight)]
    left = values.index_select(axis, low).mul_(weights[0])
    return left.add_(values.index_select(axis, high).mul_(weights[1]))
