"""Voxels are drawn from where there is something to doubt, each with the same chance, however slabs are cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from medseg.ops.calibration_sample import VoxelSample, asked, near_foreground
from medseg.values.labels import IGNORED
from medseg.values.volume import Array, FloatArray

SHAPE = (12, 10, 9)
EDGES_MM = (2.0, 4.0, 6.0)


def truth() -> Array:
    classes = np.zeros(SHAPE, np.uint8)
    classes[1:3, 2:4, 1] = 1
    classes[2, 3, 1] = 2
    classes[:, 9] = IGNORED
    return classes


def scores() -> FloatArray:
    found = np.random.default_rng(1).dirichlet((40, 0.1, 0.1), SHAPE)
    return np.moveaxis(found, -1, 0).astype(np.float32)


def draw(cuts: Sequence[int], axis: int = 0, most: int = 50, seed: int = 3) -> tuple[FloatArray, Array]:
    sample = VoxelSample(truth(), EDGES_MM, (seed, "case"), most)
    for start, stop in pairwise([0, *cuts, SHAPE[axis]]):
        sample.add(axis, start, np.moveaxis(np.moveaxis(scores(), axis + 1, 0)[start:stop], 0, axis + 1), "softmax")
    return sample.finish()


def test_near_is_a_box_around_each_voxel_of_foreground() -> None:
    foreground = (truth() == 1) | (truth() == 2)
    expected = ndimage.binary_dilation(foreground, np.ones((11, 5, 3)))
    assert (near_foreground(truth(), EDGES_MM, 10.0) == expected).all()
    assert not near_foreground(np.full((2, 3, 4), IGNORED, np.uint8), EDGES_MM).any()


def test_all_that_matters_is_drawn_where_there_is_room_and_nothing_else() -> None:
    found, classes = draw([], most=5000)
    wanted = (near_foreground(truth(), EDGES_MM) | (1 - scores()[0] >= 0.01)) & (truth() != IGNORED)
    assert 0 < wanted.sum() < wanted.size
    assert len(classes) == wanted.sum()
    order = np.lexsort(found)
    expected = scores()[:, wanted]
    assert (found[:, order] == expected[:, np.lexsort(expected)]).all()
    assert (np.bincount(classes, minlength=3) == np.bincount(truth()[wanted], minlength=3)).all()


@pytest.mark.parametrize("axis", [0, 2])
def test_the_draw_does_not_depend_on_slabs(axis: int) -> None:
    found, classes = draw([], axis)
    assert len(classes) == 50
    for cuts in ([4], [1, 2, 7]):
        again, same = draw(cuts, axis)
        assert (again == found).all()
        assert (same == classes).all()
    assert not np.array_equal(draw([], axis, seed=4)[0], found)


def test_a_small_draw_is_part_of_a_larger_one() -> None:
    few, many = draw([5], most=20)[0], draw([5], most=80)[0]
    assert (many[:, :20] == few).all()


def test_regions_are_sigmoid_outputs_of_which_any_counts() -> None:
    sample = VoxelSample(np.zeros((2, 2, 1), np.uint8), EDGES_MM, (0, "case"), 9)
    values = np.array([[[[0.0], [0.5]], [[0.0], [0.0]]], [[[0.0], [0.0]], [[0.009], [0.02]]]], np.float32)
    sample.add(2, 0, values, "sigmoid")
    assert sorted(sample.finish()[0].max(0).tolist()) == pytest.approx([0.02, 0.5])


def test_classes_that_nobody_looked_for_are_background() -> None:
    found = np.array([[0.5, 0.2], [0.3, 0.2], [0.2, 0.6]], np.float32)
    classes = np.array([1, 2], np.uint8)
    same, truth_ = asked(found, classes, None, None)
    assert same is found
    assert truth_ is classes
    merged, answers = asked(found, classes, (1,), None)
    np.testing.assert_allclose(merged, np.array([[0.7, 0.8], [0.3, 0.2], [0, 0]]), atol=1e-6)
    assert answers.tolist() == [1, 0]
    assert found[2, 1] == np.float32(0.6)


def test_regions_with_a_label_that_nobody_looked_for_are_not_known() -> None:
    found = np.full((2, 3), 0.5, np.float32)
    table = np.array([[False, False, True], [False, True, True]])
    classes = np.array([0, 1, 2], np.uint8)
    assert asked(found, classes, None, table)[1].tolist() == [[0, 0, 1], [0, 1, 1]]
    assert asked(found, classes, (2,), table)[1].tolist() == [[0, 0, 1], [IGNORED] * 3]
