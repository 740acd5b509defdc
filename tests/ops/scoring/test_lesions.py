"""Lesions: the BraTS 2023 rule against a slow transcription of its steps, counting, volumes, degenerate scans."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medseg.ops.scoring.lesions import LesionCounts, LesionRule, RuleName, count_lesions, measure_strangers
from medseg.ops.scoring.lesionwise import LesionScores, score_lesions
from medseg.ops.scoring.pair import Pair, pair_of
from medseg.ops.scoring.surfaces import hd95_mm, surfaces_between
from medseg.values.volume import BoolArray
from tests.ops.scoring.pairs import all_pairs

ALL_NEIGHBOURS = np.ones((3, 3, 3))


def scores(truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...], rule: LesionRule) -> LesionScores:
    return score_lesions(pair_of(truth, predicted, spacing_mm, rule.dilation), rule)


def counts(truth: BoolArray, predicted: BoolArray, voxel_ml: float) -> LesionCounts:
    edges = (1.0,) * truth.ndim
    return count_lesions(Pair(truth, predicted, edges, voxel_ml))


def slow_scores(
    truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...], rule: LesionRule
) -> tuple[float, float, float]:
    """Follow the five steps on the whole scan, one mask after the other."""
    neighbours = np.ones((3,) * truth.ndim)
    faces_and_edges = ndimage.generate_binary_structure(truth.ndim, 2)
    components, component_count = ndimage.label(predicted, neighbours)
    grown = ndimage.binary_dilation(truth, faces_and_edges, rule.dilation)
    joined, lesion_count = ndimage.label(grown, neighbours)
    dice, distance, matched, hits = [], [], set(), 0
    for number in range(1, lesion_count + 1):
        lesion = truth & (joined == number)
        near = ndimage.binary_dilation(lesion, faces_and_edges, rule.dilation)
        touching = [k for k in range(1, component_count + 1) if ((components == k) & near).any()]
        matched |= set(touching)
        if lesion.sum() * np.prod(spacing_mm) <= rule.minimum_mm3:
            continue
        guess = np.isin(components, touching) if touching else np.zeros_like(truth)
        dice.append(2 * (lesion & guess).sum() / (lesion.sum() + guess.sum()))
        surfaces = surfaces_between(lesion, guess, spacing_mm)
        distance.append(hd95_mm(*surfaces) if surfaces else 374.0)
        hits += bool(touching)
    invented = component_count - len(matched)
    total = len(dice) + invented
    if total == 0:
        return 1.0, 0.0, 1.0
    f1 = 2 * hits / (2 * hits + (len(dice) - hits) + invented)
    return float(sum(dice) / total), (sum(distance) + 374.0 * invented) / total, f1


def scattered(seed: int) -> tuple[BoolArray, BoolArray, tuple[float, float, float]]:
    """Draw a few boxes as truth and a few others, some of them moved copies, as prediction."""
    generator = np.random.default_rng(seed)
    shape = tuple(int(length) for length in generator.integers(12, 26, 3))
    truth = np.zeros(shape, np.bool_)
    predicted = truth.copy()
    for _ in range(generator.integers(0, 6)):
        size = generator.integers(1, 5, 3)
        start = generator.integers(0, np.subtract(shape, size))
        truth[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = True
        if generator.random() < 0.6:
            start = np.maximum(start + generator.integers(-3, 4, 3), 0)
            predicted[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = True
    for _ in range(generator.integers(0, 3)):
        predicted[tuple(generator.integers(0, shape))] = True
    spacing_mm = tuple(float(edge) for edge in generator.choice([0.8, 1.0, 2.5], 3))
    return truth, predicted, (spacing_mm[0], spacing_mm[1], spacing_mm[2])


@pytest.mark.parametrize("kind", ["glioma", "africa", "paediatric", "meningioma", "metastases"])
def test_scores_follow_the_five_steps(kind: RuleName) -> None:
    rule = LesionRule(kind=kind)
    for seed in range(25):
        truth, predicted, spacing_mm = scattered(seed)
        found = scores(truth, predicted, spacing_mm, rule)
        expected = slow_scores(truth, predicted, spacing_mm, rule)
        assert (found.dice, found.hd95_mm, found.f1) == pytest.approx(expected, abs=1e-9), seed


@pytest.mark.parametrize("kind", ["glioma", "metastases"])
def test_scores_follow_the_five_steps_on_500_pairs_2d_and_degenerate_ones_among_them(kind: RuleName) -> None:
    rule = LesionRule(kind=kind)
    for masks in all_pairs():
        found = scores(masks.truth, masks.predicted, masks.spacing_mm, rule)
        expected = slow_scores(masks.truth, masks.predicted, masks.spacing_mm, rule)
        assert (found.dice, found.hd95_mm, found.f1) == pytest.approx(expected, abs=1e-9), masks.kind


def lost(mask: BoolArray, other: BoolArray) -> int:
    """Count the voxels of parts, joined by faces and edges, of which the other mask has none."""
    names, number = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, 2))
    parts = [names == name for name in range(1, number + 1)]
    return sum(int(part.sum()) for part in parts if not (part & other).any())


def test_volumes_of_what_touches_nothing_are_those_of_a_loop_over_components() -> None:
    seen = set()
    for masks in all_pairs():
        found = measure_strangers(pair_of(masks.truth, masks.predicted, masks.spacing_mm))
        voxel_ml = float(np.prod(masks.spacing_mm)) / 1000
        expected = lost(masks.predicted, masks.truth) * voxel_ml, lost(masks.truth, masks.predicted) * voxel_ml
        assert (found.false_positive_ml, found.false_negative_ml) == pytest.approx(expected, abs=1e-12)
        seen.add((expected[0] > 0, expected[1] > 0))
    assert len(seen) == 4


def test_a_part_that_touches_by_a_corner_is_another_one_for_the_volumes_alone() -> None:
    truth = np.zeros((4, 4, 4), np.bool_)
    predicted = truth.copy()
    truth[0, 0, 0] = predicted[0, 0, 0] = predicted[1, 1, 1] = True
    pair = Pair(truth, predicted, (1.0, 1.0, 1.0), voxel_ml=2.0)
    assert measure_strangers(pair).false_positive_ml == 2.0
    assert count_lesions(pair).false_lesions == 0


@pytest.mark.parametrize(
    ("kind", "dilation", "minimum_mm3"),
    [("glioma", 3, 50), ("africa", 3, 50), ("paediatric", 3, 50), ("meningioma", 1, 50), ("metastases", 1, 2)],
)
def test_presets_are_those_of_the_challenges(kind: RuleName, dilation: int, minimum_mm3: float) -> None:
    rule = LesionRule(kind=kind)
    assert (rule.dilation, rule.minimum_mm3, rule.penalty_mm) == (dilation, minimum_mm3, 374.0)


def test_dilation_joins_neighbours_and_keeps_strangers_apart() -> None:
    truth = np.zeros((40, 20, 20), np.bool_)
    truth[2:8, 2:8, 2:8] = truth[11:17, 2:8, 2:8] = truth[30:36, 2:8, 2:8] = True
    half = truth.copy()
    half[:17] = False
    joined = scores(truth, half, (1.0, 1.0, 1.0), LesionRule(kind="glioma"))
    apart = scores(truth, half, (1.0, 1.0, 1.0), LesionRule(kind="meningioma"))
    assert (joined.dice, apart.dice) == pytest.approx((1 / 2, 1 / 3))
    assert (joined.hd95_mm, apart.hd95_mm) == pytest.approx((374 / 2, 374 * 2 / 3))
    assert (joined.f1, apart.f1) == pytest.approx((2 / 3, 2 / 4))


def test_small_lesions_are_left_out_matched_or_not_and_shield_what_touches_them() -> None:
    truth = np.zeros((20, 20, 20), np.bool_)
    truth[2, 2, 2] = truth[15, 15, 15] = True
    predicted = np.zeros_like(truth)
    predicted[2, 2, 3] = True
    rule = LesionRule(kind="glioma")
    shielded = scores(truth, predicted, (1.0, 1.0, 1.0), rule)
    assert (shielded.dice, shielded.hd95_mm, shielded.f1) == (1.0, 0.0, 1.0)
    predicted[9, 9, 9] = True
    invented = scores(truth, predicted, (1.0, 1.0, 1.0), rule)
    assert (invented.dice, invented.hd95_mm, invented.f1) == (0.0, 374.0, 0.0)


def test_nothing_there_and_nothing_found_is_perfect() -> None:
    empty = np.zeros((5, 6, 7), np.bool_)
    found = scores(empty, empty, (1.0, 1.0, 1.0), LesionRule(kind="metastases"))
    assert (found.dice, found.hd95_mm, found.f1) == (1.0, 0.0, 1.0)
    assert counts(empty, empty, 1.0).lesions == ()


def test_one_slice_is_scored_in_its_plane() -> None:
    truth = np.zeros((30, 30, 1), np.bool_)
    predicted = truth.copy()
    truth[3:13, 3:13] = True
    predicted[3:13, 5:15] = True
    found = scores(truth, predicted, (1.0, 1.0, 1.0), LesionRule(kind="metastases"))
    assert found.hd95_mm == pytest.approx(2.0)
    assert counts(truth, predicted, 0.001).found == 1


def test_lesions_are_26_connected_components_touched_by_the_prediction() -> None:
    for seed in range(30):
        truth, predicted, _ = scattered(seed)
        found = counts(truth, predicted, 0.5)
        lesions, number = ndimage.label(truth, ALL_NEIGHBOURS)
        expected = [
            (float((lesions == k).sum() * 0.5), bool(predicted[lesions == k].any())) for k in range(1, number + 1)
        ]
        assert sorted((lesion.ml, lesion.found) for lesion in found.lesions) == sorted(expected)
        guesses, number = ndimage.label(predicted, ALL_NEIGHBOURS)
        assert found.false_lesions == sum(not truth[guesses == k].any() for k in range(1, number + 1))
        assert found.found == sum(hit for _, hit in expected)


def test_a_component_over_several_lesions_is_one_component_and_no_false_lesion() -> None:
    truth, predicted = np.zeros((2, 9, 9, 9), np.bool_)
    truth[1:3, 4, 4] = truth[5:7, 4, 4] = True
    predicted[1:7, 4, 4] = predicted[8, 8, 8] = True
    found = counts(truth, predicted, 0.001)
    assert (len(found.lesions), found.found, found.false_lesions) == (2, 2, 1)


def test_voxels_that_share_a_corner_are_one_lesion() -> None:
    truth = np.zeros((4, 4, 4), np.bool_)
    truth[0, 0, 0] = truth[1, 1, 1] = truth[3, 3, 3] = True
    found = counts(truth, np.zeros_like(truth), 1.0)
    assert [lesion.ml for lesion in found.lesions] == [2.0, 1.0]
    assert found.found == 0


def test_masks_are_left_as_they_were() -> None:
    truth, predicted, spacing_mm = scattered(4)
    before = truth.copy(), predicted.copy()
    scores(truth, predicted, spacing_mm, LesionRule(kind="glioma"))
    measure_strangers(pair_of(truth, predicted, spacing_mm))
    assert np.array_equal(truth, before[0])
    assert np.array_equal(predicted, before[1])


def test_a_lesion_of_just_the_least_volume_is_left_out() -> None:
    truth = np.zeros((20, 20, 20), np.bool_)
    truth[5:10, 5:10, 5:7] = True
    rule = LesionRule(kind="glioma")
    assert truth.sum() == rule.minimum_mm3
    left_out = scores(truth, np.zeros_like(truth), (1.0, 1.0, 1.0), rule)
    assert (left_out.dice, left_out.hd95_mm, left_out.f1) == (1.0, 0.0, 1.0)
    truth[5, 5, 7] = True
    counted = scores(truth, np.zeros_like(truth), (1.0, 1.0, 1.0), rule)
    assert (counted.dice, counted.hd95_mm, counted.f1) == (0.0, 374.0, 0.0)
