"""Two grids are the same, one is a part of the other, or they differ by so many voxels."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.ops.grids import Grid, box_in, canonical_grid, distance_voxels, meets, offset_in, same_grid

AFFINE = np.array([[-1.5, 0, 0, 10], [0, 2, 0.25, -20], [0, -0.25, 3, 30], [0, 0, 0, 1.0]])
GRID = Grid((8, 7, 6), AFFINE)


def moved(voxels: tuple[float, float, float], shape: tuple[int, int, int] = GRID.shape) -> Grid:
    """Return a grid that begins at `voxels` of the common one."""
    shift = np.eye(4)
    shift[:3, 3] = voxels
    return Grid(shape, AFFINE @ shift)


@given(st.tuples(*[st.floats(-5, 5)] * 3))
def test_the_distance_of_a_shift_is_its_largest_part_in_voxels(shift: tuple[float, float, float]) -> None:
    assert distance_voxels(moved(shift), GRID) == pytest.approx(max(map(abs, shift)), abs=1e-9)


def test_a_grid_turns_to_the_canonical_one_whatever_its_storage_order() -> None:
    image = nibabel.Nifti1Image(np.zeros(GRID.shape, np.uint8), AFFINE)
    for axes in ((2, 0, 1), (1, 0, 2), (0, 2, 1)):
        turned = image.as_reoriented(np.array([[axis, -1 if axis else 1] for axis in axes]))
        assert same_grid(canonical_grid(turned.shape, turned.affine), canonical_grid(GRID.shape, AFFINE))


@pytest.mark.parametrize(("gap", "same"), [(0.0, True), (5e-4, True), (9.9e-4, True), (1.1e-3, False), (1e-2, False)])
def test_a_thousandth_of_a_voxel_is_the_limit(gap: float, same: bool) -> None:
    assert same_grid(moved((0, 0, gap)), GRID) is same


def test_other_shapes_are_infinitely_far() -> None:
    assert distance_voxels(Grid((8, 7, 5), AFFINE), GRID) == np.inf
    assert not same_grid(Grid((8, 7, 5), AFFINE), GRID)


def test_a_part_knows_where_it_begins() -> None:
    assert offset_in(moved((2, 0, 3), (4, 7, 3)), GRID) == (2, 0, 3)
    assert offset_in(GRID, GRID) == (0, 0, 0)
    assert offset_in(moved((2, 0, 3.01), (4, 7, 3)), GRID) is None
    assert offset_in(moved((2, 0, 4), (4, 7, 3)), GRID) is None
    assert offset_in(moved((-1, 0, 0), (4, 7, 3)), GRID) is None
    assert offset_in(Grid((2, 2, 2), AFFINE @ np.diag([2.0, 1, 1, 1])), GRID) is None


def test_grids_meet_where_their_boxes_share_space() -> None:
    assert meets(moved((7.9, 0, 0)), GRID)
    assert not meets(moved((8.1, 0, 0)), GRID)
    assert not meets(moved((0, -7.1, 0)), GRID)
    low, high = box_in(moved((1, 2, 3)), GRID)
    assert np.allclose(low, (0.5, 1.5, 2.5))
    assert np.allclose(high, (8.5, 8.5, 8.5))
