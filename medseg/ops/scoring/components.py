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
    8 as well).
    """
    if mask.size == 0:
        return Components(np.zeros(mask.shape, np.int32), np.zeros(0, np.int64))
    reach = mask.ndim if corners else 2
    structure = scipy.ndimage.generate_binary_structure(mask.ndim, reach)
    names: Array = np.empty(mask.shape, np.int32)
    number = scipy.ndimage.label(mask, structure, output=names)
    return Components(names, np.bincount(names[mask], minlength=number + 1)[1:])


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
