"""Filters of channels: blurring, coarsening and bias fields against scipy, torch and numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import legval2d, legval3d
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from medseg.engines.sampling.changing.bias_field import TERMS
from medseg.engines.sampling.changing.filters import blur, coarsen, uneven

BIAS = tuple(float(number) for number in np.random.default_rng(3).uniform(-0.05, 0.05, len(TERMS)))
SHAPES = [(9, 8, 10), (12, 9)]


def image(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("shape", SHAPES)
def test_blur_is_a_gaussian(shape: tuple[int, ...]) -> None:
    before = image(3, *shape)
    after, sigmas = before.clone(), (0.5, 0.9, 1.0)
    blur(after, sigmas)
    for row, found, sigma in zip(before.numpy(), after.numpy(), sigmas, strict=True):
        expected = gaussian_filter(row, sigma, mode="nearest", radius=int(np.ceil(3 * sigma)))
        assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 6, 10), (13, 7, 1), (8, 6)])
def test_coarsening_is_nearest_down_and_linear_up(shape: tuple[int, ...]) -> None:
    before, shares = image(3, *shape), (0.5, 0.73, 0.9)
    after = before.clone()
    coarsen(after, shares)
    mode = "trilinear" if len(shape) == 3 else "bilinear"
    for row, found, share in zip(before, after, shares, strict=True):
        size = [max(1, round(length * share)) for length in shape]
        small = functional.interpolate(row[None, None], size=size, mode="nearest-exact")
        expected = functional.interpolate(small, size=list(shape), mode=mode, align_corners=False)[0, 0]
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(20, 22, 24), (20, 22)])
def test_a_bias_field_is_a_smooth_polynomial_of_mean_one(shape: tuple[int, ...]) -> None:
    coefficients = [BIAS, tuple(-2 * number for number in BIAS)]
    images = torch.ones(2, *shape)
    images[(slice(None), *(0,) * len(shape))] = 0.0
    before = images.clone()
    uneven(images, coefficients)
    for found, numbers in zip(images.double().numpy(), coefficients, strict=True):
        grid = np.zeros((4, 4, 4))
        for term, number in zip(TERMS, numbers, strict=True):
            grid[term] = number
        places = np.meshgrid(*[(2 * np.arange(n) + 1) / n - 1 for n in shape], indexing="ij")
        flat = len(shape) == 2
        log = legval2d(*places, grid[..., 0]) if flat else legval3d(*places, grid)
        expected = np.exp(log) / np.exp(log).mean()
        found.flat[0] = expected.flat[0]  # where there is no signal, none comes of it
        assert np.allclose(found, expected, atol=1e-5)
        assert np.abs(log).max() <= sum(map(abs, numbers))
        assert max(np.abs(np.diff(found, axis=axis)).max() for axis in range(len(shape))) < 0.15
    assert images[(0, *(0,) * len(shape))] == 0.0
    lifted = before - 3.0
    uneven(lifted, coefficients)
    assert torch.allclose(lifted, images - 3.0, atol=1e-5)
