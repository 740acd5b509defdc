"""The picture of a batch: everything in it, true to scale, and the same bytes for the same batch."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from medseg.report.batch_picture import Look, batch_png
from medseg.report.batch_pixels import NOT_A_NUMBER, UNKNOWN, grey_range, paint_patch, patch_of
from medseg.report.letters import length, wrapped
from medseg.report.overlays import PLANES
from medseg.values.palette import colour_of

Array = np.ndarray


def a_batch(count: int = 2, channels: int = 2, space: tuple[int, ...] = (20, 16, 12)) -> tuple[Array, Array]:
    generator = np.random.default_rng(0)
    images = generator.standard_normal((count, channels, *space)).astype(np.float32)
    classes = np.zeros((count, *space), np.int64)
    box = tuple(slice(4, 9) for _ in space)
    classes[(slice(None), *box)] = 1
    classes[(0, *(slice(5, 8) for _ in space))] = 2
    return images, classes


def opened(content: bytes) -> Array:
    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))


def colours(picture: Array) -> set[tuple[int, ...]]:
    packed = np.unique(picture.astype(np.int64) @ (1 << 16, 1 << 8, 1))
    return {(int(colour) >> 16, int(colour) >> 8 & 255, int(colour) & 255) for colour in packed}


@pytest.mark.parametrize("space", [(20, 16, 12), (16, 20)])
def test_every_class_is_outlined_and_bytes_are_the_same(space: tuple[int, ...]) -> None:
    images, classes = a_batch(space=space)
    before = images.copy(), classes.copy()
    content = batch_png(images, classes, ["one", "two"])
    assert {colour_of(1), colour_of(2)} <= colours(opened(content))
    assert content == batch_png(images, classes, ["one", "two"])
    assert np.array_equal(images, before[0])
    assert np.array_equal(classes, before[1])
    assert content != batch_png(images, classes, ["one", "three"])


def test_what_was_ignored_and_what_is_no_number_stand_out() -> None:
    images, classes = a_batch()
    assert not {UNKNOWN, NOT_A_NUMBER} & colours(opened(batch_png(images, classes, ["", ""])))
    classes[1, 12:] = 255
    assert UNKNOWN in colours(opened(batch_png(images, classes, ["", ""])))
    images[1, 1, 18, 14, 10] = np.inf
    assert NOT_A_NUMBER in colours(opened(batch_png(images, classes, ["", ""])))


def test_a_batch_of_nothing_but_holes_can_be_drawn() -> None:
    images, classes = a_batch()
    images[:] = np.nan
    assert NOT_A_NUMBER in colours(opened(batch_png(images, classes, ["", ""])))


def test_many_patches_stand_side_by_side_and_many_channels_go_on_below() -> None:
    few, many = (opened(batch_png(*a_batch(count, 1, (16, 16)), [f"{n}" for n in range(count)])) for count in (1, 6))
    assert many.shape[1] > 4 * few.shape[1]
    assert many.shape[0] == few.shape[0]
    tall = opened(batch_png(*a_batch(1, 9), ["one"]))
    assert tall.shape[0] > 2 * opened(batch_png(*a_batch(1, 4), ["one"])).shape[0]
    assert tall.shape[1] < 2400


def test_voxels_keep_their_shape_in_mm() -> None:
    images, classes = a_batch(1, 1, (20, 20, 10))
    flat = opened(batch_png(images, classes, [""], Look(spacing_mm=(1.0, 1.0, 1.0))))
    cubic = opened(batch_png(images, classes, [""], Look(spacing_mm=(1.0, 1.0, 2.0))))
    assert (flat.shape[0], flat.shape[1]) == (cubic.shape[0], cubic.shape[1])
    black = [int((picture.max(axis=2) < 40).sum()) for picture in (flat, cubic)]
    assert black[0] > black[1] + 2 * 80 * 170  # two of the three planes are half as high


def test_planes_go_through_the_labels_and_else_the_middle() -> None:
    images, classes = a_batch()
    assert patch_of(images[0], classes[0], None).centre == (6, 6, 6)
    assert patch_of(images[0], np.zeros_like(classes[0]), None).centre == (10, 8, 6)
    assert patch_of(images[0], np.full_like(classes[0], 255), None).centre == (10, 8, 6)
    images[0, 1, 17, 3, 2] = np.nan
    assert patch_of(images[0], classes[0], None).centre == (17, 3, 2)


def test_a_plane_is_seen_the_radiological_way() -> None:
    image = np.zeros((1, 8, 8, 8), np.float32)
    image[0, 7, 7, 4] = 1  # right, front
    pixels = np.asarray(paint_patch(patch_of(image, np.zeros((8, 8, 8)), None), 0, PLANES[2], (8, 8), (0.0, 1.0)))
    assert pixels[0, 0].min() > 200
    assert pixels[4:, 4:].max() < 10


@pytest.mark.parametrize("values", [np.zeros(5), np.full(3, np.nan), np.array([1.0, np.inf]), np.arange(10.0)])
def test_the_grey_range_is_never_empty(values: Array) -> None:
    low, high = grey_range(values)
    assert np.isfinite(low)
    assert low < high


def test_words_are_broken_where_they_must_be() -> None:
    words = "noise 0.12, gamma 1.31 and a-word-that-is-far-too-long-to-stand-in-one-line-alone"
    lines = wrapped(words, 150, 12)
    assert all(length(line, 12) <= 150 for line in lines)
    assert words.startswith(" ".join(lines[:-1]))
    assert wrapped("", 100, 12) == []
