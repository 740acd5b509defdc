"""Resampling: edge-aligned, equal to scipy, inside the range of its input, without invented classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medseg.ops.resampling import (
    Shape,
    coarse_axis,
    linear_taps,
    resample_classes,
    resample_image,
    resample_scores,
    resample_to_grid,
)
from medseg.values.error import Refusal
from medseg.values.volume import FloatArray, Volume

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
seeds = st.integers(0, 2**32 - 1)


def noise(seed: int, shape: tuple[int, ...]) -> FloatArray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@settings(max_examples=40)
@given(seeds, shapes, shapes)
def test_cubic_equals_scipy_zoom_within_the_range(seed: int, shape: Shape, new_shape: Shape) -> None:
    image = noise(seed, (1, *shape))
    before = image.copy()
    result = resample_image(image, new_shape)
    zoom = [new / old for new, old in zip(new_shape, shape, strict=True)]
    exact = ndimage.zoom(image[0].astype(np.float64), zoom, order=3, mode="nearest", grid_mode=True)
    assert result.dtype == np.float32
    assert np.allclose(result[0], np.clip(exact, image.min(), image.max()), atol=2e-5)
    assert np.array_equal(image, before)


@settings(max_examples=40)
@given(seeds, shapes, shapes)
def test_linear_equals_the_formula_of_edge_alignment(seed: int, shape: Shape, new_shape: Shape) -> None:
    scores = noise(seed, (2, *shape))
    expected = scores.astype(np.float64)
    for axis, (old, new) in enumerate(zip(shape, new_shape, strict=True), start=1):
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(place).astype(int)
        share = (place - low).reshape([-1 if axis == other else 1 for other in range(4)])
        high = np.minimum(low + 1, old - 1)
        expected = expected.take(low, axis) * (1 - share) + expected.take(high, axis) * share
    assert np.allclose(resample_scores(scores, new_shape), expected, atol=1e-5)


@settings(max_examples=60)
@given(seeds, st.integers(1, 90), st.integers(1, 90))
def test_taps_give_the_very_numbers_of_linear_resampling(seed: int, size: int, new_size: int) -> None:
    line, taps = noise(seed, (1, size, 1, 1)), linear_taps(size, new_size)
    values = line.ravel()
    found = taps.low_weight * values[taps.low] + taps.high_weight * values[taps.high]
    assert found.dtype == np.float32
    assert np.array_equal(found, resample_scores(line, (new_size, 1, 1)).ravel())
    assert set(taps.high - taps.low) <= {0, 1}
    assert (np.diff(taps.low) >= 0).all()
    assert not taps.high_weight[taps.low == taps.high].any()


@settings(max_examples=40)
@given(seeds, shapes, shapes)
def test_classes_are_never_invented(seed: int, shape: Shape, new_shape: Shape) -> None:
    classes = np.random.default_rng(seed).choice([0, 2, 7], shape).astype(np.uint8)
    before = classes.copy()
    result = resample_classes(classes, new_shape)
    assert result.dtype == np.uint8
    assert result.shape == new_shape
    assert set(np.unique(result)) <= set(np.unique(classes))
    assert np.array_equal(classes, before)


def test_classes_are_the_strongest_of_linear_shares() -> None:
    classes = np.random.default_rng(3).integers(0, 4, (9, 8, 7)).astype(np.uint8)
    classes = np.repeat(np.repeat(classes, 2, axis=0), 2, axis=1)
    shares = resample_scores((classes == np.arange(4)[:, None, None, None]).astype(np.float32), (13, 20, 9))
    ordered = np.sort(shares, axis=0)
    clear = ordered[-1] - ordered[-2] > 1e-5
    assert clear.mean() > 0.8
    assert np.array_equal(resample_classes(classes, (13, 20, 9))[clear], shares.argmax(axis=0)[clear])


def test_a_tie_goes_to_the_lower_class() -> None:
    classes = np.array([0, 1, 1, 0], np.uint8).reshape(4, 1, 1)
    assert resample_classes(classes, (2, 1, 1)).ravel().tolist() == [0, 0]


def test_the_same_shape_gives_an_equal_copy() -> None:
    image = noise(0, (2, 5, 4, 3))
    classes = np.random.default_rng(0).integers(0, 3, (5, 4, 3)).astype(np.uint8)
    for same in (resample_image(image, (5, 4, 3)), resample_scores(image, (5, 4, 3))):
        assert np.array_equal(same, image)
        assert not np.shares_memory(same, image)
    assert np.array_equal(resample_classes(classes, (5, 4, 3)), classes)
    assert not np.shares_memory(resample_classes(classes, (5, 4, 3)), classes)


def test_a_coarse_axis_is_interpolated_linearly_between_slices() -> None:
    image = noise(5, (1, 12, 12, 4))
    result = resample_image(image, (9, 9, 8), coarse=2)
    slices = [ndimage.zoom(image[0, :, :, z], 0.75, order=3, mode="nearest", grid_mode=True) for z in range(4)]
    stack = np.stack(slices, axis=-1)
    expected = 0.75 * stack[..., 1] + 0.25 * stack[..., 2]
    assert np.allclose(result[0, :, :, 3], np.clip(expected, image.min(), image.max()), atol=1e-5)


@pytest.mark.parametrize(
    ("spacing_mm", "axis"),
    [((1, 1, 1), None), ((1, 1, 3), None), ((1, 1, 3.5), 2), ((5, 1, 1.2), 0), ((1, 4, 4), None)],
)
def test_the_coarse_axis(spacing_mm: tuple[float, float, float], axis: int | None) -> None:
    assert coarse_axis(spacing_mm) == axis


def blob(shape: Shape, affine: FloatArray, centre_mm: FloatArray, sd_mm: float) -> FloatArray:
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    values: FloatArray = np.exp(-((world - centre_mm) ** 2).sum(axis=-1) / (2 * sd_mm**2)).astype(np.float32)
    return values


def centre_of(channel: FloatArray, affine: FloatArray) -> FloatArray:
    centre: FloatArray = (affine @ (*ndimage.center_of_mass(channel), 1))[:3]
    return centre


def grid(degrees: float, spacing: tuple[float, float, float], origin: tuple[float, float, float]) -> FloatArray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (degrees, -degrees, degrees / 2), degrees=True).as_matrix() * spacing
    affine[:3, 3] = origin
    return affine


@pytest.mark.parametrize("degrees", [0.0, 11.0])
def test_another_grid_shows_the_same_object_at_the_same_place(degrees: float) -> None:
    source = grid(degrees, (1.0, 1.0, 2.0), (-20, -21, -22))
    target = grid(0.0, (1.5, 1.25, 1.5), (-15, -14, -16))
    channel = blob((44, 42, 24), source, np.array([1.0, 2.0, 3.0]), 4.0)
    moved = resample_to_grid(Volume(channel[None], source), (22, 24, 23), target)
    expected = blob((22, 24, 23), target, np.array([1.0, 2.0, 3.0]), 4.0)
    assert np.abs(moved.voxels[0] - expected).max() < 0.05
    assert np.abs(centre_of(moved.voxels[0], target) - (1, 2, 3)).max() < 0.1
    assert np.array_equal(moved.affine, target)


def test_both_ways_to_another_grid_agree() -> None:
    channel = noise(2, (1, 20, 18, 16))
    source, target = grid(0.0, (1.0, 1.0, 1.0), (0, 0, 0)), grid(0.0, (2.0, 1.3, 0.8), (1.5, 2.0, 3.0))
    slanted = target.copy()
    slanted[0, 1] += 2e-4
    straight = resample_to_grid(Volume(channel, source), (7, 9, 10), target)
    general = resample_to_grid(Volume(channel, source), (7, 9, 10), slanted)
    assert np.allclose(straight.voxels, general.voxels, atol=5e-3)


def test_coarser_voxels_are_smoothed_first() -> None:
    stripes = np.zeros((1, 32, 8, 8), np.float32)
    stripes[:, ::2] = 1
    target = grid(0.0, (4.0, 1.0, 1.0), (2.0, 0, 0))
    coarse = resample_to_grid(Volume(stripes, np.eye(4)), (7, 8, 8), target)
    assert np.abs(coarse.voxels - 0.5).max() < 0.1


def test_outside_is_the_minimum_of_the_channel() -> None:
    channel = noise(3, (1, 10, 10, 10)) - 1000
    shifted = grid(0.0, (1.0, 1.0, 1.0), (-5, 0, 0))
    moved = resample_to_grid(Volume(channel, np.eye(4)), (10, 10, 10), shifted)
    assert np.all(moved.voxels[0, :5] == channel.min())
    assert np.allclose(moved.voxels[0, 5:], channel[0, :5], atol=1e-3)


def test_a_grid_without_overlap_is_refused() -> None:
    far = grid(0.0, (1.0, 1.0, 1.0), (500, 0, 0))
    with pytest.raises(Refusal, match="channel: a channel overlaps the grid of the first one, got no common voxel"):
        resample_to_grid(Volume(noise(0, (1, 4, 4, 4)), np.eye(4)), (4, 4, 4), far)
