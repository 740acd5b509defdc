"""Connected parts, beside scipy's: the same parts by the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from medseg.ops.scoring.components import components


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_parts_are_named_as_scipy_names_them(share: float, corners: bool) -> None:
    generator = np.random.default_rng(0)
    for _ in range(80):
        dimensions = int(generator.integers(2, 4))
        mask = generator.random(generator.integers(1, 9, dimensions)) < share
        structure = scipy.ndimage.generate_binary_structure(dimensions, dimensions if corners else 2)
        expected, count = scipy.ndimage.label(mask, structure)
        found = components(mask, corners)
        np.testing.assert_array_equal(found.names, expected)
        np.testing.assert_array_equal(found.voxels, np.bincount(expected.ravel(), minlength=count + 1)[1:])


def test_the_end_of_a_row_is_no_neighbour_of_the_next_ones_beginning() -> None:
    mask = np.zeros((3, 4, 5), np.bool_)
    mask[0, 0, -1] = mask[0, 1, 0] = mask[0, -1, 2] = mask[1, 0, 2] = True
    assert len(components(mask)) == 4


def test_an_empty_mask_has_no_parts() -> None:
    for shape in ((3, 4), (2, 3, 4), (0, 3, 4)):
        found = components(np.zeros(shape, np.bool_))
        assert (found.names.shape, len(found)) == (shape, 0)
