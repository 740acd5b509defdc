from __future__ import annotations

import numpy as np

from medseg.report.viewer.start import starting_voxel
from medseg.values.volume import Array

ISOTROPIC = (1.0, 1.0, 1.0)


def empty() -> Array:
    return np.zeros((20, 18, 16), np.uint8)


def test_it_starts_in_the_middle_of_the_largest_mistake() -> None:
    truth, predicted = empty(), empty()
    truth[2:9, 2:9, 2:9] = predicted[2:9, 2:9, 2:9] = 1
    truth[12:15, 2:5, 2:5] = 1
    predicted[10:15, 10:15, 10:15] = 1
    assert starting_voxel(truth, predicted, (1,), ISOTROPIC) == (12, 12, 12)


def test_where_all_is_right_it_starts_in_the_middle_of_the_lesion() -> None:
    truth = empty()
    truth[2:9, 3:10, 4:11] = 2
    assert starting_voxel(truth, truth, (1, 2), ISOTROPIC) == (5, 6, 7)


def test_a_lesion_at_the_border_is_a_lesion() -> None:
    truth = empty()
    truth[:3, :3, :3] = 1
    assert starting_voxel(truth, empty(), (1,), ISOTROPIC) == (1, 1, 1)


def test_only_the_tumour_decides_while_there_is_any() -> None:
    truth, predicted = empty(), empty()
    truth[2:15, 2:15, 2:15] = 3
    truth[17, 1, 1] = predicted[17, 1, 1] = 1
    assert starting_voxel(truth, predicted, (1,), ISOTROPIC) == (17, 1, 1)
    truth[17, 1, 1] = predicted[17, 1, 1] = 0
    assert starting_voxel(truth, predicted, (1,), ISOTROPIC) == (8, 8, 8)


def test_where_nobody_looked_it_starts_at_what_was_found() -> None:
    predicted = empty()
    predicted[3:6, 3:6, 3:6] = 1
    assert starting_voxel(None, predicted, (1,), ISOTROPIC) == (4, 4, 4)


def test_an_empty_scan_starts_in_its_middle() -> None:
    assert starting_voxel(empty(), empty(), (1,), ISOTROPIC) == (10, 9, 8)


def test_millimetres_decide_what_is_thick() -> None:
    """A sheet of one thick slice is thicker than a block of three fine voxels."""
    truth = empty()
    truth[2:5, 2:5, 2:5] = 1
    truth[10:15, 10:15, 10] = 1
    assert starting_voxel(truth, empty(), (1,), (1.0, 1.0, 1.0)) == (3, 3, 3)
    assert starting_voxel(truth, empty(), (1,), (1.0, 1.0, 9.0)) == (12, 12, 10)
