"""Intensity changes: each does what its name says and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from medseg.engines.sampling.draw import Draw, Intensity
from medseg.engines.sampling.intensity import blur, change_intensity, coarsen, power, stretch

EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
STRONG = Intensity(0.3, 0.8, 1.2, 0.7, 0.6, 1.3, 0.8)


def drawn(*channels: Intensity, number: int = 5) -> Draw:
    return Draw(0, (0.0, 0.0, 0.0), EYE, channels, number, None)


def image(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def test_neutral_channels_keep_their_bytes_and_the_input_stays() -> None:
    images = image(2, 2, 8, 9, 7)
    before = images.clone()
    changed = change_intensity(images, [drawn(Intensity(), STRONG), drawn(Intensity(), Intensity())])
    assert torch.equal(images, before)
    assert torch.equal(changed[0, 0], images[0, 0])
    assert torch.equal(changed[1], images[1])
    assert not torch.allclose(changed[0, 1], images[0, 1])


def test_a_sample_changes_alike_in_any_batch() -> None:
    images = image(3, 1, 8, 9, 7)
    draws = [drawn(STRONG, number=number) for number in (1, 2, 3)]
    together = change_intensity(images, draws)
    alone = [change_intensity(images[[i]], [draws[i]])[0] for i in (2, 0, 1)]
    assert torch.equal(torch.stack([alone[1], alone[2], alone[0]]), together)


def test_noise_has_its_size_and_differs_between_channels() -> None:
    changed = change_intensity(torch.zeros(1, 2, 30, 30, 30), [drawn(Intensity(noise=0.2), Intensity(noise=0.2))])[0]
    assert changed.std().item() == pytest.approx(0.2, rel=0.02)
    assert not torch.equal(changed[0], changed[1])


@pytest.mark.parametrize("shape", [(9, 8, 10), (12, 9)])
@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_blur_is_a_gaussian(shape: tuple[int, ...], sigma: float) -> None:
    before = image(*shape)
    radius = int(np.ceil(3 * sigma))
    expected = gaussian_filter(before.numpy(), sigma, mode="nearest", radius=radius)
    assert np.allclose(blur(before, sigma).numpy(), expected, atol=1e-5)


def test_stretching_keeps_range_and_mean_side() -> None:
    before = image(9, 9, 9)
    assert torch.allclose(stretch(before, 1.0), before)
    weaker = stretch(before, 0.5)
    assert torch.allclose(weaker.mean(), before.mean(), atol=1e-5)
    assert torch.allclose(weaker.std(), before.std() / 2, rtol=1e-4)
    assert stretch(before, 3.0).max() <= before.max()


def test_power_keeps_mean_and_spread_and_bears_a_constant() -> None:
    before = image(9, 9, 9)
    after = power(before, 1.7)
    assert torch.allclose(after.mean(), before.mean(), atol=1e-5)
    assert torch.allclose(after.std(), before.std(), rtol=1e-4)
    assert torch.equal(after.flatten().argsort(), before.flatten().argsort())
    assert torch.allclose(power(torch.full((4, 4, 4), 2.5), 1.7), torch.tensor(2.5))


@pytest.mark.parametrize("shape", [(8, 6, 10), (8, 6)])
def test_coarsening_keeps_shape_and_constants(shape: tuple[int, ...]) -> None:
    assert torch.allclose(coarsen(torch.full(shape, 3.0), 0.5), torch.tensor(3.0))
    rough = image(*shape)
    assert coarsen(rough, 0.5).shape == rough.shape
    assert coarsen(rough, 0.5).var() < rough.var()
