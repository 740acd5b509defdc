"""How far the surfaces of two masks lie apart: every element's nearest one is found once, and all measures read it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.ops.scoring.nearest import Side, facing, searched, side_of
from medseg.ops.scoring.overlap import union_box
from medseg.ops.scoring.surfel_areas import surfel_areas
from medseg.values.volume import Array, BoolArray, FloatArray

_ROUNDING = 1e-6
# Of the eight voxels around a corner two opposite ones are there and no other.
_PINCHED = np.isin(np.arange(256), [0b10000001, 0b01000010, 0b00100100, 0b00011000])


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Elements of one mask's surface, on corners of the voxel grid, in index order.

    corners: int `(3, N)`, in 2D `(2, N)`; corner 0 lies before the first voxel.  areas: `(N,)` mm2, in 2D lengths in
    mm.  nearest: `(N,)`, which element of the other surface is the nearest one; distances_mm: `(N,)`, how far that is.
    pinched: whether two voxels of the mask touch by a corner alone.
    """

    corners: Array
    areas: FloatArray
    nearest: Array
    distances_mm: FloatArray
    pinched: bool = False

    def percentile_mm(self, share: float) -> float:
        """Return the distance that `share` (0..1) of the surface stays within.

        Elements count from the nearest on, of equally near ones the smallest first, as in surface-distance.
        """
        far = self.distances_mm > 0
        beyond, own = self.distances_mm[far], self.areas[far]
        if np.sum(own) < (1 - share) * (1 - _ROUNDING) * np.sum(self.areas):
            return 0.0
        order = np.lexsort((own, beyond))
        areas = np.concatenate([np.sort(self.areas[~far]), own[order]])
        reached = np.cumsum(areas) / np.sum(areas)
        last = min(int(np.searchsorted(reached, share)), len(reached) - 1)
        first_far = len(reached) - len(beyond)
        return 0.0 if last < first_far else float(beyond[order][last - first_far])


@dataclass(frozen=True, slots=True)
class SurfaceMeasures:
    """95th percentile Hausdorff distance, average symmetric distance, surface Dice; None where both masks are empty."""

    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None


Surfaces = tuple[Surface, Surface]


def measure_surfaces(
    truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...], tolerance_mm: float, penalty_mm: float
) -> SurfaceMeasures:
    """Measure the surfaces of two masks `(X, Y, Z)`; of a scan with one slice, the contours of that slice.

    Both masks empty: every measure is None. One of them empty: the distances are `penalty_mm` and nsd is 0.
    Source: surface-distance, Nikolov et al. 2018, arXiv:1809.04430; surfaces weigh by marching-cubes area.
    """
    surfaces = surfaces_between(*drop_flat_axis(truth, predicted, spacing_mm))
    present = bool(truth.any() or predicted.any())
    return surface_measures(surfaces, present, tolerance_mm, penalty_mm)


def surface_measures(
    surfaces: Surfaces | None, present: bool, tolerance_mm: float, penalty_mm: float
) -> SurfaceMeasures:
    """Read all measures off two surfaces; of None, what a mask that is `present` alone gets, or none at all."""
    if surfaces is None:
        return SurfaceMeasures(penalty_mm, penalty_mm, 0.0) if present else SurfaceMeasures(None, None, None)
    return SurfaceMeasures(hd95_mm(*surfaces), assd_mm(*surfaces), nsd(*surfaces, tolerance_mm))


def surfaces_between(truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...]) -> Surfaces | None:
    """Find the surfaces of two masks, 2D or 3D as their shape says, each with its distances to the other.

    Returns None where either mask is empty. Elements that both surfaces have are 0 apart; for the others the nearest
    one is searched among the other surface's elements, which needs no map of the whole box.
    """
    box = union_box(truth, predicted)
    if box is None or not truth[box].any() or not predicted[box].any():
        return None
    codes = [_neighbour_codes(mask[box]) for mask in (truth, predicted)]
    sides = [side_of(_has_surface(code)) for code in codes]
    start = np.array([[side.start] for side in box])
    return (
        _surface(codes[0], sides[0], sides[1], start, spacing_mm),
        _surface(codes[1], sides[1], sides[0], start, spacing_mm),
    )


def between_parts(
    surfaces: Surfaces, parts: tuple[BoolArray, BoolArray], spacing_mm: tuple[float, ...]
) -> Surfaces | None:
    """Return parts of two surfaces with their distances to each other; None where either part is empty.

    parts: which elements of the first and of the second surface are taken. What lies nearest already is not searched
    again.
    """
    if not parts[0].any() or not parts[1].any():
        return None
    first, second = surfaces
    return (
        _part(first, second.corners, parts, spacing_mm),
        _part(second, first.corners, parts[::-1], spacing_mm),
    )


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
    flat = flat_axis(truth.shape)
    if flat is None:
        return truth, predicted, spacing_mm
    left = tuple(edge for axis, edge in enumerate(spacing_mm) if axis != flat)
    return truth.squeeze(flat), predicted.squeeze(flat), left


def flat_axis(shape: tuple[int, ...]) -> int | None:
    """Return the one axis of three along which a scan has a single slice, None where there is no such axis."""
    flat = [axis for axis, length in enumerate(shape) if length == 1]
    return flat[0] if len(shape) == 3 and len(flat) == 1 else None


def diagonal_mm(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> float:
    """Return the length of a scan's space diagonal in mm: no distance inside it is larger."""
    return float(np.linalg.norm(np.multiply(shape, spacing_mm)))


def _neighbour_codes(mask: BoolArray) -> Array:
    """Code the 2x2(x2) voxels around every corner of the grid: one more entry per axis than `mask` has voxels.

    One axis after the other joins neighbours, so that three steps do for eight voxels.
    """
    codes: Array = np.pad(mask, 1).view(np.uint8)
    for step, axis in enumerate(reversed(range(mask.ndim))):
        ahead = np.moveaxis(codes, axis, 0)
        joined = ahead[:-1] << np.uint8(1 << step)
        joined |= ahead[1:]
        codes = np.moveaxis(joined, 0, axis)
    return np.ascontiguousarray(codes)


def _has_surface(codes: Array) -> BoolArray:
    """Tell which codes are neither 0 nor the last one, which one more makes 0 again."""
    last = np.uint8(2 ** (2**codes.ndim) - 1)
    return np.asarray((codes + np.uint8(1)) & last > 1, np.bool_)


def _surface(codes: Array, own: Side, other: Side, start: Array, spacing_mm: tuple[float, ...]) -> Surface:
    found = codes.ravel()[own.places]
    nearest, distances = facing(own, other, spacing_mm)
    pinched = codes.ndim == 3 and bool(_PINCHED[found].any())
    return Surface(own.corners + start, surfel_areas(tuple(spacing_mm))[found], nearest, distances, pinched)


def _part(surface: Surface, other: Array, parts: tuple[BoolArray, BoolArray], spacing_mm: tuple[float, ...]) -> Surface:
    taken, seen = parts
    places = np.flatnonzero(seen)
    corners, nearest, distances = surface.corners[:, taken], surface.nearest[taken], surface.distances_mm[taken]
    lost = ~seen[nearest]
    nearest = np.searchsorted(places, nearest)
    nearest[lost], distances[lost] = searched(corners[:, lost], other[:, places], spacing_mm)
    return Surface(corners, surface.areas[taken], nearest, distances)
