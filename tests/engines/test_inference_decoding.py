"""From scores to labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medseg.engines.inference.decoding import class_regions, decode, paint_order
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from tests.engines.window_cases import noise


def test_softmax_decodes_to_the_best_class_and_the_lower_one_of_equals() -> None:
    scores = noise(5, 4, 3, 2)
    np.testing.assert_array_equal(decode(scores, "softmax"), scores.argmax(0))
    assert decode(scores, "softmax").dtype == np.uint8
    assert not decode(np.full((3, 1, 1, 1), 0.5, np.float32), "softmax").any()


BRATS = {"core": (1, 3), "whole": (1, 2, 3), "enhancing": (3,)}


def test_regions_are_painted_from_large_to_small() -> None:
    assert paint_order(BRATS) == [(1, 2), (0, 1), (2, 3)]
    mask = np.random.default_rng(0).integers(0, 4, (4, 5, 6))
    inside = np.stack([np.isin(mask, members) for members in BRATS.values()])
    scores = np.where(inside, np.float32(0.51), np.float32(0.5))
    np.testing.assert_array_equal(decode(scores, "sigmoid", paint_order(BRATS)), mask)


def test_regions_beside_each_other_are_painted_each_with_its_label() -> None:
    assert paint_order({"a": (4,), "b": (2,)}) == [(0, 4), (1, 2)]


@pytest.mark.parametrize(
    "regions", [{"all": (1, 2)}, {"all": (1, 2), "a": (1,), "b": (2,)}, {"a": (1, 2), "b": (2, 3)}]
)
def test_regions_without_one_label_of_their_own_are_refused(regions: Any) -> None:
    with pytest.raises(Refusal, match=r"data.regions.a(ll)?: with sigmoid, each region has exactly one label"):
        paint_order(regions)


def test_regions_in_class_indices() -> None:
    scheme = LabelScheme({"oedema": 2, "core": 7}, {"tumour": (2, 7), "core": (7,)}, "tumour")
    assert class_regions(scheme) == {"tumour": (1, 2), "core": (2,)}
    assert paint_order(class_regions(scheme)) == [(0, 1), (1, 2)]
