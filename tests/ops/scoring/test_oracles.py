"""500 random and degenerate pairs of masks: our numbers are those of SimpleITK, MONAI, surface-distance and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medseg.ops.scoring import overlap
from medseg.ops.scoring.components import components, dilate
from medseg.ops.scoring.overlap import Counts
from medseg.ops.scoring.pair import Pair
from medseg.ops.scoring.surfaces import measure_surfaces
from tests.ops.scoring.pairs import Masks, all_pairs

PAIRS = all_pairs()


def counted(masks: Masks) -> Counts:
    return Pair(masks.truth, masks.predicted, masks.spacing_mm).counts


def test_there_are_500_of_every_kind() -> None:
    assert len(PAIRS) == 500
    assert sum(masks.truth.ndim == 2 for masks in PAIRS) > 150
    assert sum(len(set(masks.spacing_mm)) > 1 for masks in PAIRS) > 300
    assert all(
        len(components(masks.truth)) >= 85 and len(components(masks.predicted)) >= 85
        for masks in PAIRS
        if masks.kind == "100 components"
    )


def test_overlap_is_that_of_simpleitk() -> None:
    import SimpleITK as sitk

    compared = 0
    for masks in PAIRS:
        if not (masks.truth.any() or masks.predicted.any()):
            continue
        oracle = sitk.LabelOverlapMeasuresImageFilter()
        truth, guess = (sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (masks.truth, masks.predicted))
        oracle.Execute(guess, truth)
        counts = counted(masks)
        assert overlap.dice(counts, "undefined") == pytest.approx(oracle.GetDiceCoefficient(1), abs=1e-12)
        assert overlap.iou(counts, "undefined") == pytest.approx(oracle.GetJaccardCoefficient(1), abs=1e-12)
        if masks.truth.any():
            missed = oracle.GetFalseNegativeError(1)
            assert overlap.sensitivity(counts, "undefined") == pytest.approx(1 - missed, abs=1e-12)
        compared += 1
    assert compared == 495


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_overlap_and_confusion_are_those_of_monai() -> None:
    import torch
    from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
    from monai.metrics.meandice import compute_dice
    from monai.metrics.meaniou import compute_iou

    for masks in PAIRS:
        truth, guess = (
            torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (masks.truth, masks.predicted)
        )
        counts = counted(masks)
        table = get_confusion_matrix(guess, truth)
        assert table.flatten().tolist() == [
            counts.true_positive,
            counts.false_positive,
            counts.true_negative,
            counts.false_negative,
        ]
        ours: dict[str, float | None] = {"specificity": overlap.specificity(counts)}
        if masks.truth.any():
            ours["sensitivity"] = overlap.sensitivity(counts, "undefined")
            found = compute_dice(guess, truth).item(), compute_iou(guess, truth).item()
            assert (overlap.dice(counts, "one"), overlap.iou(counts, "one")) == pytest.approx(found, abs=1e-6)
        if masks.predicted.any():
            ours["precision"] = overlap.precision(counts, "undefined")
        for name, value in ours.items():
            expected = compute_confusion_matrix_metric(name, table).item()
            assert (np.nan if value is None else value) == pytest.approx(expected, abs=1e-6, nan_ok=True), name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_surfaces_are_those_of_surface_distance() -> None:
    oracle = pytest.importorskip("surface_distance")
    compared = 0
    for number, masks in enumerate(PAIRS):
        ours = measure_surfaces(masks.truth, masks.predicted, masks.spacing_mm, 1.0, 99.0)
        if not (masks.truth.any() and masks.predicted.any()):
            expected = (99.0, 99.0, 0.0) if masks.truth.any() or masks.predicted.any() else (None, None, None)
            assert (ours.hd95_mm, ours.assd_mm, ours.nsd) == expected
            continue
        found = oracle.compute_surface_distances(masks.truth, masks.predicted, list(masks.spacing_mm))
        areas = found["surfel_areas_gt"], found["surfel_areas_pred"]
        total = (found["distances_gt_to_pred"] * areas[0]).sum() + (found["distances_pred_to_gt"] * areas[1]).sum()
        theirs = (
            oracle.compute_robust_hausdorff(found, 95),
            total / (areas[0].sum() + areas[1].sum()),
            oracle.compute_surface_dice_at_tolerance(found, 1.0),
        )
        assert (ours.hd95_mm, ours.assd_mm, ours.nsd) == pytest.approx(theirs, abs=1e-6), (number, masks.kind)
        compared += 1
    assert compared >= 460


def test_components_are_those_of_scipy() -> None:
    for masks in PAIRS:
        ndim = masks.truth.ndim
        for corners, reach in ((True, ndim), (False, 2)):
            names, number = ndimage.label(masks.truth, ndimage.generate_binary_structure(ndim, reach))
            found = components(masks.truth, corners)
            assert np.array_equal(found.names, names)
            assert found.voxels.tolist() == [int((names == name).sum()) for name in range(1, number + 1)]


def test_growing_is_that_of_scipy() -> None:
    for masks in PAIRS:
        structure = ndimage.generate_binary_structure(masks.truth.ndim, 2)
        for times in (0, 1, 3):
            expected = ndimage.binary_dilation(masks.truth, structure, times) if times else masks.truth
            assert np.array_equal(dilate(masks.truth, times), expected)
