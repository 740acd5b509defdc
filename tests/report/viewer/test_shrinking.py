from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medseg.report.viewer.shrinking import block_mean, choose_factors, coarse_affine, shrink_labels
from medseg.values.volume import Array

Three = tuple[int, int, int]
shapes = st.tuples(*[st.integers(1, 9)] * 3)
factors = st.tuples(*[st.integers(1, 4)] * 3)
seeds = st.integers(0, 2**32 - 1)


def block(place: tuple[int, ...], by: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(i * f, (i + 1) * f) for i, f in zip(place, by, strict=True))


@settings(deadline=None, max_examples=40)
@given(shapes, factors, seeds)
def test_every_block_is_the_mean_of_its_voxels(shape: Three, by: Three, seed: int) -> None:
    array = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    coarse = block_mean(array, by)
    assert coarse.shape == tuple(-(-n // f) for n, f in zip(shape, by, strict=True))
    for place in np.ndindex(coarse.shape):
        assert coarse[place] == pytest.approx(array[block(place, by)].mean(), abs=1e-5)


def test_what_is_not_finite_counts_as_nothing() -> None:
    array = np.array([np.nan, 4.0, np.inf, -np.inf]).reshape(4, 1, 1)
    np.testing.assert_array_equal(block_mean(array, (2, 1, 1)).ravel(), [2, 0])


@settings(deadline=None, max_examples=40)
@given(shapes, factors, seeds)
def test_the_middle_of_a_block_stays_at_its_place(shape: Three, by: Three, seed: int) -> None:
    """The place of a whole block is the mean of the places of its voxels, for any oblique affine and any cut."""
    generator = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3] = generator.normal(size=(3, 4)) * 20
    low = generator.integers(0, 5, 3)
    box = tuple(slice(int(a), int(a) + n) for a, n in zip(low, shape, strict=True))
    coarse = coarse_affine(affine, (box[0], box[1], box[2]), by)
    for place in product(*(range(n // f) for n, f in zip(shape, by, strict=True))):
        voxels = np.array(list(product(*(range(s.start, s.stop) for s in block(place, by))))) + low
        expected = (voxels @ affine[:3, :3].T + affine[:3, 3]).mean(axis=0)
        np.testing.assert_allclose(coarse[:3, :3] @ place + coarse[:3, 3], expected, atol=1e-9 * np.abs(affine).max())


@settings(deadline=None, max_examples=40)
@given(shapes, factors, seeds, st.floats(0.01, 0.6))
def test_no_piece_of_a_label_vanishes(shape: Three, by: Three, seed: int, density: float) -> None:
    """Whatever the mask: each of its pieces has a marked block that holds a voxel of it."""
    mask = (np.random.default_rng(seed).random(shape) < density).astype(np.uint8) * 7
    coarse = shrink_labels(mask, by)
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    for piece in range(1, count + 1):
        assert (coarse[tuple((axis // f) for axis, f in zip(np.nonzero(pieces == piece), by, strict=True))] == 7).any()
    assert set(np.unique(coarse)) <= {0, 7}


@settings(deadline=None, max_examples=40)
@given(shapes, factors, seeds)
def test_a_block_that_is_all_of_one_label_keeps_it_and_an_empty_one_stays_empty(
    shape: Three, by: Three, seed: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8) * 3
    coarse = shrink_labels(labels, by)
    for place in np.ndindex(coarse.shape):
        found = np.unique(labels[block(place, by)])
        if len(found) == 1:
            assert coarse[place] == found[0]


def test_the_larger_label_of_a_block_wins_and_half_is_enough() -> None:
    labels = np.array([1, 1, 2, 0, 2, 2, 0, 0, 9, 9, 9, 9], np.uint8).reshape(12, 1, 1)
    assert shrink_labels(labels, (4, 1, 1)).ravel().tolist() == [1, 2, 9]


def test_lesions_of_one_voxel_are_kept_one_by_one() -> None:
    """Two single voxels of two labels in neighbouring blocks, and a large third label between them."""
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[3, 3, 3], labels[4, 4, 7] = 1, 2
    coarse = shrink_labels(labels, (4, 4, 4))
    assert coarse[0, 0, 0] == 1
    assert coarse[1, 1, 1] == 2
    assert np.count_nonzero(coarse) == 2


def test_a_small_lesion_does_not_take_the_only_block_of_another() -> None:
    """Label 2 has one voxel in the only block of label 1, and one in a block of the larger label 3."""
    labels = np.array([1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3, 2], np.uint8).reshape(12, 1, 1)
    assert shrink_labels(labels, (4, 1, 1)).ravel().tolist() == [1, 3, 2]


def test_nothing_is_shrunk_by_one() -> None:
    labels = np.random.default_rng(0).integers(0, 5, (3, 4, 5)).astype(np.uint8)
    np.testing.assert_array_equal(shrink_labels(labels, (1, 1, 1)), labels)


def test_a_mask_is_not_changed() -> None:
    labels = np.random.default_rng(0).integers(0, 5, (6, 4, 5)).astype(np.uint8)
    before = labels.copy()
    shrink_labels(labels, (2, 2, 2))
    np.testing.assert_array_equal(labels, before)


@settings(deadline=None, max_examples=40)
@given(shapes, st.tuples(*[st.floats(0.3, 8)] * 3), st.integers(1, 800))
def test_blocks_are_no_more_than_allowed(shape: Three, spacing_mm: tuple[float, float, float], most: int) -> None:
    by = choose_factors(shape, spacing_mm, most)
    blocks = np.prod([-(-n // f) for n, f in zip(shape, by, strict=True)])
    assert blocks <= most
    assert by == (1, 1, 1) or np.prod(shape) > most


def edges(by: tuple[int, ...], spacing_mm: tuple[float, ...]) -> Array:
    return np.asarray(by) * spacing_mm


@pytest.mark.parametrize(
    ("spacing_mm", "expected"),
    [((1.0, 1.0, 1.0), (2, 2, 2)), ((1.0, 1.0, 5.0), (3, 3, 1)), ((3.0, 0.5, 0.5), (1, 3, 3))],
)
def test_blocks_are_as_cubic_as_may_be(spacing_mm: tuple[float, float, float], expected: Three) -> None:
    by = choose_factors((90, 90, 90), spacing_mm, 90**3 // 7)
    assert by == expected
    assert np.ptp(edges(by, spacing_mm)) <= np.ptp(spacing_mm)
