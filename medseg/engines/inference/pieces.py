"""An axis cut where windows begin and end: which windows meet over a piece, and what each adds to their mean."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medseg.engines.inference.layout import Axis
from medseg.values.volume import FloatArray


@dataclass(frozen=True, slots=True)
class Piece:
    """The voxels from `start` up to `stop` of an axis, all covered by the windows number `first` to `last`."""

    start: int
    stop: int
    first: int
    last: int


def pieces_of(axis: Axis, longest: int | None = None) -> list[Piece]:
    """Cut an axis into pieces, in order, none longer than `longest` voxels."""
    insides = [axis.inside(place) for place in range(len(axis.starts))]
    starts, stops = [inside.start for inside in insides], [inside.stop for inside in insides]
    edges = sorted({*starts, *stops})
    found = []
    for low, high in pairwise(edges):
        first, last = bisect_right(stops, low), bisect_right(starts, low) - 1
        step = longest or high - low
        found += [Piece(start, min(start + step, high), first, last) for start in range(low, high, step)]
    return found


def shares_of(axis: Axis) -> list[FloatArray]:
    """Return what each window contributes to the mean of itself and all windows before it, float32 per voxel inside.

    The first window over a voxel has a share of 1, and mean += share * (value - mean), window after window, ends at
    the sum of weight * value. Unlike that sum, equal values keep their mean exactly, however many windows there are.
    Source: West 1979, doi:10.1145/359146.359153.
    """
    total = np.zeros(axis.length)
    shares = []
    for place, (start, weights) in enumerate(zip(axis.starts, axis.weights, strict=True)):
        inside = axis.inside(place)
        own = weights[inside.start - start : inside.stop - start].astype(np.float64)
        total[inside] += own
        shares.append((own / total[inside]).astype(np.float32))
    return shares
