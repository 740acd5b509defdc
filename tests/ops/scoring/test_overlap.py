"""Overlap: formulas against SimpleITK and MONAI, conventions of empty masks, symmetry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseg.ops.scoring import overlap
from medseg.ops.scoring.overlap import Counts, EmptyRule, count
from medseg.values.error import Refusal
from medseg.values.volume import Array, BoolArray

masks = arrays(np.bool_, (4, 5, 3))
EMPTY = np.zeros((4, 5, 3), np.bool_)
FULL = np.ones((4, 5, 3), np.bool_)
ONE = np.zeros((4, 5, 3), np.bool_)
ONE[3, 4, 2] = True


def random_masks(seed: int) -> tuple[BoolArray, BoolArray]:
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(2, 12, 3))
    return generator.random(shape) < 0.3, generator.random(shape) < generator.choice([0.1, 0.5])


@given(truth=masks, predicted=masks)
def test_counts_are_those_of_the_whole_scan(truth: BoolArray, predicted: BoolArray) -> None:
    expected = Counts(
        int((truth & predicted).sum()),
        int((~truth & predicted).sum()),
        int((truth & ~predicted).sum()),
        int((~truth & ~predicted).sum()),
    )
    assert count(truth, predicted) == expected


@given(truth=masks, predicted=masks)
def test_box_is_the_smallest_that_holds_both(truth: BoolArray, predicted: BoolArray) -> None:
    box = overlap.union_box(truth, predicted)
    union = truth | predicted
    if box is None:
        assert not union.any()
        return
    assert union[box].sum() == union.sum()
    assert all(union[box].take(side, axis).any() for axis in range(3) for side in (0, -1))


@given(first=masks, second=masks)
def test_dice_and_iou_are_symmetric_and_belong_together(first: BoolArray, second: BoolArray) -> None:
    there, back = count(first, second), count(second, first)
    assert overlap.dice(there, "one") == overlap.dice(back, "one")
    assert overlap.iou(there, "one") == overlap.iou(back, "one")
    assert overlap.sensitivity(there, "one") == overlap.precision(back, "one") or 0 in (there.truth, there.predicted)
    dice, iou = overlap.dice(there, "one"), overlap.iou(there, "one")
    assert dice is not None
    assert iou == pytest.approx(dice / (2 - dice), abs=1e-12)


@given(mask=masks)
def test_a_mask_agrees_with_itself(mask: BoolArray) -> None:
    counts = count(mask, mask)
    for measure in (overlap.dice, overlap.iou, overlap.sensitivity, overlap.precision):
        assert measure(counts, "one") == 1.0


@pytest.mark.parametrize("seed", range(8))
def test_formulas_agree_with_simpleitk(seed: int) -> None:
    import SimpleITK as sitk

    truth, predicted = random_masks(seed)
    oracle = sitk.LabelOverlapMeasuresImageFilter()
    oracle.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (predicted, truth)))
    counts = count(truth, predicted)
    assert overlap.dice(counts, "undefined") == pytest.approx(oracle.GetDiceCoefficient(1), abs=1e-12)
    assert overlap.iou(counts, "undefined") == pytest.approx(oracle.GetJaccardCoefficient(1), abs=1e-12)


def test_formulas_agree_with_monai() -> None:
    import torch
    from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
    from monai.metrics.meandice import compute_dice
    from monai.metrics.meaniou import compute_iou

    for seed in range(8):
        truth, predicted = random_masks(seed)
        counts = count(truth, predicted)
        y, guess = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (truth, predicted))
        assert overlap.dice(counts, "undefined") == pytest.approx(compute_dice(guess, y).item(), abs=1e-6)
        assert overlap.iou(counts, "undefined") == pytest.approx(compute_iou(guess, y).item(), abs=1e-6)
        table = get_confusion_matrix(guess, y)
        ours = {
            "sensitivity": overlap.sensitivity(counts, "undefined"),
            "precision": overlap.precision(counts, "undefined"),
            "specificity": overlap.specificity(counts),
        }
        for name, value in ours.items():
            assert value == pytest.approx(compute_confusion_matrix_metric(name, table).item(), abs=1e-6), name


@pytest.mark.parametrize(("empty", "value"), [("undefined", None), ("one", 1.0), ("zero", 0.0)])
def test_two_empty_masks_are_worth_what_the_setting_says(empty: EmptyRule, value: float | None) -> None:
    counts = count(EMPTY, EMPTY)
    for measure in (overlap.dice, overlap.iou, overlap.sensitivity, overlap.precision):
        assert measure(counts, empty) == value
    assert overlap.specificity(counts) == 1.0


@pytest.mark.parametrize("empty", ["undefined", "one", "zero"])
@pytest.mark.parametrize(("truth", "predicted"), [(EMPTY, ONE), (ONE, EMPTY)])
def test_one_empty_mask_scores_zero_whatever_the_setting(
    truth: BoolArray, predicted: BoolArray, empty: EmptyRule
) -> None:
    counts = count(truth, predicted)
    assert overlap.dice(counts, empty) == 0.0
    assert overlap.iou(counts, empty) == 0.0
    assert overlap.precision(counts, empty) == 0.0
    assert overlap.sensitivity(counts, empty) == (0.0 if truth.any() else None)


def test_a_truth_that_fills_the_scan_has_no_specificity() -> None:
    assert overlap.specificity(count(FULL, ONE)) is None
    assert overlap.specificity(count(ONE, FULL)) == 0.0


@given(data=st.data())
def test_class_table_gives_the_mean_of_each_class_iou(data: st.DataObject) -> None:
    classes = arrays(np.uint8, (4, 3, 2), elements=st.integers(0, 3))
    truth, predicted = data.draw(classes), data.draw(classes)
    table = overlap.confusion(truth, predicted, 4)
    ious = [overlap.iou(count(truth == k, predicted == k), "undefined") for k in range(4)]
    assert overlap.miou(table) == pytest.approx(np.mean([value for value in ious if value is not None]), abs=1e-12)
    assert overlap.pixel_accuracy(table) == pytest.approx(float((truth == predicted).mean()), abs=1e-12)


def test_pixel_accuracy_praises_a_model_that_finds_nothing_and_miou_does_not() -> None:
    truth: Array = np.zeros((10, 10, 10), np.uint8)
    truth[:2, :2, :5] = 1
    table = overlap.confusion(truth, np.zeros_like(truth), 2)
    assert overlap.pixel_accuracy(table) == 0.98
    assert overlap.miou(table) == pytest.approx(0.49)


def test_class_table_keeps_apart_more_classes_than_a_byte_can_multiply() -> None:
    truth = np.full((2, 2, 2), 200, np.uint8)
    table = overlap.confusion(truth, truth, 201)
    assert table[200, 200] == 8


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(
        Refusal, match=r"masks: the prediction has the truth's shape \(4, 5, 3\), got \(4, 5, 1\); bring"
    ):
        count(EMPTY, EMPTY[:, :, :1])
    with pytest.raises(Refusal, match="bring the prediction to the grid of the truth"):
        overlap.confusion(EMPTY.astype(np.uint8), EMPTY[:1].astype(np.uint8), 2)


def test_masks_are_left_as_they_were() -> None:
    truth, predicted = random_masks(3)
    before = truth.copy(), predicted.copy()
    count(truth, predicted)
    assert np.array_equal(truth, before[0])
    assert np.array_equal(predicted, before[1])


def test_rows_of_the_class_table_are_the_truth() -> None:
    truth, predicted = np.array([0, 1, 1, 2], np.uint8), np.array([0, 2, 2, 1], np.uint8)
    assert overlap.confusion(truth, predicted, 3).tolist() == [[1, 0, 0], [0, 0, 2], [0, 1, 0]]
