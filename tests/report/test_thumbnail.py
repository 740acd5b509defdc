from __future__ import annotations

from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medseg.ops.orientation import to_canonical
from medseg.report.thumbnail import LONGEST, thumbnail
from medseg.values.palette import LABEL_COLOURS, colour_of
from medseg.values.volume import Array, Volume

DATA = Path(__file__).parents[3] / "shared" / "data"


def pixels(picture: bytes) -> Array:
    image = Image.open(BytesIO(picture))
    assert image.format == "WEBP"
    return np.asarray(image.convert("RGB"), np.int32)


def near(found: Array, colour: tuple[int, int, int], within: int = 70) -> Array:
    return np.abs(found - np.asarray(colour)).max(axis=-1) < within


def noise(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)


@settings(max_examples=30)
@given(st.tuples(*[st.integers(1, 90)] * 3), st.tuples(*[st.floats(0.3, 6.0)] * 3))
def test_the_longer_side_is_fixed_and_the_other_true_in_mm(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    height, width, _ = pixels(thumbnail(noise(shape), None, spacing_mm)).shape
    lengths = [shape[0] * spacing_mm[0], shape[1] * spacing_mm[1]]
    assert max(width, height) == LONGEST
    assert width == pytest.approx(LONGEST * lengths[0] / max(lengths), abs=1)
    assert height == pytest.approx(LONGEST * lengths[1] / max(lengths), abs=1)


def test_the_patients_right_is_on_the_left_and_front_on_top() -> None:
    image = np.zeros((20, 20, 3), np.float32)
    image[15:, 15:, 1] = 100
    found = pixels(thumbnail(image, None, (1, 1, 1))).mean(axis=-1)
    half = LONGEST // 2
    assert found[:half, :half].mean() > 30
    assert max(found[:half, half:].mean(), found[half:].mean()) < 10


@pytest.mark.parametrize(("mask", "shown"), [("large", 7), ("empty", 5), (None, 5)])
def test_the_slice_has_most_of_the_mask_or_is_the_middle_one(mask: str | None, shown: int) -> None:
    image = np.zeros((30, 30, 10), np.float32)
    for index in range(10):
        image[3 * index : 3 * index + 3, :, index] = 50
    labels = np.zeros(image.shape, np.uint8)
    labels[0, 0, 2] = labels[:2, :2, 7] = 1
    if mask == "empty":
        labels[:] = 0
    found = pixels(thumbnail(image, labels if mask else None, (1, 1, 1))).mean(axis=-1)
    brightest = int(np.argmax(found[20:-20].mean(axis=0)))
    assert (LONGEST - 1 - brightest) * 30 // LONGEST in range(3 * shown, 3 * shown + 3)


def test_every_label_is_outlined_in_its_colour_and_nothing_else_is_coloured() -> None:
    image = noise((112, 112, 3))
    labels = np.zeros(image.shape, np.uint8)
    for number in range(1, 7):
        labels[16 * number - 8 : 16 * number + 4, 30:80, 1] = number
    found = pixels(thumbnail(image, labels, (1, 1, 1)))
    for number in range(1, 7):
        columns = slice(111 - (16 * number + 3), 112 - (16 * number - 8))
        assert near(found[:, columns], LABEL_COLOURS[number - 1]).sum() > 60, number
    inside = found[45:65, 111 - 14 : 111 - 12]
    assert (np.ptp(inside, axis=-1) < 60).all(), "an outline hides nothing inside"
    assert (np.ptp(found[90:], axis=-1) < 30).all(), "grey outside"


def test_a_single_voxel_of_a_large_scan_is_still_seen() -> None:
    labels = np.zeros((500, 500, 4), np.uint8)
    labels[250, 250, 2] = 3
    found = pixels(thumbnail(np.zeros(labels.shape, np.float32), labels, (1, 1, 1)))
    assert found.max() > 60
    assert found[50:62, 50:62].max() == found.max()


def test_the_same_scan_gives_the_same_bytes_and_is_not_changed() -> None:
    image, labels = noise((40, 50, 12)), np.zeros((40, 50, 12), np.uint8)
    labels[10:20, 10:20, 4:8] = 2
    before = image.copy(), labels.copy()
    first = thumbnail(image, labels, (1, 1, 3))
    turned = thumbnail(np.asfortranarray(image), np.asfortranarray(labels), (1, 1, 3))
    assert first == turned == thumbnail(image[::-1][::-1], labels, (1, 1, 3))
    assert np.array_equal(image, before[0])
    assert np.array_equal(labels, before[1])


@pytest.mark.parametrize("value", [0.0, -1000.0, 3e38])
def test_a_flat_scan_is_black(value: float) -> None:
    assert pixels(thumbnail(np.full((9, 9, 9), value, np.float32), None, (1, 1, 1))).max() < 8


def test_many_rows_of_a_mask_do_not_overflow() -> None:
    labels = np.zeros((600, 2, 3), np.uint8)
    labels[:512, 0, 0] = 1
    labels[:10, 0, 2] = 1
    image = np.zeros(labels.shape, np.float32)
    image[:, 1, 0] = 1
    assert pixels(thumbnail(image, labels, (1, 300, 1))).max() > 60


def test_colours_are_as_many_as_there_are_and_come_again() -> None:
    assert len({colour_of(number) for number in range(1, 7)}) == 6
    assert colour_of(1) == colour_of(7)
    assert colour_of(255) in LABEL_COLOURS


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared scans are not here")
def test_pictures_of_real_scans_take_less_than_three_kilobytes() -> None:
    for path in sorted(DATA.glob("Task04_Hippocampus/imagesTr/*.nii.gz"))[:10]:
        image, mask = (nibabel.load(p) for p in (path, path.parents[1] / "labelsTr" / path.name))
        volume = to_canonical(Volume(np.asarray(image.dataobj, np.float32)[None], image.affine))
        labels = to_canonical(Volume(np.asarray(mask.dataobj).astype(np.uint8)[None], image.affine))
        assert 300 < len(thumbnail(volume.voxels[0], labels.voxels[0], volume.spacing_mm)) < 3000


def test_the_picture_does_not_depend_on_the_order_of_memory() -> None:
    image = noise((40, 300, 20))
    mask: Array = (np.random.default_rng(1).random(image.shape) < np.linspace(0, 1, 20)[::-1]).astype(np.uint8)
    wanted = thumbnail(image, mask, (1, 1, 3))
    for turned in (np.asfortranarray(mask), np.asfortranarray(mask[::-1, :, ::-1])[::-1, :, ::-1]):
        assert thumbnail(np.asfortranarray(image), turned, (1, 1, 3)) == wanted
