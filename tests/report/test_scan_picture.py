"""The three planes of a segmented scan: the right ones, the right way round, small."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medseg.report.scan_picture import GAP, LARGEST_BYTES, SIDE, WIDTH, scan_picture
from medseg.values.error import Refusal
from medseg.values.palette import colour_of
from medseg.values.volume import Array


def pixels(picture: bytes) -> Array:
    image = Image.open(BytesIO(picture))
    assert image.format == "WEBP"
    assert image.size == (WIDTH, SIDE)
    return np.asarray(image.convert("RGB"), np.int32)


def planes(picture: bytes) -> list[Array]:
    """Axial, coronal and sagittal square."""
    found = pixels(picture)
    return [found[:, place * (SIDE + GAP) :][:, :SIDE] for place in range(3)]


def near(found: Array, colour: tuple[int, int, int], within: int = 70) -> Array:
    return np.abs(found - np.asarray(colour)).max(axis=-1) < within


def extent(found: Array, axis: int, threshold: int = 40) -> int:
    """How many rows (0) or columns (1) are brighter than black, letters apart."""
    inner = found[:, 20:-20] if axis == 0 else found[:60]
    return int((inner.mean(axis=-1).max(axis=1 - axis) > threshold).sum())


def bright(shape: tuple[int, int, int]) -> Array:
    """A scan that is bright all over but not flat."""
    generator = np.random.default_rng(0)
    return generator.uniform(150, 200, shape).astype(np.float32) * (np.indices(shape).sum(axis=0) > 0)


def lit(side: tuple[slice, ...]) -> list[Array]:
    """Planes of a grey scan that is bright on one side, without colour."""
    image = np.full((40, 40, 40), 80, np.float32)
    image[side] = 230
    image[::3, ::3, ::3] = 0
    return [found.mean(axis=-1) for found in planes(scan_picture(image, np.zeros(image.shape, np.uint8), (1, 1, 1)))]


def test_planes_are_seen_the_radiological_way() -> None:
    last, everything = slice(30, None), slice(None)
    axial, coronal, sagittal = lit((last,))
    for found in (axial, coronal):
        assert found[:, 20:35].mean() > 2 * found[:, 60:].mean(), "the patient's right is on the left"
    assert sagittal[:, 20:35].mean() < 1.3 * sagittal[:, 60:].mean()
    axial, coronal, sagittal = lit((everything, last))
    assert axial[:35].mean() > 2 * axial[60:].mean(), "the front is on top"
    assert sagittal[:, 20:35].mean() > 2 * sagittal[:, 60:].mean(), "the front is on the left"
    assert coronal[:35].mean() < 1.3 * coronal[60:].mean()
    axial, coronal, sagittal = lit((everything, everything, last))
    for found in (coronal, sagittal):
        assert found[:35].mean() > 2 * found[60:].mean(), "the head is on top"
    assert axial[:35].mean() < 1.3 * axial[60:].mean()


def test_planes_go_through_the_largest_piece_where_most_was_found() -> None:
    classes = np.zeros((50, 60, 40), np.uint8)
    classes[5:11, 40:48, 30] = 1
    classes[30:34, 10:12, 30] = 1
    classes[20:24, 20:24, 5:8] = 1
    image = np.zeros(classes.shape, np.float32)
    image[8, 44, 30] = 1000  # the middle of the largest piece of the fullest plane
    for found in planes(scan_picture(image + bright(classes.shape) / 100, classes, (1, 1, 1))):
        assert found[:, 20:].max() > 180


def test_planes_go_through_a_ring_and_not_through_its_hole() -> None:
    classes = np.zeros((41, 41, 9), np.uint8)
    across, along = np.mgrid[-20:21, -20:21]
    ring = (np.hypot(across, along) < 18) & (np.hypot(across, along) > 14)
    classes[ring, 4] = 1
    for found in planes(scan_picture(bright(classes.shape), classes, (1, 1, 5))):
        assert near(found, colour_of(1)).any()


@pytest.mark.parametrize("place", range(3))
def test_where_nothing_was_found_the_middle_is_shown(place: int) -> None:
    image = np.zeros((30, 32, 34), np.float32)
    image[15, 16, 17] = 500
    image[2:-2, 2:-2, 2:-2] += 20
    found = planes(scan_picture(image, np.zeros(image.shape, np.uint8), (1, 1, 1)))[place]
    assert found[70:90, 70:90].max() > 100


def test_every_label_has_its_colour_and_nothing_else_is_coloured() -> None:
    image = bright((80, 80, 40))
    classes = np.zeros(image.shape, np.uint8)
    classes[10:35, 20:60, 10:30] = 1
    classes[45:70, 20:60, 10:30] = 2
    axial = planes(scan_picture(image, classes, (1, 1, 1)))[0]
    assert near(axial[:, : SIDE // 2], colour_of(2)).sum() > 100, "a larger x is the patient's right"
    assert near(axial[:, SIDE // 2 :], colour_of(1)).sum() > 100
    assert (np.ptp(axial[:25, 25:], axis=-1) < 40).all(), "grey outside"


@settings(max_examples=12, deadline=None)
@given(st.tuples(*[st.integers(8, 40)] * 3), st.tuples(*[st.sampled_from([0.5, 1.0, 3.0])] * 3))
def test_millimetres_are_as_long_in_both_directions(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    found = planes(scan_picture(bright(shape), np.zeros(shape, np.uint8), spacing_mm))
    for square, (across, down) in zip(found, ((0, 1), (0, 2), (1, 2)), strict=True):
        lengths = shape[across] * spacing_mm[across], shape[down] * spacing_mm[down]
        height = round(SIDE * lengths[1] / max(lengths))
        if height >= 20:
            assert extent(square, 0) == pytest.approx(height, abs=6)


def test_a_small_body_in_much_air_fills_its_square() -> None:
    image = np.zeros((200, 200, 200), np.float32)
    image[80:120, 80:120, 80:120] = bright((40, 40, 40))
    for found in planes(scan_picture(image, np.zeros(image.shape, np.uint8), (1, 1, 1))):
        assert extent(found, 0) > 0.7 * SIDE


def test_what_was_found_outside_the_body_is_shown_too() -> None:
    image = np.zeros((200, 200, 20), np.float32)
    image[80:120, 80:120, :] = bright((40, 40, 20))
    classes = np.zeros(image.shape, np.uint8)
    classes[3:6, 3:6, 10] = 1
    assert near(planes(scan_picture(image, classes, (1, 1, 1)))[0], colour_of(1), 110).any()


def test_grey_is_robust_and_one_range_serves_all_planes() -> None:
    image = bright((60, 60, 60))
    image[30, 30, 31] = 1e6
    image[:, :, :10] /= 2
    found = planes(scan_picture(image, np.zeros(image.shape, np.uint8), (1, 1, 1)))
    assert found[0][20:-20, 20:-20].mean() > 60, "one bright voxel does not darken the rest"
    coronal = found[1].mean(axis=-1)
    assert coronal[-15:, 30:-30].mean() < 0.6 * coronal[:60, 30:-30].mean()


@pytest.mark.parametrize("shape", [(160, 160, 160), (3, 500, 20), (1, 1, 1), (700, 2, 9)])
def test_noise_of_any_shape_stays_small(shape: tuple[int, int, int]) -> None:
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 7, shape).astype(np.uint8)
    content = scan_picture(generator.normal(size=shape).astype(np.float32), classes, (1, 1, 1))
    assert len(content) <= LARGEST_BYTES
    assert pixels(content).any()


def test_the_same_scan_gives_the_same_bytes_and_is_not_changed() -> None:
    image, classes = bright((40, 50, 12)), np.zeros((40, 50, 12), np.uint8)
    classes[10:20, 10:20, 4:8] = 2
    before = image.copy(), classes.copy()
    first = scan_picture(image, classes, (1, 1, 3))
    turned = np.asfortranarray(image), np.asfortranarray(classes)
    assert first == scan_picture(*turned, (1, 1, 3)) == scan_picture(image.astype(np.float64), classes, (1, 1, 3))
    assert np.array_equal(image, before[0])
    assert np.array_equal(classes, before[1])


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(Refusal, match=r"image and classes have one shape \(X, Y, Z\), got \(4, 4, 4\) and \(4, 4, 5\)"):
        scan_picture(np.zeros((4, 4, 4)), np.zeros((4, 4, 5), np.uint8), (1, 1, 1))
    with pytest.raises(Refusal, match="give both on one grid"):
        scan_picture(np.zeros((1, 4, 4, 4)), np.zeros((1, 4, 4, 4), np.uint8), (1, 1, 1))
