"""Intensity changes: each does what its name says and nothing else, to many channels as to one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from medseg.engines.sampling.changing.bias_field import TERMS
from medseg.engines.sampling.changing.intensity import change_intensity, change_rows
from medseg.engines.sampling.changing.levels import power, scale, stretch
from medseg.engines.sampling.changing.noise import add_noise, add_rician
from medseg.engines.sampling.drawing.draw import Draw, Intensity

EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
BIAS = tuple(float(number) for number in np.random.default_rng(3).uniform(-0.05, 0.05, len(TERMS)))
STRONG = Intensity(0.3, 0.8, 1.2, 0.7, 0.6, 1.3, 0.8, 0.2, BIAS)
SHAPES = [(9, 8, 10), (12, 9)]


def drawn(*channels: Intensity, number: int = 5, blank: tuple[int, ...] = ()) -> Draw:
    return Draw(0, (0.0, 0.0, 0.0), EYE, channels, number, None, blank)


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def per_row(images: torch.Tensor, *values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, *(1,) * (images.ndim - 1))


def test_neutral_channels_keep_their_bytes_and_the_input_stays() -> None:
    images = image(2, 2, 8, 9, 7)
    before = images.clone()
    changed = change_intensity(images, [drawn(Intensity(), STRONG), drawn(Intensity(), Intensity())])
    assert torch.equal(images, before)
    assert torch.equal(changed[0, 0], images[0, 0])
    assert torch.equal(changed[1], images[1])
    assert not torch.allclose(changed[0, 1], images[0, 1])


def test_images_that_need_not_be_kept_are_changed_themselves() -> None:
    images = image(2, 2, 8, 9, 7)
    draws = [drawn(Intensity(), STRONG), drawn(STRONG, Intensity(), blank=(1,))]
    expected = change_intensity(images, draws)
    changed = change_intensity(images, draws, keep=False)
    assert changed is images
    assert torch.equal(changed, expected)
    assert not changed[1, 1].any()


def test_a_sample_changes_alike_in_any_batch() -> None:
    images = image(3, 1, 8, 9, 7)
    draws = [drawn(STRONG, number=number) for number in (1, 2, 3)]
    together = change_intensity(images, draws)
    alone = [change_intensity(images[[i]], [draws[i]])[0] for i in (2, 0, 1)]
    assert torch.equal(torch.stack([alone[1], alone[2], alone[0]]), together)


@pytest.mark.parametrize("shape", SHAPES)
def test_many_channels_at_once_are_changed_like_one_after_the_other(shape: tuple[int, ...]) -> None:
    """A device changes all channels together, a CPU each by itself: some have one change, some all, some none."""
    one_each = [replace(Intensity(), **{name: value}) for name, value in vars_of(STRONG).items()]
    rows = [(change, 40 + number) for number, change in enumerate([STRONG, Intensity(), *one_each, STRONG])]
    images = image(len(rows), *shape)
    together, apart = images.clone(), images.clone()
    change_rows(together, rows)
    for number, row in enumerate(rows):
        change_rows(apart[number : number + 1], [row])
    assert torch.allclose(together, apart, atol=2e-5)
    assert torch.equal(together[1], images[1])
    assert all(not torch.allclose(together[n], images[n], atol=1e-3) for n in range(len(rows)) if n != 1)


def vars_of(intensity: Intensity) -> dict[str, object]:
    return {name: getattr(intensity, name) for name in intensity.__slots__}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_changes_channels_like_a_cpu() -> None:
    quiet = replace(STRONG, noise=0.0, rician=0.0)
    images = image(3, 2, 16, 17, 18)
    draws = [drawn(quiet, Intensity()), drawn(Intensity(blur=0.7), quiet), drawn(Intensity(), quiet, blank=(0,))]
    there = change_intensity(images.cuda(), draws).cpu()
    assert torch.allclose(there, change_intensity(images, draws), atol=1e-3)


def test_changes_come_in_their_order() -> None:
    full = replace(STRONG, noise=0.0, rician=0.0)
    images = image(1, 1, 8, 9, 7)
    changed = change_intensity(images, [drawn(full)])
    names = ("bias", "blur", "brightness", "contrast", "low_resolution", "gamma_inverted", "gamma")
    for name in names:
        images = change_intensity(images, [drawn(replace(Intensity(), **{name: getattr(full, name)}))])
    assert torch.equal(changed, images)


def test_noise_has_its_size_and_differs_between_channels() -> None:
    changed = change_intensity(torch.zeros(1, 2, 30, 30, 30), [drawn(Intensity(noise=0.2), Intensity(noise=0.2))])[0]
    assert changed.std().item() == pytest.approx(0.2, rel=0.02)
    assert stats.kstest(changed.flatten().numpy() / 0.2, "norm").pvalue > 0.001
    assert not torch.equal(changed[0], changed[1])
    again = torch.zeros(1, 30, 30, 30)
    add_noise(again, per_row(again, 0.2), [6])
    assert torch.equal(again[0], changed[1])


def test_rician_noise_has_the_distribution_of_a_magnitude() -> None:
    signal = torch.full((2, 60, 60, 20), 1.0)
    signal[:, 0] = 0.0  # the darkest voxels: no signal
    before = signal.clone()
    add_rician(signal, per_row(signal, 0.25, 0.5), [1, 2])
    for row, deviation in zip(signal.numpy(), (0.25, 0.5), strict=True):
        expected = stats.rice(1.0 / deviation, scale=deviation)
        assert stats.kstest(row[1:].ravel(), expected.cdf).pvalue > 0.001
        assert stats.kstest(row[0].ravel(), stats.rayleigh(scale=deviation).cdf).pvalue > 0.001
    lifted = before - 7.0
    add_rician(lifted, per_row(lifted, 0.25, 0.5), [1, 2])
    assert torch.allclose(lifted, signal - 7.0, atol=1e-5)


def test_scaling_multiplies() -> None:
    before = image(2, 5, 6, 7)
    after = before.clone()
    scale(after, per_row(after, 1.2, 0.5))
    assert torch.equal(after, torch.stack([before[0] * 1.2, before[1] * 0.5]))


def test_stretching_is_about_the_mean_and_within_the_range() -> None:
    before = image(3, 9, 9, 9).double()
    after = before.float()
    stretch(after, per_row(after, 1.0, 0.5, 3.0))
    for row, found, factor in zip(before.numpy(), after.numpy(), (1.0, 0.5, 3.0), strict=True):
        expected = np.clip((row - row.mean()) * factor + row.mean(), row.min(), row.max())
        assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("inverted", [False, True])
def test_power_is_the_gamma_of_nnunet(inverted: bool) -> None:
    """nnU-Net scales to 0..1, raises, scales back and restores mean and standard deviation."""
    before, exponents = image(3, 9, 9, 9) * 3 + 100, (0.7, 1.0, 1.5)
    after = before.clone()
    power(after, per_row(after, *exponents), inverted)
    for row, found, exponent in zip(before.double().numpy(), after.numpy(), exponents, strict=True):
        source = -row if inverted else row
        raised = ((source - source.min()) / np.ptp(source)) ** exponent
        expected = (raised - raised.mean()) / raised.std() * source.std() + source.mean()
        assert np.allclose(found, -expected if inverted else expected, atol=2e-3)
        assert np.array_equal(found.ravel().argsort(), row.ravel().argsort())


@pytest.mark.parametrize("inverted", [False, True])
def test_power_bears_constants_and_extreme_values(inverted: bool) -> None:
    flat = torch.full((1, 4, 4, 4), 2.5)
    power(flat, per_row(flat, 1.7), inverted)
    assert torch.equal(flat, torch.full((1, 4, 4, 4), 2.5))
    for size in (1e-4, 3e4):
        wide = image(1, 20, 20, 20) * size
        mean, spread = wide.double().mean().item(), wide.double().std().item()
        power(wide, per_row(wide, 1.5), inverted)
        assert wide.double().mean().item() == pytest.approx(mean, abs=1e-4 * size)
        assert wide.double().std().item() == pytest.approx(spread, rel=1e-3)
