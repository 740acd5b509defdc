"""Calibration of a region's probabilities: a loop over voxels and bins, known answers, pooling."""

from __future__ import annotations

import numpy as np
import pytest

from medseg.ops.scoring.certainty import BINS, Certainty, measure_certainty, pooled_certainty
from medseg.values.volume import BoolArray, FloatArray


def drawn(seed: int) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Draw probabilities, many of them 0 or 1 or on the edge of a bin, a truth that follows them, and a body."""
    chance = np.random.default_rng(seed)
    shape = tuple(chance.integers(2, 9, 3))
    probability = chance.random(shape).astype(np.float32)
    probability[chance.random(shape) < 0.3] = 0.0
    probability[chance.random(shape) < 0.1] = 1.0
    probability[chance.random(shape) < 0.1] = 0.2
    truth = chance.random(shape) < probability**2
    truth[0, 0, 0] = True
    body = chance.random(shape) < 0.8
    body[0, 0, 0] = True
    return probability, np.asarray(truth, np.bool_), np.asarray(body, np.bool_)


def slow(probability: FloatArray, truth: BoolArray, body: BoolArray) -> tuple[float, float]:
    """Go through voxels one by one, and through bins one by one."""
    voxels = [(float(p), bool(t)) for p, t, b in zip(probability.flat, truth.flat, body.flat, strict=True) if b]
    error = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = [(p, t) for p, t in voxels if low < p <= high or (number == 0 and p == 0)]
        if inside:
            gap = np.mean([t for _, t in inside]) - np.mean([p for p, _ in inside])
            error += len(inside) / len(voxels) * abs(float(gap))
    return error, float(np.mean([(p - t) ** 2 for p, t in voxels]))


@pytest.mark.parametrize("seed", range(20))
def test_numbers_are_those_of_a_loop(seed: int) -> None:
    probability, truth, body = drawn(seed)
    found = measure_certainty(probability, truth, body)
    assert (found.ece, found.brier) == pytest.approx(slow(probability, truth, body), abs=1e-7)
    assert sum(found.voxels) == body.sum()
    assert sum(found.inside) == (truth & body).sum()
    assert sum(found.probability) == pytest.approx(float(probability[body].sum(dtype=np.float64)))


def test_probabilities_that_keep_their_word_have_no_error() -> None:
    probability = np.repeat(np.float32([0.1, 0.5, 0.9]), 1000).reshape(3, 1000, 1)
    truth = np.zeros((3, 1000, 1), np.bool_)
    truth[0, :100] = truth[1, :500] = truth[2, :900] = True
    found = measure_certainty(probability, truth, np.ones_like(truth))
    assert found.ece == pytest.approx(0, abs=1e-7)
    assert found.brier == pytest.approx((0.09 + 0.25 + 0.09) / 3, abs=1e-7)


def test_a_missed_tumour_costs_its_share_although_nobody_doubted() -> None:
    truth = np.zeros((10, 10, 10), np.bool_)
    truth[:2] = True
    found = measure_certainty(np.zeros((10, 10, 10), np.float32), truth, np.ones_like(truth))
    assert (found.ece, found.brier) == (0.2, 0.2)


def test_air_around_the_body_changes_nothing() -> None:
    probability, truth, body = drawn(3)
    wide = [np.pad(array, 5) for array in (probability, truth, body)]
    assert measure_certainty(*wide) == measure_certainty(probability, truth, body)


def test_without_a_voxel_nothing_is_known() -> None:
    probability, truth, _ = drawn(1)
    found = measure_certainty(probability, truth, np.zeros_like(truth))
    assert (found.ece, found.brier) == (None, None)


def test_pooled_scans_are_one_large_scan() -> None:
    parts = [drawn(seed) for seed in range(4)]
    together = [np.concatenate([array.ravel() for array in arrays]) for arrays in zip(*parts, strict=True)]
    pooled = pooled_certainty(measure_certainty(*part) for part in parts)
    whole = measure_certainty(*together)
    assert isinstance(pooled, Certainty)
    assert (pooled.voxels, pooled.inside) == (whole.voxels, whole.inside)
    assert pooled.probability == pytest.approx(whole.probability)
    assert (pooled.ece, pooled.brier) == pytest.approx((whole.ece, whole.brier))
    assert pooled_certainty([]) is None
