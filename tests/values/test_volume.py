"""A scan in memory: its grid in numbers, and what cannot be one."""

from __future__ import annotations

import numpy as np
import pytest

from medseg.values.error import Refusal
from medseg.values.volume import Array, Volume

TURNED = np.array([[0.0, -2.0, 0.0, 5.0], [1.0, 0.0, 0.0, 6.0], [0.0, 0.0, 3.0, 7.0], [0.0, 0.0, 0.0, 1.0]])


def test_a_turned_grid_has_its_spacing_in_the_order_of_indices() -> None:
    volume = Volume(np.zeros((2, 4, 5, 6)), TURNED)
    assert volume.shape == (4, 5, 6)
    assert volume.spacing_mm == (1.0, 2.0, 3.0)
    assert volume.voxel_ml == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("voxels", "affine", "rule"),
    [
        (np.zeros((4, 5, 6)), TURNED, "a non-empty"),
        (np.zeros((1, 4, 0, 6)), TURNED, "a non-empty"),
        (np.zeros((1, 4, 5, 6)), TURNED[:3], "a finite 4x4 matrix"),
        (np.zeros((1, 4, 5, 6)), TURNED * np.nan, "a finite 4x4 matrix"),
        (np.zeros((1, 4, 5, 6)), TURNED * [1, 1, 0, 1], "can be inverted"),
    ],
)
def test_what_has_no_grid_is_refused(voxels: Array, affine: Array, rule: str) -> None:
    with pytest.raises(Refusal, match=rule):
        Volume(voxels, affine)
