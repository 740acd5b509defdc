"""FROC: labelling the whole scan at every threshold, curves by hand, failed and healthy scans."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medseg.ops.scoring.froc import RATES, THRESHOLDS, Froc, failed_froc, measure_froc, pooled_froc
from medseg.values.volume import BoolArray, FloatArray


def slow(probability: FloatArray, truth: BoolArray) -> tuple[list[int], list[int]]:
    """Label the whole scan at each threshold and go through its components."""
    neighbours = np.ones((3,) * truth.ndim)
    lesions, lesion_count = ndimage.label(truth, neighbours)
    hits, false = [], []
    for threshold in THRESHOLDS:
        names, number = ndimage.label(probability >= threshold, neighbours)
        hits.append(sum(bool((names[lesions == lesion] > 0).any()) for lesion in range(1, lesion_count + 1)))
        false.append(sum(not truth[names == name].any() for name in range(1, number + 1)))
    return hits, false


def drawn(seed: int) -> tuple[FloatArray, BoolArray]:
    """Draw a smooth map with hills of many heights, and a truth under some of them."""
    chance = np.random.default_rng(seed)
    shape = tuple(chance.integers(8, 20, 2 if seed % 3 == 0 else 3))
    hills = ndimage.gaussian_filter(chance.normal(size=shape), 1.2)
    probability = (1 / (1 + np.exp(-hills * chance.choice([5, 20])))).astype(np.float32)
    truth = np.asarray(ndimage.gaussian_filter(hills + chance.normal(size=shape) * 0.1, 0.5) > 0.15, np.bool_)
    return probability, truth


@pytest.mark.parametrize("seed", range(25))
def test_hits_and_false_alarms_are_those_of_labelling_everything(seed: int) -> None:
    probability, truth = drawn(seed)
    found = measure_froc(probability, truth)
    hits, false = slow(probability, truth)
    assert (list(found.hits), list(found.false)) == (hits, false)
    assert (found.lesions, found.scans) == (ndimage.label(truth, np.ones((3,) * truth.ndim))[1], 1)


def test_a_map_of_nothing_finds_nothing() -> None:
    truth = np.zeros((5, 5, 5), np.bool_)
    nothing = np.zeros((5, 5, 5), np.float32)
    assert measure_froc(nothing, truth) == Froc(0, (0,) * 15, (0,) * 15)
    truth[2, 2, 2] = True
    assert measure_froc(nothing, truth) == Froc(1, (0,) * 15, (0,) * 15)


def test_thresholds_are_inclusive_and_each_alarm_counts_once() -> None:
    truth = np.zeros((9, 3, 3), np.bool_)
    truth[0, 0, 0] = True
    probability = np.zeros((9, 3, 3), np.float32)
    probability[0, 0, 0], probability[4, 0, 0], probability[8, 0, 0] = 0.5, 0.2, 0.9
    froc = measure_froc(probability, truth)
    found = dict(zip(THRESHOLDS, zip(froc.hits, froc.false, strict=True), strict=True))
    assert found[0.5] == (1, 1)
    assert found[0.6] == (0, 1)
    assert found[0.1] == (1, 2)
    assert found[0.95] == (0, 0)


def ladder(*values: int) -> tuple[int, ...]:
    """Fill the ladder of thresholds: the first values, and the last one from there on."""
    return (*values, *(values[-1],) * (len(THRESHOLDS) - len(values)))


def test_the_curve_pools_lesions_and_averages_alarms_over_scans() -> None:
    tumour = Froc(4, ladder(4, 3, 1, 0), ladder(8, 2, 1, 0))
    healthy = Froc(0, ladder(0), ladder(4, 0, 0, 0))
    found = pooled_froc([tumour, healthy])
    assert found is not None
    assert found.sensitivity[:4] == (1.0, 0.75, 0.25, 0.0)
    assert found.false_per_scan[:4] == (6.0, 1.0, 0.5, 0.0)
    assert RATES == (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    assert found.at_rates == (0.0, 0.0, 0.25, 0.75, 0.75, 0.75, 1.0)
    assert found.mean == pytest.approx((0.25 + 3 * 0.75 + 1.0) / 7)
    assert (found.lesions, found.scans) == (4, 2)


def test_a_failed_scan_misses_its_lesions_and_says_nothing_of_alarms() -> None:
    tumour = Froc(1, ladder(1), ladder(1))
    found = pooled_froc([tumour, failed_froc(3)])
    assert found is not None
    assert (found.sensitivity[0], found.false_per_scan[0], found.scans) == (0.25, 1.0, 1)
    assert pooled_froc([failed_froc(3)]) is None
    assert pooled_froc([]) is None


def test_healthy_scans_alone_have_alarms_and_no_sensitivity() -> None:
    found = pooled_froc([Froc(0, ladder(0), ladder(3, 1))])
    assert found is not None
    assert (found.sensitivity[0], found.at_rates[0], found.mean) == (None, None, None)
    assert found.false_per_scan[:2] == (3.0, 1.0)
