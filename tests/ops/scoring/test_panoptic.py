"""Panoptic quality: a loop over all pairs of components, matches by hand, empty masks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medseg.ops.scoring.overlap import EmptyRule
from medseg.ops.scoring.pair import Pair
from medseg.ops.scoring.panoptic import Panoptic, panoptic_quality
from medseg.values.volume import BoolArray
from tests.ops.scoring.pairs import all_pairs


def slow(truth: BoolArray, predicted: BoolArray) -> tuple[float, float, float] | None:
    """Follow the paper: sum of the IoU of matches over matches, half of the false and half of the missed ones."""
    sides = []
    for mask in (truth, predicted):
        names, number = ndimage.label(mask, np.ones((3,) * mask.ndim))
        sides.append([names == name for name in range(1, number + 1)])
    ious = []
    for lesion in sides[0]:
        for finding in sides[1]:
            iou = (lesion & finding).sum() / (lesion | finding).sum()
            if iou > 0.5:
                ious.append(float(iou))
    total = len(ious) + (len(sides[0]) - len(ious)) / 2 + (len(sides[1]) - len(ious)) / 2
    if total == 0:
        return None
    return sum(ious) / total, sum(ious) / len(ious) if ious else 0.0, len(ious) / total


def test_quality_is_that_of_a_loop_over_all_pairs_of_components() -> None:
    matched = 0
    for masks in all_pairs():
        if masks.kind == "100 components" and masks.truth.ndim == 3:
            continue  # 40,000 pairs of components each
        found = panoptic_quality(Pair(masks.truth, masks.predicted, masks.spacing_mm), "undefined")
        expected = slow(masks.truth, masks.predicted)
        if expected is None:
            assert found == Panoptic(None, None, None)
            continue
        assert (found.quality, found.segmentation, found.recognition) == pytest.approx(expected, abs=1e-12)
        matched += expected[0] > 0
    assert matched > 80


def test_half_an_overlap_is_no_match() -> None:
    truth = np.zeros((8, 3, 3), np.bool_)
    predicted = truth.copy()
    truth[0:4, 1, 1] = True
    predicted[0:2, 1, 1] = True
    assert panoptic_quality(Pair(truth, predicted, (1.0, 1.0, 1.0)), "undefined") == Panoptic(0.0, 0.0, 0.0)
    predicted[2, 1, 1] = True
    assert panoptic_quality(Pair(truth, predicted, (1.0, 1.0, 1.0)), "undefined") == Panoptic(0.75, 0.75, 1.0)
    predicted[6, 1, 1] = True
    found = panoptic_quality(Pair(truth, predicted, (1.0, 1.0, 1.0)), "undefined")
    assert (found.quality, found.segmentation, found.recognition) == pytest.approx((0.5, 0.75, 2 / 3))


@pytest.mark.parametrize(("empty", "value"), [("undefined", None), ("one", 1.0), ("zero", 0.0)])
def test_two_empty_masks_are_worth_what_the_setting_says(empty: EmptyRule, value: float | None) -> None:
    nothing = np.zeros((3, 4, 5), np.bool_)
    found = panoptic_quality(Pair(nothing, nothing, (1.0, 1.0, 1.0)), empty)
    assert found == Panoptic(value, value, value)
    one = nothing.copy()
    one[1, 1, 1] = True
    for sides in ((one, nothing), (nothing, one)):
        assert panoptic_quality(Pair(*sides, (1.0, 1.0, 1.0)), empty) == Panoptic(0.0, 0.0, 0.0)
