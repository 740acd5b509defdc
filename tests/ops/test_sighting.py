"""A scan in a few numbers: exact where it matters, and the same for a scan and its copy on other axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from medseg.ops.sighting import (
    constant_end,
    count_numbers,
    intensity_percentiles,
    lesion_volumes_ml,
    mean_and_sd,
    miniature,
    share_of_zeros,
    thinned,
)
from medseg.values.volume import Array


def test_a_small_scan_is_looked_at_whole() -> None:
    voxels = np.random.default_rng(0).normal(50, 9, (1, 20, 21, 22)).astype(np.float32)
    sample = thinned(voxels)
    assert np.array_equal(np.sort(sample), np.sort(voxels.ravel()))
    wanted = np.percentile(voxels, (0, 1, 5, 25, 50, 75, 95, 99, 100))
    assert np.allclose(intensity_percentiles(sample, float(voxels.min()), float(voxels.max())), wanted)
    assert mean_and_sd(sample) == pytest.approx((voxels.mean(dtype=float), voxels.std(dtype=float)), rel=1e-6)


def test_a_large_scan_is_thinned_and_stays_what_it_is() -> None:
    voxels = np.random.default_rng(1).normal(0, 1, (128, 128, 100)).astype(np.float32)
    sample = thinned(voxels)
    assert 10_000 < sample.size < 25_000
    found = intensity_percentiles(sample, -9.0, 9.0)
    assert (found[0], found[-1]) == (-9.0, 9.0)
    assert np.allclose(found[1:-1], np.percentile(voxels, (1, 5, 25, 50, 75, 95, 99)), atol=0.12)


def test_a_thinned_scan_has_voxels_of_every_row_and_slice() -> None:
    places = np.arange(512 * 512 * 16, dtype=np.float32).reshape(512, 512, 16)
    x, y, z = np.unravel_index(thinned(places).astype(int), places.shape)
    assert (np.unique(x).size, np.unique(y).size, np.unique(z).size) == (512, 512, 16)


def test_the_share_of_zeros_is_counted() -> None:
    assert share_of_zeros(np.array([0, 1, 0, -2], np.float32)) == 0.5


@given(st.tuples(*[st.integers(1, 30)] * 3))
def test_a_miniature_has_mean_0_and_deviation_1_for_any_shape(shape: tuple[int, int, int]) -> None:
    small = miniature(np.random.default_rng(2).random(shape, np.float32))
    assert small.shape == (8, 8, 8)
    if np.prod(shape) > 1:
        assert abs(float(small.astype(float).mean())) < 1e-2
        assert float(small.astype(float).std()) == pytest.approx(1, abs=1e-2)


def test_a_miniature_averages_blocks() -> None:
    blocks = np.random.default_rng(3).random((8, 8, 8)).astype(np.float32)
    small = miniature(blocks.repeat(3, 0).repeat(2, 1).repeat(4, 2))
    assert np.allclose(small, (blocks - blocks.mean()) / blocks.std(), atol=2e-3)
    assert not miniature(np.full((9, 9, 9), 7, np.float32)).any()


def test_scale_and_offset_leave_a_miniature_as_it_is() -> None:
    voxels = np.random.default_rng(4).random((11, 12, 13), np.float32)
    assert np.allclose(miniature(voxels), miniature(voxels * 1e6 - 1e5), atol=2e-2)


def test_lesions_are_measured_apart_largest_first() -> None:
    labels = np.random.default_rng(5).choice(np.array([0, 1, 2, 7], np.uint8), (20, 20, 20), p=(0.94, 0.02, 0.02, 0.02))
    parts, number = ndimage.label((labels == 1) | (labels == 7), np.ones((3, 3, 3)))
    wanted = sorted((np.count_nonzero(parts == place) * 0.5 for place in range(1, number + 1)), reverse=True)
    assert lesion_volumes_ml(labels, (1, 7), 0.5) == tuple(wanted)
    assert lesion_volumes_ml(labels, (9,), 0.5) == ()
    assert lesion_volumes_ml(np.zeros((3, 3, 3), np.uint8), (1,), 0.5) == ()


@given(st.lists(st.integers(0, 255), min_size=1, max_size=40), st.lists(st.integers(0, 255), unique=True, max_size=9))
def test_numbers_are_counted_whatever_was_expected(numbers: list[int], expected: list[int]) -> None:
    found = count_numbers(np.array(numbers, np.uint8), expected)
    assert found == {number: numbers.count(number) for number in sorted(set(numbers))}


@pytest.mark.parametrize(("first", "last", "found"), [(0, 10, 0), (0, 6, 4), (3, 7, 0), (1, 5, 4), (0, 9, 1)])
def test_an_empty_end_is_seen_where_the_beginning_is_not_empty_too(first: int, last: int, found: int) -> None:
    voxels = np.zeros((4, 5, 10), np.float32)
    voxels[1, 2, first:last] = 1
    assert constant_end(voxels) == found


def layouts(voxels: Array) -> list[Array]:
    """Return the same numbers in several orders of memory."""
    reversed_ = np.asfortranarray(voxels[::-1, ::-1])[::-1, ::-1]
    return [np.asfortranarray(voxels), reversed_, np.ascontiguousarray(voxels[:, :, ::-1])[:, :, ::-1]]


@pytest.mark.parametrize("shape", [(9, 8, 7), (90, 80, 70)])
def test_what_is_seen_does_not_depend_on_the_order_of_memory(shape: tuple[int, int, int]) -> None:
    voxels = np.random.default_rng(3).normal(0, 1, shape).astype(np.float32)
    labels = np.random.default_rng(4).choice(4, shape, p=[0.97, 0.01, 0.01, 0.01]).astype(np.uint8)
    for other in layouts(voxels):
        assert np.array_equal(thinned(other[None]), thinned(voxels[None]))
        assert miniature(other).tobytes() == miniature(voxels).tobytes()
        assert constant_end(other) == constant_end(voxels)
    for other in layouts(labels):
        assert count_numbers(other, (0, 1, 2)) == count_numbers(labels, (0, 1, 2))
        assert lesion_volumes_ml(other, (1, 3), 0.5) == lesion_volumes_ml(labels, (1, 3), 0.5)
