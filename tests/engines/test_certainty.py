"""Confidence measured slab by slab: the formulas over the whole volume, whatever the cuts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medseg.engines.inference.certainty import Certainty
from medseg.engines.inference.frame import Activation
from medseg.ops.confidence import Confidence
from medseg.values.volume import Array, BoolArray, FloatArray
from tests.engines.slabs import Shape, cut_slabs, probabilities

ACTIVATIONS: list[Activation] = ["softmax", "sigmoid"]
shapes = st.tuples(*[st.integers(1, 7)] * 3)
cuts = st.lists(st.integers(0, 100), max_size=6)


def measured(
    scores: FloatArray, activation: Activation, axis: int = 0, where: Any = (), doubt: FloatArray | None = None
) -> Confidence:
    certainty = Certainty(activation, voxel_ml=0.002)
    for slab in cut_slabs(scores, axis, where, doubt):
        certainty.add(slab)
    return certainty.confidence()


def doubts(seed: int, shape: Shape) -> FloatArray:
    return np.random.default_rng(seed).exponential(0.3, shape).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    outputs=st.integers(2, 6),
    shape=shapes,
    axis=st.integers(0, 2),
    where=cuts,
    activation=st.sampled_from(ACTIVATIONS),
    members=st.booleans(),
)
def test_measures_are_those_of_the_whole_volume(
    seed: int, outputs: int, shape: Shape, axis: int, where: Any, activation: Any, members: bool
) -> None:
    scores = probabilities(seed, outputs, shape, activation)
    doubt = doubts(seed, shape) if members else None
    found = measured(scores, activation, axis, where, doubt)
    assert found == measured(scores, activation, axis, (), doubt)
    expected = whole(scores.astype(np.float64), activation, doubt)
    for name, value in found.model_dump().items():
        assert value == pytest.approx(expected[name], abs=1e-5), name
        assert value is None or name == "doubtful_ml" or 0 <= value <= 1


def whole(scores: FloatArray, activation: Activation, doubt: FloatArray | None) -> dict[str, float | None]:
    """Measure a whole volume by the formulas of `Confidence`, one region or class after the other."""
    rows = regions(scores) if activation == "sigmoid" else [classes(scores)]
    foreground = scores.max(0) if activation == "sigmoid" else scores[1:].sum(0)
    labelled = np.any([labels > 0 for labels, _, _ in rows], axis=0)
    masks = [(score, score > 0.5) for score in scores]
    if activation == "softmax":
        masks = [(scores[index], rows[0][0] == index) for index in range(1, len(scores))]
    dices = [2 * score[mask].sum() / (score.sum() + mask.sum()) for score, mask in masks if mask.any()]
    seen = foreground > 0.05
    agreement = None if doubt is None or not seen.any() else 1 - np.minimum(doubt[seen] / np.log(2), 1).mean()
    return {
        "margin": mean_of_means([margin[labels > 0] for labels, margin, _ in rows]),
        "boundary_entropy": mean_of_means([entropy[boundary(labels)] for labels, _, entropy in rows]),
        "agreement": agreement,
        "expected_dice": float(np.mean(dices)) if dices else None,
        "doubtful_ml": 0.002 * int(((foreground > 0.25) & ~labelled).sum()),
        "forecast_dice": None,
    }


def classes(scores: FloatArray) -> tuple[Array, FloatArray, FloatArray]:
    ordered = np.sort(scores, axis=0)
    entropy = -(scores * np.log(np.maximum(scores, 1e-300))).sum(0) / np.log(len(scores))
    return scores.argmax(0), ordered[-1] - ordered[-2], entropy


def regions(scores: FloatArray) -> list[tuple[Array, FloatArray, FloatArray]]:
    pairs = [classes(np.stack([1 - score, score])) for score in scores]
    return [
        ((score > 0.5).astype(int), margin, entropy) for score, (_, margin, entropy) in zip(scores, pairs, strict=True)
    ]


def boundary(labels: Array) -> BoolArray:
    """Return foreground beside another class, and what lies beside foreground of another class."""
    touching = np.zeros(labels.shape, bool)
    cross = ndimage.generate_binary_structure(3, 1)
    for index in range(1, int(labels.max(initial=0)) + 1):
        inside = labels == index
        touching |= ndimage.binary_dilation(inside, cross) & ~inside
        touching |= inside & ~ndimage.binary_erosion(inside, cross, border_value=1)
    return touching


def mean_of_means(rows: list[FloatArray]) -> float | None:
    means = [float(row.mean()) for row in rows if row.size]
    return float(np.mean(means)) if means else None


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_axis_of_the_slabs_is_no_matter(activation: Activation) -> None:
    scores, doubt = probabilities(3, 3, (9, 8, 7), activation), doubts(3, (9, 8, 7))
    one, two, three = (measured(scores, activation, axis, (2, 5), doubt).model_dump() for axis in range(3))
    assert one == pytest.approx(two, abs=1e-6)
    assert one == pytest.approx(three, abs=1e-6)


def test_an_empty_mask_has_nothing_but_doubtful_background() -> None:
    scores = np.full((2, 4, 4, 4), 0.9, np.float32)
    scores[0, :2, 0, 0] = 0.7
    scores[1] = 1 - scores[0]
    assert measured(scores, "softmax", doubt=np.zeros((4, 4, 4), np.float32)) == Confidence(
        doubtful_ml=0.004, agreement=1.0
    )
    assert measured(np.zeros((2, 3, 3, 3), np.float32), "sigmoid") == Confidence()


def test_a_sure_and_right_prediction_is_sure_of_itself() -> None:
    scores = np.zeros((3, 5, 5, 5), np.float32)
    labels = np.zeros((5, 5, 5), int)
    labels[1:4, 1:4, 1:4] = 2
    np.put_along_axis(scores, labels[None], 1.0, 0)
    assert measured(scores, "softmax", 1, (2,)) == Confidence(margin=1, boundary_entropy=0, expected_dice=1)


def test_two_members_of_two_minds_do_not_agree() -> None:
    scores = np.full((2, 3, 3, 3), 0.5, np.float32)
    doubt = np.full((3, 3, 3), np.log(2), np.float32)
    assert measured(scores, "softmax", doubt=doubt).agreement == pytest.approx(0, abs=1e-6)
    assert measured(scores, "softmax", doubt=0 * doubt).agreement == 1
    assert measured(scores, "softmax").agreement is None


def test_regions_count_alike_whatever_their_size() -> None:
    scores = np.zeros((2, 10, 10, 10), np.float32)
    scores[0], scores[1, 0, 0, 0] = 1.0, 0.6
    found = measured(scores, "sigmoid")
    assert found.margin == pytest.approx((1 + 0.2) / 2, abs=1e-6)
    assert found.expected_dice == pytest.approx((1 + 2 * 0.6 / 1.6) / 2, abs=1e-6)
