"""Filters of channels that are products with a matrix per axis: blurring, coarsening, and an uneven field."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medseg.engines.sampling.axes import along_axes, filter_axes
from medseg.engines.sampling.changing.bias_field import coefficient_grid, legendre
from medseg.engines.sampling.cutting.sources import moved


def blur(images: Tensor, sigmas: Sequence[float]) -> None:
    """Blur channels (R, *space) with Gaussians of `sigmas` (R) voxels, cut off at 3 sigma, in place; edges repeat."""
    filter_axes(images, [np.stack([blurring(length, sigma) for sigma in sigmas]) for length in images.shape[1:]])


def coarsen(images: Tensor, shares: Sequence[float]) -> None:
    """Keep `shares` (R) of the samples of channels (R, *space) along each axis, the nearest ones, in place.

    What lies between them is interpolated linearly.
    """
    filter_axes(images, [np.stack([coarsening(length, share) for share in shares]) for length in images.shape[1:]])


def uneven(images: Tensor, coefficients: Sequence[Sequence[float]]) -> None:
    """Multiply channels (R, *space), counted from their darkest voxel, by fields of mean 1, in place.

    coefficients: R rows, one number for each of `bias_field.TERMS`, of the logarithms of the fields.
    """
    space = tuple(range(1, images.ndim))
    grid = moved(coefficient_grid(coefficients, len(space)), images.device)
    bases = [moved(legendre(length), images.device).expand(len(images), -1, -1) for length in images.shape[1:]]
    field = along_axes(grid, bases).exp_()
    field.div_(field.mean(space, keepdim=True))
    low = images.amin(space, keepdim=True)
    images.sub_(low).mul_(field).add_(low)


@lru_cache(maxsize=64)
def blurring(length: int, sigma: float) -> NDArray[np.float32]:
    """Return the matrix (length, length) that blurs an axis; its rows add up to 1."""
    radius = ceil(3 * sigma)
    steps = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    matrix = np.zeros((length, length))
    for step, weight in zip(steps, weights / weights.sum(), strict=True):
        np.add.at(matrix, (np.arange(length), (np.arange(length) + step).clip(0, length - 1)), weight)
    return matrix.astype(np.float32)


@lru_cache(maxsize=64)
def coarsening(length: int, share: float) -> NDArray[np.float32]:
    """Return the matrix (length, length) that keeps `share` of the samples of an axis and interpolates the others."""
    kept = max(1, round(length * share))
    samples = np.floor((np.arange(kept) + 0.5) * length / kept).astype(int)
    places = ((np.arange(length) + 0.5) * kept / length - 0.5).clip(0, kept - 1)
    first = np.floor(places).astype(int)
    second, rest = np.minimum(first + 1, kept - 1), places - first
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length), samples[first]), 1.0 - rest)
    np.add.at(matrix, (np.arange(length), samples[second]), rest)
    return matrix.astype(np.float32)
