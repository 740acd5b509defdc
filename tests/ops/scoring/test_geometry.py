"""Geometry: one grid in any storage order is taken, another one refused or resampled, never measured as it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from medseg.ops.orientation import to_canonical
from medseg.ops.scoring.geometry import grid_note, on_grid_of
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray, Volume

AFFINE = np.diag([1.0, 1.5, 2.0, 1.0])
SHAPE = (8, 7, 6)


def mask(seed: int, shape: tuple[int, ...] = SHAPE) -> Array:
    return np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint8)


def turned(volume: Volume, permutation: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """Store the same voxels along other axes, by hand."""
    voxels, matrix = volume.voxels[0].transpose(permutation), np.zeros((4, 4))
    matrix[3, 3] = 1
    for axis, (old, flip) in enumerate(zip(permutation, flips, strict=True)):
        matrix[old, axis] = -1 if flip else 1
        matrix[old, 3] = voxels.shape[axis] - 1 if flip else 0
        voxels = np.flip(voxels, axis) if flip else voxels
    return Volume(voxels[None], volume.affine @ matrix)


def test_any_storage_order_of_the_same_voxels_comes_back_in_the_order_of_the_truth() -> None:
    truth = Volume(mask(0)[None], AFFINE)
    for permutation in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            stored = turned(truth, permutation, flips)
            found = on_grid_of(truth, stored, "refuse", "P1")
            assert np.array_equal(found.voxels, truth.voxels)
            assert grid_note(truth, stored) is None
            assert np.array_equal(on_grid_of(stored, truth, "refuse", "P1").voxels, stored.voxels)


def moved(offset_mm: float) -> FloatArray:
    affine = AFFINE.copy()
    affine[0, 3] += offset_mm
    return affine


def test_another_shape_or_place_is_refused_with_its_remedy() -> None:
    truth = Volume(mask(0)[None], AFFINE)
    remedy = "write the prediction on the grid of the truth, or take its nearest voxels with the setting grid=resample"
    with pytest.raises(Refusal) as shape:
        on_grid_of(truth, Volume(truth.voxels[:, 1:], AFFINE), "refuse", "P1")
    assert str(shape.value) == f"P1: the prediction has the scan's shape (8, 7, 6), got (7, 7, 6); {remedy}"
    with pytest.raises(Refusal) as place:
        on_grid_of(truth, Volume(truth.voxels, moved(0.25)), "refuse", "P1")
    rule = "no corner of the prediction lies more than 0.001 voxels from the scan's"
    assert str(place.value) == f"P1: {rule}, got 0.25 voxels; {remedy}"
    assert on_grid_of(truth, Volume(truth.voxels, moved(0.0005)), "refuse", "P1").voxels is not None


def test_resampling_takes_the_nearest_voxel_in_the_world() -> None:
    truth = Volume(mask(0)[None], AFFINE)
    fine = np.diag([0.5, 0.75, 1.0, 1.0])
    fine[:3, 3] = (-0.3, -0.4, -0.6)
    stored = Volume(mask(1, (16, 14, 12))[None], fine)
    shifted = Volume(mask(2)[None], moved(2.2))
    for predicted in (stored, turned(stored, (2, 0, 1), (True, False, True)), shifted):
        found = on_grid_of(truth, predicted, "resample", "P1")
        assert found.voxels.shape == truth.voxels.shape
        inverse = np.linalg.inv(predicted.affine)
        for index in np.ndindex(*SHAPE):
            place = (inverse @ AFFINE @ (*index, 1.0))[:3]
            nearest = np.rint(place).astype(int)
            inside = (nearest >= 0).all() and (nearest < predicted.shape).all()
            assert found.voxels[0][index] == (predicted.voxels[0][tuple(nearest)] if inside else 0)
        again = on_grid_of(truth, predicted, "resample", "P1")
        assert np.array_equal(found.voxels, again.voxels)
        note = grid_note(truth, predicted)
        assert note is not None
        assert note.startswith("the prediction was resampled to the grid of the truth (it was ")


def test_notes_say_what_was_different() -> None:
    truth = Volume(mask(0)[None], AFFINE)
    other = Volume(mask(1, (16, 14, 12))[None], AFFINE / 2 + np.diag([0, 0, 0, 0.5]))
    assert grid_note(truth, other) is not None
    assert "(it was (16, 14, 12) voxels and not (8, 7, 6))" in str(grid_note(truth, other))
    assert "(it was off by 2.2 voxels)" in str(grid_note(truth, Volume(truth.voxels, moved(2.2))))


def test_a_prediction_somewhere_else_is_refused_even_so() -> None:
    truth = Volume(mask(0)[None], AFFINE)
    with pytest.raises(Refusal, match="P1: a prediction shares space with its truth, got no common voxel; check the"):
        on_grid_of(truth, Volume(truth.voxels, moved(500.0)), "resample", "P1")


def test_the_truth_may_be_stored_along_any_axes() -> None:
    stored = Volume(mask(0)[None], np.array([[-1.5, 0, 0, 20], [0, 0, 2.0, -7], [0, 1.25, 0, 3], [0, 0, 0, 1.0]]))
    canonical = to_canonical(stored)
    assert np.array_equal(on_grid_of(stored, canonical, "refuse", "P1").voxels, stored.voxels)
