"""Intensities: every kind does what its formula says, and a known bias field is flattened."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from medseg.ops.intensity import (
    ChannelNormalisation,
    Kind,
    correct_bias,
    fit_normalisation,
    normalise,
    sample_intensities,
)
from medseg.values.error import Refusal
from medseg.values.streams import stream
from medseg.values.volume import BoolArray, FloatArray

SHAPE = (9, 8, 7)


def scan(seed: int, channels: int = 1) -> tuple[FloatArray, BoolArray]:
    generator = np.random.default_rng(seed)
    image = generator.gamma(2.0, 50.0, (channels, *SHAPE)).astype(np.float32)
    body = generator.random(SHAPE) < 0.6
    return image, body


def one(kind: Kind) -> tuple[ChannelNormalisation, ...]:
    return (ChannelNormalisation(kind=kind),)


@given(st.integers(0, 2**32 - 1), st.floats(-1e4, 1e4), st.floats(0.1, 1e3))
def test_zscore_has_mean_0_and_deviation_1_in_the_body(seed: int, shift: float, scale: float) -> None:
    image, body = scan(seed)
    image = image * np.float32(scale) + np.float32(shift)
    result = normalise(image, body, one("zscore"))
    assert result.dtype == np.float32
    assert result[0][body].mean(dtype=np.float64) == pytest.approx(0, abs=1e-5)
    assert result[0][body].std(dtype=np.float64) == pytest.approx(1, abs=1e-5)
    values = image[0].astype(np.float64)
    expected = (values - values[body].mean()) / values[body].std()
    assert np.allclose(result[0], expected, atol=1e-4)


def test_differences_at_the_resolution_of_float32_count_as_none() -> None:
    image = np.tile(np.array([16777200, 16777202], np.float32), 108).reshape(1, 6, 6, 6)
    result = normalise(image, np.ones((6, 6, 6), np.bool_), one("none"))
    assert np.array_equal(result, image)
    with pytest.raises(Refusal, match="intensities inside the body differ"):
        normalise(image, np.ones((6, 6, 6), np.bool_), one("zscore"))


def test_log_zscore_is_the_zscore_of_the_logarithm() -> None:
    image, body = scan(1)
    image[0, 0] = -5
    logarithm = np.log(1 + np.maximum(image, 0))
    expected = normalise(logarithm, body, one("zscore"))
    assert np.allclose(normalise(image, body, one("log_zscore")), expected, atol=1e-5)


def test_percentile_goes_from_0_to_1() -> None:
    image, body = scan(2)
    result = normalise(image, body, one("percentile"))
    low, high = np.percentile(image[0][body].astype(np.float64), (0.5, 99.5))
    assert np.allclose(result[0], np.clip((image[0] - low) / (high - low), 0, 1), atol=1e-6)
    assert result.min() == 0
    assert result.max() == 1


def test_ct_uses_the_constants_and_not_the_scan() -> None:
    image, body = scan(3)
    constants = ChannelNormalisation(kind="ct", low=-50.0, high=120.0, mean=40.0, sd=25.0)
    result = normalise(image, body, (constants,))
    assert np.allclose(result, (np.clip(image, -50, 120) - 40) / 25, atol=1e-5)
    assert np.array_equal(result, normalise(image, ~body, (constants,)))


def test_ct_learns_percentiles_mean_and_deviation() -> None:
    samples = np.random.default_rng(4).normal(60, 30, 20_000).astype(np.float32)
    fitted = fit_normalisation("ct", samples)
    low, high = np.percentile(samples.astype(np.float64), (0.5, 99.5))
    found = (fitted.low, fitted.high, fitted.mean, fitted.sd)
    values = samples.astype(np.float64)
    assert found == pytest.approx((low, high, values.mean(), values.std()), rel=1e-6)
    assert fit_normalisation("zscore", samples) == ChannelNormalisation(kind="zscore")


def test_every_channel_has_its_own_kind_and_the_input_stays() -> None:
    image, body = scan(5, channels=2)
    before, body_before = image.copy(), body.copy()
    both = normalise(image, body, (*one("percentile"), *one("zscore")))
    assert np.array_equal(both[0], normalise(image[:1], body, one("percentile"))[0])
    assert np.array_equal(both[1], normalise(image[1:], body, one("zscore"))[0])
    untouched = normalise(image, body, one("none") * 2)
    assert np.array_equal(untouched, image)
    assert not np.shares_memory(untouched, image)
    assert np.array_equal(image, before)
    assert np.array_equal(body, body_before)


@pytest.mark.parametrize("kind", ["zscore", "log_zscore", "percentile"])
def test_a_constant_body_is_refused(kind: Kind) -> None:
    image, body = scan(6)
    image[0][body] = 7.3
    with pytest.raises(Refusal, match=r"channel 0: intensities inside the body differ, got [\d.]+ everywhere"):
        normalise(image, body, one(kind))


def test_other_refusals() -> None:
    image, body = scan(7, channels=2)
    with pytest.raises(Refusal, match="normalisation: one for each of 2 channels, got 1; list them all"):
        normalise(image, body, one("zscore"))
    with pytest.raises(Refusal, match="ct has low, high, mean and sd of the training scans"):
        normalise(image, body, one("ct") * 2)
    with pytest.raises(Refusal, match="CT: ct learns from foreground voxels of training scans, got none"):
        fit_normalisation("ct", np.empty(0, np.float32), "CT")


def test_samples_belong_to_the_region_and_to_the_stream() -> None:
    image, body = scan(8, channels=2)
    image[0] = np.arange(image[0].size).reshape(SHAPE)
    drawn = sample_intensities(image, body, stream(0, "intensities", "a"), 50)
    assert drawn.shape == (2, 50)
    places = drawn[0].astype(int)
    assert len(set(places)) == 50
    assert body.ravel()[places].all()
    assert np.array_equal(drawn[1], image[1].ravel()[places])
    assert np.array_equal(drawn, sample_intensities(image, body, stream(0, "intensities", "a"), 50))
    assert not np.array_equal(drawn, sample_intensities(image, body, stream(0, "intensities", "b"), 50))
    assert np.array_equal(sample_intensities(image, body, stream(0, "x"), 10_000), image[:, body])
    assert sample_intensities(image, body & False, stream(0, "x"), 50).shape == (2, 0)


def biased(shape: tuple[int, int, int]) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Two tissues in a ball, times a smooth field, plus noise: scan, tissue, body."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    body = x**2 + y**2 + z**2 < 0.8
    tissue = np.where(np.sin(6 * x) * np.cos(5 * y) > 0.2, 100.0, 150.0) * body
    field = np.exp(0.35 * x - 0.3 * z * y + 0.2 * y)
    noisy = tissue * field + np.random.default_rng(0).normal(0, 2, shape)
    return noisy.astype(np.float32), tissue, body


def test_n4_flattens_a_known_bias_whatever_the_threads() -> None:
    channel, tissue, body = biased((40, 44, 36))
    before = channel.copy()
    corrected = correct_bias(channel, body, (1.0, 1.0, 1.2))
    for level in (100.0, 150.0):
        here = tissue == level
        spread = [values[here].std() / values[here].mean() for values in (channel, corrected)]
        assert spread[0] > 0.14
        assert spread[1] < 0.05
    inside = body & (channel > 0)
    assert corrected[inside].mean() == pytest.approx(channel[inside].mean(), rel=1e-4)
    assert np.array_equal(channel, before)
    threads = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    try:
        assert np.array_equal(correct_bias(channel, body, (1.0, 1.0, 1.2)), corrected)
        assert SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads() == 3
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def test_n4_without_positive_voxels_is_refused() -> None:
    with pytest.raises(Refusal, match=r"n4: the body has positive voxels, got maximum -1; set prepare.n4 to false"):
        correct_bias(np.full((16, 16, 16), -1, np.float32), np.ones((16, 16, 16), np.bool_), (1.0, 1.0, 1.0))
