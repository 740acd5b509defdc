"""Elastic deformation as data: control points of cubic B-splines, and the weights that spread them over a patch."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from medseg.engines.sampling.drawing.drawn import Elastic
from medseg.engines.sampling.settings import ElasticSettings
from medseg.values.volume import FloatArray


def draw_elastic(
    generator: np.random.Generator,
    size: NDArray[np.integer],
    spacing_mm: Sequence[float],
    settings: ElasticSettings,
    strength: float,
    anchor: FloatArray,
) -> Elastic:
    """Draw a displacement that is 0 at `anchor`, an offset (3,) from the middle of the patch, in voxels.

    The points lie equally far apart in mm along all axes, so coarse axes have less voxels between them. Each one moves
    evenly within `strength` of that distance along each axis; then everything is shifted so that the anchor stays,
    which cannot fold what was not folded. An axis of length 1 is left alone.
    """
    edges = np.asarray(spacing_mm)
    spacing = settings.spacing * edges.min() / edges
    counts = [ceil((n - 1) / step) + 3 if n > 1 else 1 for n, step in zip(size.tolist(), spacing.tolist(), strict=True)]
    reach = np.where(size > 1, strength * spacing, 0.0)
    shifts = generator.uniform(-1.0, 1.0, (3, *counts)) * reach[:, None, None, None]
    x, y, z = (spline_weights(anchor[[axis]], counts[axis], float(spacing[axis]))[0] for axis in range(3))
    shifts -= (((shifts @ z) @ y) @ x)[:, None, None, None]
    a, b, c = spacing.tolist()
    return Elastic((counts[0], counts[1], counts[2]), (a, b, c), tuple(shifts.ravel().tolist()))


def spline_weights(offsets: FloatArray, count: int, spacing: float) -> FloatArray:
    """Return the weights (N, count) that `count` control points around 0, `spacing` apart, have at `offsets` (N,).

    Those of a single point are 1. Each row adds up to 1 where the four points around it are there.
    """
    if count == 1:
        return np.ones((len(offsets), 1))
    distance = np.abs(offsets[:, None] / spacing - (np.arange(count) - (count - 1) / 2))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, np.maximum(2 - distance, 0) ** 3 / 6
    return np.asarray(np.where(distance < 1, near, far))


def patch_weights(elastic: Elastic, patch: Sequence[int]) -> list[FloatArray]:
    """Return the weights (length, points) along each axis of a patch."""
    return [
        spline_weights(np.arange(n) - (n - 1) / 2, points, step)
        for n, points, step in zip(patch, elastic.points, elastic.spacing, strict=True)
    ]


def largest_shift(elastic: Elastic) -> FloatArray:
    """Return a bound (3,) of the displacement along each axis, in voxels of the patch."""
    return np.asarray(np.abs(np.reshape(elastic.shifts, (3, -1))).max(1))
