"""Where voxels lie: whether two grids are the same, one is a part of the other, or they show different space."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from medseg.ops.orientation import to_canonical
from medseg.values.volume import FloatArray, Volume

SAME_VOXELS = 1e-3  # grids whose corners are closer than this are one grid

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Number of voxels along three axes, and the affine (4, 4) from voxel indices to RAS+ mm."""

    shape: Shape
    affine: FloatArray


def grid_of(volume: Volume) -> Grid:
    """Return the grid that a volume lies on."""
    return Grid(volume.shape, volume.affine)


def canonical_grid(shape: Shape, affine: FloatArray) -> Grid:
    """Return the same grid with its axes turned to the closest RAS+."""
    empty = np.broadcast_to(np.uint8(0), (1, *shape))
    return grid_of(to_canonical(Volume(empty, np.asarray(affine, np.float64))))


def distance_voxels(grid: Grid, reference: Grid) -> float:
    """Return how far apart the corners of two grids lie, in voxels of the second; infinite for different shapes."""
    if grid.shape != reference.shape:
        return float("inf")
    corners = _corners(grid.shape, 0.0)
    return float(np.abs(_in_voxels_of(reference, _world(grid.affine, corners)) - corners).max())


def same_grid(grid: Grid, reference: Grid) -> bool:
    """Tell whether no corner of one grid lies more than a thousandth of a voxel from the other's."""
    return distance_voxels(grid, reference) <= SAME_VOXELS


def offset_in(part: Grid, whole: Grid) -> Shape | None:
    """Return where `part` begins in `whole`, in voxels, if it is a box of the same lattice inside it; else None."""
    corners = _corners(part.shape, 0.0)
    moved = _in_voxels_of(whole, _world(part.affine, corners)) - corners
    start = np.rint(moved[0]).astype(int)
    outside = (start < 0).any() or (start + part.shape > np.asarray(whole.shape)).any()
    if outside or float(np.abs(moved - start).max()) > SAME_VOXELS:
        return None
    return int(start[0]), int(start[1]), int(start[2])


def box_in(grid: Grid, reference: Grid) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and highest corner of a grid (outer faces of its voxels), in voxels of the reference."""
    corners = _in_voxels_of(reference, _world(grid.affine, _corners(grid.shape, 0.5)))
    return corners.min(axis=0), corners.max(axis=0)


def meets(grid: Grid, reference: Grid) -> bool:
    """Tell whether the boxes of two grids, along the axes of the reference, share some space."""
    low, high = box_in(grid, reference)
    return not ((high <= -0.5).any() or (low >= np.asarray(reference.shape) - 0.5).any())


def _corners(shape: Shape, margin: float) -> FloatArray:
    """Return the eight corners of a grid in voxels, `margin` voxels outside the centres of the outermost ones."""
    edges = [(-margin, size - 1 + margin) for size in shape]
    return np.asarray(list(product(*edges)), np.float64)


def _world(affine: FloatArray, points: FloatArray) -> FloatArray:
    return np.asarray(points @ affine[:3, :3].T + affine[:3, 3])


def _in_voxels_of(grid: Grid, points: FloatArray) -> FloatArray:
    return _world(np.linalg.inv(grid.affine), points)
