"""Surfaces: numbers of the surface-distance package, hand-made cases, empty masks, one slice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.ops.scoring.surfaces import (
    assd_mm,
    diagonal_mm,
    hd95_mm,
    measure_surfaces,
    nsd,
    surfaces_between,
)
from medseg.ops.scoring.surfel_areas import surfel_areas
from medseg.values.volume import BoolArray

# seed, shape, spacing, (hd95, assd, nsd at 1 mm) as surface-distance 0.1 gives them for `blobs`.
GOLDEN = [
    (1, (12, 11, 10), (1.0, 1.0, 1.0), (7.87400787401, 3.39431867464, 0.298684155095)),
    (2, (16, 9, 7), (0.5, 0.9, 3.0), (4.52769256907, 1.49974606303, 0.544320136554)),
    (3, (9, 14, 8), (2.0, 1.0, 1.0), (6.32455532034, 3.41058339635, 0.127148410978)),
    (4, (7, 7, 20), (1.2, 1.2, 0.4), (5.09116882454, 2.24507084901, 0.189370772931)),
    (5, (20, 15), (1.0, 1.0), (7.0, 2.32739521343, 0.334013840816)),
    (6, (11, 18), (0.7, 1.6), (7.06611633077, 2.21970302865, 0.296359614919)),
]


def blobs(seed: int, shape: tuple[int, ...]) -> tuple[BoolArray, BoolArray]:
    """Draw two masks, each the union of two ellipsoids; some touch the border of the scan."""
    generator = np.random.default_rng(seed)
    grid = np.indices(shape).reshape(len(shape), -1)

    def ellipsoid() -> BoolArray:
        centre = [[generator.uniform(0, length)] for length in shape]
        radii = [[generator.uniform(1, length / 2)] for length in shape]
        inside: BoolArray = (((grid - centre) / radii) ** 2).sum(0).reshape(shape) < 1
        return inside

    return ellipsoid() | ellipsoid(), ellipsoid() | ellipsoid()


def three(truth: BoolArray, predicted: BoolArray, spacing_mm: tuple[float, ...]) -> tuple[float, float, float]:
    surfaces = surfaces_between(truth, predicted, spacing_mm)
    assert surfaces is not None
    return hd95_mm(*surfaces), assd_mm(*surfaces), nsd(*surfaces, 1.0)


@pytest.mark.parametrize(("seed", "shape", "spacing_mm", "numbers"), GOLDEN)
def test_measures_are_those_of_surface_distance(
    seed: int, shape: tuple[int, ...], spacing_mm: tuple[float, ...], numbers: tuple[float, ...]
) -> None:
    assert three(*blobs(seed, shape), spacing_mm) == pytest.approx(numbers, abs=1e-9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("seed", range(40))
def test_measures_agree_with_the_installed_surface_distance(seed: int) -> None:
    oracle = pytest.importorskip("surface_distance")
    generator = np.random.default_rng(seed)
    dimensions = 2 if seed % 4 == 0 else 3
    shape = tuple(int(length) for length in generator.integers(3, 14, dimensions))
    spacing_mm = tuple(float(edge) for edge in generator.choice([0.5, 1.0, 2.3], dimensions))
    truth, predicted = generator.random((2, *shape)) < 0.4 if seed % 2 else blobs(seed, shape)
    truth[(0,) * dimensions] = predicted[(-1,) * dimensions] = True
    found = oracle.compute_surface_distances(truth, predicted, list(spacing_mm))
    weighted = sum(
        (found[f"distances_{way}"] * found[f"surfel_areas_{own}"]).sum()
        for way, own in (("gt_to_pred", "gt"), ("pred_to_gt", "pred"))
    )
    expected = (
        oracle.compute_robust_hausdorff(found, 95),
        weighted / (found["surfel_areas_gt"].sum() + found["surfel_areas_pred"].sum()),
        oracle.compute_surface_dice_at_tolerance(found, 1.0),
    )
    assert three(truth, predicted, spacing_mm) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.7, 1.3, 3.1), (0.4, 1.1), (2.0, 2.0)])
def test_inside_and_outside_share_one_surface(spacing_mm: tuple[float, ...]) -> None:
    areas = surfel_areas(spacing_mm)
    assert areas[0] == 0.0
    assert np.all(areas[1:-1] > 0)
    assert areas == pytest.approx(areas[::-1])


def test_areas_of_flat_faces_are_those_of_the_voxel() -> None:
    areas = surfel_areas((2.0, 3.0, 5.0))
    assert areas[[0b00001111, 0b00110011, 0b01010101]] == pytest.approx([15.0, 10.0, 6.0])
    lengths = surfel_areas((2.0, 3.0))
    assert lengths[[0b0011, 0b0101]] == pytest.approx([3.0, 2.0])
    assert lengths[0b0001] == pytest.approx(np.hypot(2.0, 3.0) / 2)


def test_parallel_plates_lie_as_far_apart_as_they_were_put() -> None:
    truth = np.zeros((30, 12, 12), np.bool_)
    predicted = truth.copy()
    truth[:10] = True
    predicted[:14] = True
    hd95, assd, near = three(truth, predicted, (0.5, 40.0, 40.0))
    assert hd95 == pytest.approx(2.0)
    assert 0 < assd < 2.0
    assert near < 1.0


def test_a_shifted_cube_is_off_by_its_shift() -> None:
    truth = np.zeros((20, 20, 20), np.bool_)
    truth[4:10, 5:11, 5:11] = True
    shifted = np.roll(truth, 3, axis=0)
    hd95, _, _ = three(truth, shifted, (2.0, 1.0, 1.0))
    assert hd95 == pytest.approx(6.0)
    found = measure_surfaces(truth, shifted, (2.0, 1.0, 1.0), 6.0, 99.0)
    assert found.nsd == 1.0


@given(seed=st.integers(0, 10_000))
def test_measures_are_symmetric_and_stretch_with_the_voxel(seed: int) -> None:
    truth, predicted = blobs(seed, (7, 8, 6))
    truth[0, 0, 0] = predicted[6, 7, 5] = True
    first = measure_surfaces(truth, predicted, (1.0, 1.5, 2.0), 1.0, 50.0)
    second = measure_surfaces(predicted, truth, (1.0, 1.5, 2.0), 1.0, 50.0)
    double = measure_surfaces(truth, predicted, (2.0, 3.0, 4.0), 2.0, 50.0)
    assert first.hd95_mm == second.hd95_mm
    assert (first.assd_mm, first.nsd) == pytest.approx((second.assd_mm, second.nsd), abs=1e-12)
    assert first.assd_mm is not None
    assert (double.assd_mm, double.nsd) == pytest.approx((2 * first.assd_mm, first.nsd), abs=1e-9)


@given(seed=st.integers(0, 10_000))
def test_the_rest_of_the_scan_does_not_matter(seed: int) -> None:
    truth, predicted = blobs(seed, (6, 5, 6))
    truth[1, 1, 1] = predicted[2, 2, 2] = True
    wide = [np.pad(mask, ((3, 0), (1, 4), (0, 2))) for mask in (truth, predicted)]
    assert three(truth, predicted, (1.0, 1.2, 0.7)) == three(wide[0], wide[1], (1.0, 1.2, 0.7))


def test_a_mask_lies_on_itself() -> None:
    mask, _ = blobs(1, (10, 10, 10))
    found = measure_surfaces(mask, mask, (1.0, 1.0, 3.0), 0.0, 50.0)
    assert (found.hd95_mm, found.assd_mm, found.nsd) == (0.0, 0.0, 1.0)


def test_one_voxel_touching_the_border_has_a_surface() -> None:
    first = np.zeros((5, 5, 5), np.bool_)
    second = first.copy()
    first[0, 0, 0] = second[4, 0, 0] = True
    found = measure_surfaces(first, second, (1.0, 1.0, 1.0), 1.0, 50.0)
    assert found.hd95_mm == pytest.approx(4.0)
    assert found.nsd == 0.0


def test_empty_masks_are_undefined_together_and_punished_alone() -> None:
    empty = np.zeros((4, 4, 4), np.bool_)
    full = ~empty
    nothing = measure_surfaces(empty, empty, (1.0, 1.0, 1.0), 1.0, 50.0)
    assert (nothing.hd95_mm, nothing.assd_mm, nothing.nsd) == (None, None, None)
    for pair in ((empty, full), (full, empty)):
        missed = measure_surfaces(*pair, (1.0, 1.0, 1.0), 1.0, 50.0)
        assert (missed.hd95_mm, missed.assd_mm, missed.nsd) == (50.0, 50.0, 0.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_slice_is_measured_along_its_contours(axis: int) -> None:
    truth, predicted = blobs(6, (11, 18))
    spacing_mm = list(GOLDEN[5][2])
    spacing_mm.insert(axis, 5.0)
    slab = [np.expand_dims(mask, axis) for mask in (truth, predicted)]
    found = measure_surfaces(slab[0], slab[1], tuple(spacing_mm), 1.0, 50.0)
    assert (found.hd95_mm, found.assd_mm, found.nsd) == pytest.approx(GOLDEN[5][3], abs=1e-9)


def test_a_flat_tumour_in_a_deep_scan_stays_three_dimensional() -> None:
    truth = np.zeros((9, 9, 9), np.bool_)
    predicted = truth.copy()
    truth[2:7, 2:7, 4] = True
    predicted[2:7, 2:7, 6] = True
    assert measure_surfaces(truth, predicted, (1.0, 1.0, 1.0), 1.0, 50.0).hd95_mm == pytest.approx(2.0)


def test_diagonal_is_longer_than_any_distance_inside() -> None:
    assert diagonal_mm((3, 4, 12), (1.0, 1.0, 1.0)) == pytest.approx(13.0)
    assert diagonal_mm((240, 240, 155), (1.0, 1.0, 1.0)) == pytest.approx(373.13, abs=0.01)


def test_masks_are_left_as_they_were() -> None:
    truth, predicted = blobs(2, (8, 8, 8))
    before = truth.copy(), predicted.copy()
    measure_surfaces(truth, predicted, (1.0, 1.0, 1.0), 1.0, 50.0)
    assert np.array_equal(truth, before[0])
    assert np.array_equal(predicted, before[1])
