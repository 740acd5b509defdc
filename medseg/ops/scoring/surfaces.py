"""How far the surfaces of two masks lie apart: three measures from one pair of distance maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from medseg.ops.scoring.overlap import union_box
from medseg.ops.scoring.surfel_areas import surfel_areas
from medseg.values.volume import Array, BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Surface:
    """Elements of one mask's surface, nearest first: distance to the other surface and own size.

    `distances_mm` and `areas` are `(N,)`; areas in mm2, in 2D lengths in mm.
    """

    distances_mm: FloatArray
    areas: FloatArray

    def percentile_mm(self, share: float) -> float:
        """Return the distance that `share` (0..1) of the surface stays within."""
        reached = np.cumsum(self.areas) / np.sum(self.areas)
        return float(self.distances_mm[min(int(np.searchsorted(reached, share)), len(reached) - 1)])


@dataclass(frozen=True, slots=True)
class SurfaceMeasures:
    """95th percentile Hausdorff distance, average symmetric distance, surface Dice; None where both masks are empty."""

    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None


def measure_surfaces(
    truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...], tolerance_mm: float, penalty_mm: float
) -> SurfaceMeasures:
    """Measure the surfaces of two masks `(X, Y, Z)`; of a scan with one slice, the contours of that slice.

    Both masks empty: every measure is None. One of them empty: the distances are `penalty_mm` and nsd is 0.
    Source: surface-distance, Nikolov et al. 2018, arXiv:1809.04430; surfaces weigh by marching-cubes area.
    """
    surfaces = surfaces_between(*drop_flat_axis(truth, predicted, spacing_mm))
    if surfaces is None:
        present = bool(truth.any() or predicted.any())
        return SurfaceMeasures(penalty_mm, penalty_mm, 0.0) if present else SurfaceMeasures(None, None, None)
    return SurfaceMeasures(hd95_mm(*surfaces), assd_mm(*surfaces), nsd(*surfaces, tolerance_mm))


def surfaces_between(
    truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...]
) -> tuple[Surface, Surface] | None:
    """Find the surfaces of two masks, 2D or 3D as their shape says, each with its distances to the other.

    Elements sit on the corners of the voxel grid. Returns None where either mask is empty.
    """
    box = union_box(truth, predicted)
    if box is None or not truth[box].any() or not predicted[box].any():
        return None
    codes = [_neighbour_codes(mask[box]) for mask in (truth, predicted)]
    borders = [(code > 0) & (code < 2 ** (2**truth.ndim) - 1) for code in codes]
    maps = [scipy.ndimage.distance_transform_edt(~border, sampling=spacing_mm) for border in borders]
    areas = surfel_areas(tuple(spacing_mm))
    own = _surface(maps[1][borders[0]], areas[codes[0][borders[0]]])
    other = _surface(maps[0][borders[1]], areas[codes[1][borders[1]]])
    return own, other


def hd95_mm(first: Surface, second: Surface) -> float:
    """Return the larger of the two directed 95th percentiles of the distance, weighted by area."""
    return max(first.percentile_mm(0.95), second.percentile_mm(0.95))


def assd_mm(first: Surface, second: Surface) -> float:
    """Return the mean distance over both surfaces together, weighted by area."""
    total = np.sum(first.distances_mm * first.areas) + np.sum(second.distances_mm * second.areas)
    return float(total / (np.sum(first.areas) + np.sum(second.areas)))


def nsd(first: Surface, second: Surface, tolerance_mm: float) -> float:
    """Return the share of both surfaces that lies within `tolerance_mm` (inclusive) of the other one."""
    near = sum(np.sum(surface.areas[surface.distances_mm <= tolerance_mm]) for surface in (first, second))
    return float(near / (np.sum(first.areas) + np.sum(second.areas)))


def drop_flat_axis(
    truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...]
) -> tuple[BoolArray, BoolArray, tuple[float, ...]]:
    """Take away the one axis along which a scan has a single slice; any other scan comes back as it is.

    As a slab, a slice would be nearly all surface, top and bottom, and every distance would look small.
    """
    flat = [axis for axis, length in enumerate(truth.shape) if length == 1]
    if truth.ndim != 3 or len(flat) != 1:
        return truth, predicted, spacing_mm
    left = tuple(edge for axis, edge in enumerate(spacing_mm) if axis != flat[0])
    return truth.squeeze(flat[0]), predicted.squeeze(flat[0]), left


def diagonal_mm(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> float:
    """Return the length of a scan's space diagonal in mm: no distance inside it is larger."""
    return float(np.linalg.norm(np.multiply(shape, spacing_mm)))


def _neighbour_codes(mask: BoolArray) -> Array:
    """Code the 2x2(x2) voxels around every corner of the grid: one more entry per axis than `mask` has voxels."""
    padded = np.pad(mask, 1).view(np.uint8)
    shape = tuple(length - 1 for length in padded.shape)
    codes: Array = np.zeros(shape, np.uint8)
    for offset in np.ndindex(*(2,) * mask.ndim):
        window = tuple(slice(start, start + length) for start, length in zip(offset, shape, strict=True))
        codes = (codes << 1) | padded[window]
    return codes


def _surface(distances_mm: FloatArray, areas: FloatArray) -> Surface:
    order = np.lexsort((areas, distances_mm))
    return Surface(distances_mm[order], areas[order])
