"""The body: found in noise, never empty, holes closed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medseg.ops.body import BodySettings, body_box, body_mask, fill_holes, otsu_threshold
from medseg.values.error import Refusal
from medseg.values.volume import BoolArray, FloatArray


def ball(size: int = 40, radius: float = 12.0) -> BoolArray:
    x, y, z = np.ogrid[:size, :size, :size]
    middle = (size - 1) / 2
    return np.asarray((x - middle) ** 2 + (y - middle) ** 2 + (z - middle) ** 2 < radius**2)


def noisy_head(generator: np.random.Generator) -> tuple[FloatArray, BoolArray]:
    """Bright rim, darker inside with a black hollow, Rayleigh noise in the air, a bright speck far away."""
    head = ball()
    scan = np.where(head, 90.0, 0.0) + np.where(head & ~ball(radius=9), 60.0, 0.0)
    scan[ball(radius=4)] = 0
    scan[1, 1, 1] = 400
    noise = generator.normal(0, 6, (2, *scan.shape))
    return np.hypot(scan + noise[0], noise[1]).astype(np.float32)[None], head


def test_otsu_finds_the_head_in_noise_with_its_hollow_and_without_specks() -> None:
    image, head = noisy_head(np.random.default_rng(0))
    before = image.copy()
    body = body_mask(image, BodySettings(kind="otsu"))
    assert body[19, 19, 19]
    assert not body[1, 1, 1]
    overlap = 2 * np.count_nonzero(body & head) / (np.count_nonzero(body) + np.count_nonzero(head))
    assert overlap > 0.97
    assert np.array_equal(image, before)


def test_otsu_threshold_agrees_with_trying_every_threshold() -> None:
    generator = np.random.default_rng(1)
    values = np.concatenate([generator.normal(10, 2, 4000), generator.normal(60, 9, 2500)])

    def between(threshold: float) -> float:
        dark, bright = values[values < threshold], values[values >= threshold]
        return float(dark.size * bright.size * (dark.mean() - bright.mean()) ** 2)

    best = max(np.linspace(values.min() + 0.5, values.max() - 0.5, 400), key=between)
    threshold, air = otsu_threshold(values)
    assert threshold == pytest.approx(best, abs=2.0)
    assert between(threshold) == pytest.approx(between(best), rel=0.01)
    assert air == pytest.approx(values[values < threshold].mean(), abs=0.2)


def test_nonzero_takes_any_channel() -> None:
    image = np.zeros((2, 4, 4, 4), np.float32)
    image[0, 1, 1, 1] = -3
    image[1, 2, 2, 2] = 5
    assert np.argwhere(body_mask(image, BodySettings(kind="nonzero"))).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_threshold_closes_holes_and_looks_at_the_first_channel() -> None:
    image = np.full((2, 9, 9, 9), -1000, np.float32)
    image[0, 2:7, 2:7, 2:7] = 30
    image[0, 4, 4, 4] = -1000
    body = body_mask(image, BodySettings(kind="threshold", above=-500.0))
    assert np.count_nonzero(body) == 125


def test_all_takes_everything() -> None:
    assert body_mask(np.zeros((1, 2, 3, 4), np.float32), BodySettings()).all()


@pytest.mark.parametrize("kind", ["nonzero", "otsu", "threshold"])
def test_an_empty_body_is_refused(kind: str) -> None:
    settings = BodySettings.model_validate({"kind": kind})
    with pytest.raises(
        Refusal, match=f"body: at least one voxel is body, got {kind} with first channel in 0..0; choose"
    ):
        body_mask(np.zeros((1, 5, 5, 5), np.float32), settings)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.9))
def test_holes_are_those_that_scipy_fills(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((6, 5, 7)) < share
    assert np.array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_the_box_holds_the_body_and_stays_inside(seed: int, margin: int) -> None:
    body = np.random.default_rng(seed).random((6, 5, 7)) < 0.03
    body[2, 3, 4] = True
    start, stop = body_box(body, margin)
    places = np.argwhere(body)
    assert start == tuple(np.maximum(places.min(axis=0) - margin, 0))
    assert stop == tuple(np.minimum(places.max(axis=0) + 1 + margin, body.shape))
