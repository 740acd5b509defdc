"""Connected parts of a mask: named, counted, grown, and set against those of another mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from medseg.values.volume import Array, BoolArray

_TABLE = 1 << 20  # pairs that are counted in a table, and not by sorting


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Connected parts of a mask, in index order: `names` int32 of its shape, 0 outside; `voxels` (N,) of each part."""

    names: Array
    voxels: Array

    def __len__(self) -> int:
        return len(self.voxels)


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Every pair of parts of two masks that share voxels: their indices from 0, and how many `voxels` they share."""

    first: Array
    second: Array
    voxels: Array


def components(mask: BoolArray, corners: bool = True) -> Components:
    """Find the connected parts of a mask, 2D or 3D; an empty mask has none.

    Neighbours share a face, an edge or a corner (26 of them, in 2D 8); without `corners` a face or an edge (18, in 2D
    8 as well). Parts are numbered by their first voxel, as scipy does.
    Source: He et al. 2008, run-based labelling; a mask has far fewer runs along its last axis than voxels.
    """
    names = np.zeros(mask.shape, np.int32)
    if not mask.any():
        return Components(names, np.zeros(0, np.int64))
    spaced = mask if mask.ndim == 3 else mask[None]
    # An empty plane behind every row and every slice: nothing is the neighbour of what begins the next one.
    guarded = np.zeros((spaced.shape[0], spaced.shape[1] + 1, spaced.shape[2] + 1), np.int8)
    guarded[:, :-1, :-1] = spaced
    steps = np.diff(guarded.ravel(), prepend=np.int8(0))
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    parts = _joined(starts, stops, guarded.shape[1:], corners)
    lengths = stops - starts
    names[mask] = np.repeat(parts + 1, lengths)
    return Components(names, np.bincount(parts, lengths).astype(np.int64))


def _joined(starts: Array, stops: Array, plane: tuple[int, ...], corners: bool) -> Array:
    """Return which part each run belongs to, from 0 in the order of the runs; `plane` is (rows, voxels of a row)."""
    row, slice_ = plane[1], plane[0] * plane[1]
    pairs = []
    for offset, straight in ((row, True), (slice_ - row, False), (slice_, True), (slice_ + row, False)):
        reach = int(straight or corners)
        first = np.searchsorted(stops, starts - offset - reach, "right")
        last = np.searchsorted(starts, stops - offset + reach, "left")
        counts = np.maximum(last - first, 0)
        own = np.repeat(np.arange(len(starts)), counts)
        begins = np.cumsum(counts) - counts
        pairs.append((own, np.arange(len(own)) - np.repeat(begins - first, counts)))
    own, other = (np.concatenate(sides) for sides in zip(*pairs, strict=True))
    graph = scipy.sparse.coo_array((np.ones(len(own), np.int8), (own, other)), shape=(len(starts), len(starts)))
    parts: Array = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
    return parts


def overlaps(first: Components, second: Components) -> Overlaps:
    """Return which parts of two masks of one shape share voxels, in index order."""
    both = (first.names > 0) & (second.names > 0)
    codes = (first.names[both].astype(np.int64) - 1) * len(second) + (second.names[both] - 1)
    if len(first) * len(second) <= _TABLE:
        table = np.bincount(codes)
        found = np.flatnonzero(table)
        voxels = table[found]
    else:
        found, voxels = np.unique(codes, return_counts=True)
    rows, columns = np.divmod(found, max(len(second), 1))
    return Overlaps(rows, columns, voxels)


def dilate(mask: BoolArray, times: int) -> BoolArray:
    """Grow a mask by neighbours that share a face or an edge (18 in 3D, 8 in 2D), `times` over, inside its array.

    The neighbours of a voxel are three squares of 3x3 that cross in it, so each is grown along one axis after another.
    """
    grown = mask
    for _ in range(times):
        along = _grown(grown, 0)
        square = _grown(along, 1)
        if mask.ndim == 3:
            along |= _grown(grown, 1)
            square |= _grown(along, 2)
        grown = square
    return grown


def _grown(mask: BoolArray, axis: int) -> BoolArray:
    """Return where a voxel or one of its two neighbours along an axis is true."""
    result = mask.copy()
    here, before, after = (np.moveaxis(one, axis, 0) for one in (result, mask, mask))
    here[1:] |= before[:-1]
    here[:-1] |= after[1:]
    return result
