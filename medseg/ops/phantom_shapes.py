"""Signed distances, soft edges and smooth noise: what phantoms are drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy

from medseg.values.volume import FloatArray


def turned(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Apply a matrix `(3, 3)` to points `(3, X, Y, Z)` with sums in a fixed order, whatever the thread count."""
    return np.stack([_dot(row.astype(np.float32), points) for row in matrix])


def ellipsoid(points: FloatArray, centre: Sequence[float], radii: Sequence[float]) -> FloatArray:
    """Return about the signed distance in mm (negative inside) of points `(3, X, Y, Z)` to an ellipsoid.

    Exact for a sphere, first order near the surface otherwise.
    """
    shape = (3, 1, 1, 1)
    scaled = (points - np.asarray(centre, np.float32).reshape(shape)) / np.asarray(radii, np.float32).reshape(shape)
    level = np.sqrt((scaled**2).sum(0))
    slope = np.sqrt(((scaled / np.asarray(radii, np.float32).reshape(shape)) ** 2).sum(0))
    distance: FloatArray = level * (level - 1) / np.maximum(slope, 1e-6)
    # At the centre both level and slope vanish: the distance there is the shortest radius.
    return np.where(level < 1e-3, -np.float32(min(radii)), distance).astype(np.float32)


def polyline(points: FloatArray, path: FloatArray, radius: float) -> FloatArray:
    """Return the signed distance in mm of points `(3, X, Y, Z)` to a tube around the corners `path` `(N, 3)`."""
    nearest = np.full(points.shape[1:], np.inf, np.float32)
    for start, end in pairwise(path):
        along = (end - start).astype(np.float32)
        offset = points - start.astype(np.float32).reshape(3, 1, 1, 1)
        share = np.clip(_dot(along, offset) / np.float32(max(float(along @ along), 1e-6)), 0, 1)
        np.minimum(nearest, ((offset - along.reshape(3, 1, 1, 1) * share) ** 2).sum(0), out=nearest)
    return np.sqrt(nearest) - np.float32(radius)


def soft(distance: FloatArray, voxel_mm: float) -> FloatArray:
    """Turn signed distance into the share of a voxel that lies inside, 0..1: partial volume of a flat border."""
    return np.clip(np.float32(0.5) - distance / np.float32(voxel_mm), 0, 1)


def smooth_noise(
    generator: np.random.Generator, shape: tuple[int, int, int], spacing_mm: Sequence[float], scale_mm: float
) -> FloatArray:
    """Draw a smooth random field `shape` with mean 0 and standard deviation 1, Gaussian width `scale_mm`."""
    field = generator.standard_normal(shape, np.float32)
    scipy.ndimage.gaussian_filter(
        field, [scale_mm / edge for edge in spacing_mm], output=field, mode="wrap", truncate=3
    )
    field -= field.mean()
    field /= max(float(field.std()), 1e-6)
    return field


def paint(image: FloatArray, share: FloatArray, values: Sequence[FloatArray | float]) -> None:
    """Lay one tissue over `image` `(C, X, Y, Z)` in place: `share` 0..1 of each voxel takes the channel's value."""
    for channel, value in zip(image, values, strict=True):
        channel += share * (np.float32(value) - channel)


def _dot(weights: FloatArray, points: FloatArray) -> FloatArray:
    x, y, z = points
    total: FloatArray = weights[0] * x + weights[1] * y + weights[2] * z
    return total
