"""A smooth field that intensities are multiplied by, as an uneven coil would: a polynomial of low order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray

from medseg.values.volume import FloatArray

ORDER = 3
TERMS = tuple(term for term in product(range(ORDER + 1), repeat=3) if 1 <= sum(term) <= ORDER)


def coefficient_grid(coefficients: Sequence[Sequence[float]], axes: int) -> NDArray[np.float32]:
    """Arrange coefficients, one for each of `TERMS`, as (R, 4, 4, 4), in 2D as (R, 4, 4) by the first two axes."""
    grid = np.zeros((len(coefficients), *(ORDER + 1,) * 3), np.float32)
    grid[(slice(None), *np.transpose(TERMS))] = coefficients
    return grid if axes == 3 else np.ascontiguousarray(grid[..., 0])


def legendre(length: int) -> NDArray[np.float32]:
    """Return the Legendre polynomials (length, 4) of orders 0 to 3 at the voxels of an axis, -1 to 1 edge to edge.

    None of them leaves -1 to 1.
    """
    places = (2.0 * np.arange(length) + 1.0) / length - 1.0
    return legvander(places, ORDER).astype(np.float32)


def largest(coefficients: FloatArray) -> FloatArray:
    """Return how far from 0 polynomials get, (R,), of (R, TERMS) coefficients, among nine places along each axis."""
    basis = legvander(np.linspace(-1.0, 1.0, 9), ORDER)
    x, y, z = (basis[:, [term[axis] for term in TERMS]] for axis in range(3))
    values = x[:, None, None] * y[:, None] * z
    return np.asarray(np.abs(coefficients @ values.reshape(-1, len(TERMS)).T).max(1))
