"""From one voxel grid to another: images by splines, classes and scores linearly.

Grids are aligned at their edges: both cover the same box, so the centre of output voxel `i` lies at
`(i + 0.5) * n_in / n_out - 0.5`. Beyond the outermost centres the outermost value goes on. A spline is a product of
one-dimensional ones, so the work is one sparse matrix per axis: the numbers of `scipy.ndimage.zoom(..., grid_mode=True,
mode="nearest")`, many times faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy

from medseg.values.error import Refusal
from medseg.values.volume import Array, BoolArray, FloatArray, Volume

_ANISOTROPIC = 3.0
_NEGLIGIBLE = 1e-7
_SIGMA_PER_VOXEL = 0.42466  # a full width at half maximum of 1

Shape = tuple[int, int, int]
Order = Literal[0, 1, 3]


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """Linear resampling of one axis: voxel `i` becomes `low_weight[i] * x[low[i]] + high_weight[i] * x[high[i]]`.

    low, high: int64 (new size,), ascending, `high` is `low` or the voxel after it.  Weights: float32, together 1; where
    both are the same voxel `high_weight` is 0.
    """

    low: Array
    high: Array
    low_weight: FloatArray
    high_weight: FloatArray


def linear_taps(size: int, new_size: int) -> Taps:
    """Return how `size` voxels become `new_size` ones: the numbers of `resample_scores`, a few voxels at a time."""
    operator = _operator(size, _centres(size, new_size), 1)
    first, last = operator.indptr[:-1], operator.indptr[1:] - 1
    indices = operator.indices.astype(np.int64)
    second = np.where(first == last, np.float32(0), operator.data[last])
    return Taps(indices[first], indices[last], operator.data[first], second)


def coarse_axis(spacing_mm: Sequence[float]) -> int | None:
    """Name the one axis whose voxels are more than 3 times longer than the shortest edge, else None.

    Source: nnU-Net (Isensee et al. 2021) resamples such an axis apart; two long axes are no reason to.
    """
    longest = max(spacing_mm)
    axes = [axis for axis, edge in enumerate(spacing_mm) if np.isclose(edge, longest)]
    return axes[0] if longest / min(spacing_mm) > _ANISOTROPIC and len(axes) == 1 else None


def resample_image(image: FloatArray, shape: Shape, order: Order = 3, coarse: int | None = None) -> FloatArray:
    """Resample `image` (C, X, Y, Z) to (C, *shape) as float32, by splines of `order`, linearly along axis `coarse`.

    Each channel stays within its own range (a cubic spline overshoots at edges). No smoothing: steps between the
    spacings of one data set are small. The same shape gives an equal copy.
    Source: nnU-Net's rule for anisotropic scans; it repeats slices along the coarse axis, we interpolate linearly.
    """
    resampled = np.empty((image.shape[0], *shape), np.float32)
    orders: list[Order] = [1 if axis == coarse else order for axis in range(3)]
    for channel, result in zip(image, resampled, strict=True):
        result[...] = _resample(channel, shape, orders)
        np.clip(result, channel.min(), channel.max(), out=result)
    return resampled


def resample_classes(classes: Array, shape: Shape) -> Array:
    """Resample class indices (X, Y, Z) to `shape` as uint8: every class linearly, then the strongest of them.

    On a tie the lowest class wins; only classes that are present can come out. The same shape gives an equal copy.
    """
    if classes.shape == shape:
        return classes.astype(np.uint8)
    present = np.unique(classes)
    result: Array = np.full(shape, present[0], np.uint8)
    strongest = np.full(shape, -1, np.float32)
    for index in present:
        share = _resample((classes == index).astype(np.float32), shape, (1, 1, 1))
        won = share > strongest + np.float32(_NEGLIGIBLE)
        result[won] = index
        strongest[won] = share[won]
    return result


def resample_scores(scores: FloatArray, shape: Shape) -> FloatArray:
    """Resample scores (K, X, Y, Z) linearly to (K, *shape), float32; the same shape gives an equal copy."""
    resampled = np.empty((scores.shape[0], *shape), np.float32)
    for channel, result in zip(scores, resampled, strict=True):
        result[...] = _resample(channel, shape, (1, 1, 1))
    return resampled


def resample_to_grid(volume: Volume, shape: Shape, affine: FloatArray, order: Order = 3) -> Volume:
    """Bring every channel of `volume` onto the grid (`shape`, `affine`), float32, within the channel's range.

    Towards coarser voxels the channel is smoothed first. Where the grid reaches more than half a voxel beyond the
    volume, the channel's minimum is written (air in CT, nothing in PET). A grid wholly outside is refused.
    Source: smoothing by Cardoso et al. 2015, Scale factor point spread function matching.
    """
    matrix = np.linalg.inv(volume.affine) @ affine
    inside = _inside(matrix, shape, volume.shape)
    if not inside.any():
        raise Refusal("channel", "a channel overlaps the grid of the first one", "no common voxel", "check the affines")
    voxels = np.empty((volume.voxels.shape[0], *shape), np.float32)
    for channel, result in zip(volume.voxels, voxels, strict=True):
        low, high = channel.min(), channel.max()
        result[...] = _pulled(channel.astype(np.float32, copy=False), matrix, shape, order)
        np.clip(result, low, high, out=result)
        result[~inside] = low
    return Volume(voxels, affine)


def resample_labels_to_grid(labels: Array, affine: FloatArray, shape: Shape, target: FloatArray) -> Array:
    """Bring label numbers (X, Y, Z) from the grid of `affine` to the grid (`shape`, `target`).

    Every voxel takes the number of the nearest one; beyond the outermost stands 0. A grid wholly outside is refused.
    """
    matrix = np.linalg.inv(affine) @ target
    x, y, z = labels.shape
    if not _inside(matrix, shape, (x, y, z)).any():
        raise Refusal("mask", "a mask overlaps the grid of its image", "no common voxel", "check the affines")
    moved: Array = scipy.ndimage.affine_transform(
        labels, matrix[:3, :3], matrix[:3, 3], shape, order=0, mode="grid-constant", cval=0
    )
    return moved


def _resample(channel: Array, shape: Shape, orders: Sequence[Order]) -> FloatArray:
    """Apply one operator per axis, shrinking axes first; axes of equal length are left alone."""
    sizes = channel.shape
    operators: list[scipy.sparse.csr_array | None] = [None, None, None]
    for axis, (size, new_size) in enumerate(zip(sizes, shape, strict=True)):
        if size != new_size:
            operators[axis] = _operator(size, _centres(size, new_size), orders[axis])
    return _applied(channel, operators)


def _centres(size: int, new_size: int) -> FloatArray:
    """Return where the centres of `new_size` voxels lie among `size` voxels that fill the same length."""
    centres: FloatArray = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    return centres


def _operator(size: int, places: FloatArray, order: Order, sigma: float = 0.0) -> scipy.sparse.csr_array:
    """Make the matrix (len(places), size) that smooths `size` voxels by `sigma` and samples them at `places`.

    It is read off by sampling the unit vectors. Rows sum to 1; weights below 1e-7 are dropped.
    """
    units = np.eye(size)
    if sigma > 0:
        units = scipy.ndimage.gaussian_filter1d(units, sigma, axis=0, mode="nearest")
    grid = np.meshgrid(places, np.arange(size), indexing="ij")
    weights = scipy.ndimage.map_coordinates(units, grid, order=order, mode="nearest")
    weights[np.abs(weights) < _NEGLIGIBLE] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    return scipy.sparse.csr_array(weights.astype(np.float32))


def _applied(channel: Array, operators: Sequence[scipy.sparse.csr_array | None]) -> FloatArray:
    result: FloatArray = np.asarray(channel, np.float32)
    for axis, operator in sorted(enumerate(operators), key=_growth):
        if operator is None:
            continue
        front = np.moveaxis(result, axis, 0)
        flat = np.ascontiguousarray(front).reshape(front.shape[0], -1)
        moved = np.asarray(operator @ flat).reshape(-1, *front.shape[1:])
        result = np.moveaxis(moved, 0, axis)
    return result


def _growth(item: tuple[int, scipy.sparse.csr_array | None]) -> float:
    _, operator = item
    return 1.0 if operator is None else operator.shape[0] / operator.shape[1]


def _pulled(channel: FloatArray, matrix: FloatArray, shape: Shape, order: Order) -> FloatArray:
    """Sample `channel` at `matrix @ (target voxel)`, axis by axis where the grids are parallel."""
    widths = np.linalg.norm(matrix[:3, :3], axis=1)
    sigmas = np.sqrt(np.maximum(widths**2 - 1, 0)) * _SIGMA_PER_VOXEL
    if _parallel(matrix, shape):
        places = [matrix[axis, axis] * np.arange(shape[axis]) + matrix[axis, 3] for axis in range(3)]
        sizes = zip(channel.shape, places, sigmas, strict=True)
        return _applied(channel, [_operator(size, place, order, float(sigma)) for size, place, sigma in sizes])
    smooth = scipy.ndimage.gaussian_filter(channel, sigmas, mode="nearest")
    pulled: FloatArray = scipy.ndimage.affine_transform(
        smooth, matrix[:3, :3], matrix[:3, 3], shape, order=order, mode="nearest"
    )
    return pulled


def _parallel(matrix: FloatArray, shape: Shape) -> bool:
    """Tell whether leaving the off-diagonal part out moves no voxel by more than a thousandth of a voxel."""
    slant = np.abs(matrix[:3, :3] - np.diag(np.diag(matrix)[:3]))
    return bool((slant @ np.asarray(shape)).max() < 1e-3)


def _inside(matrix: FloatArray, shape: Shape, size: Shape) -> BoolArray:
    """Return (X, Y, Z): target voxels whose centre lies in the box of the source, its outer half voxels included."""
    inside = np.ones(shape, np.bool_)
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for axis in range(3):
        row = matrix[axis]
        place = row[0] * x + row[1] * y + row[2] * z + row[3]
        inside &= (place >= -0.5 - 1e-3) & (place <= size[axis] - 0.5 + 1e-3)
    return inside
