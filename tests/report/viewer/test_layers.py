from __future__ import annotations

import gzip
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from medseg.report.pictured import Pictured
from medseg.report.viewer.layers import MOST_BYTES, TOTAL_BYTES, CaseLayers, make_layers, share_of
from medseg.values.volume import Array, FloatArray

SPACING_MM = (1.0, 1.2, 2.5)


def affine_of(spacing_mm: tuple[float, float, float] = SPACING_MM) -> FloatArray:
    """An oblique affine, canonical in its order of axes, with a place of its own."""
    angle = 0.2
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing_mm
    affine[:3, 3] = -31.5, 12.25, 400.0
    return affine


def head(shape: tuple[int, int, int]) -> FloatArray:
    """A noisy ball in air."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    ball = (grid**2).sum(axis=0) < 0.6
    image: FloatArray = np.where(ball, 300, 0) + np.random.default_rng(0).normal(0, 12, shape)
    return image.astype(np.float32)


def pictured(shape: tuple[int, int, int] = (60, 50, 24), known: bool = True) -> Pictured:
    truth, predicted = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    x, y, z = (n // 2 for n in shape)
    truth[x : x + 6, y : y + 6, z : z + 4] = 1
    predicted[x + 2 : x + 8, y : y + 6, z : z + 4] = 1
    truth[x - 8, y, z] = 2
    return Pictured(head(shape), truth, predicted, SPACING_MM, known, affine_of())


def marks_of(layers: CaseLayers) -> tuple[Array, Array]:
    flat = np.frombuffer(gzip.decompress(layers.marks), np.uint8)
    truth, predicted = (half.reshape(layers.shape, order="F") for half in np.split(flat, 2))
    return truth, predicted


def places(mask: Array, affine: FloatArray) -> FloatArray:
    found: FloatArray = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return found


def characters(layers: CaseLayers) -> int:
    record = layers.record
    return len(record["image"] or "") + len(record["marks"])


def test_a_small_scan_comes_whole_and_at_its_place() -> None:
    case = pictured()
    layers = make_layers("a", case, (1, 2), 10**6)
    truth, predicted = marks_of(layers)
    for coarse, fine in ((truth, case.truth), (predicted, case.predicted)):
        for label in (1, 2):
            expected = places(fine == label, case.world)
            np.testing.assert_allclose(places(coarse == label, layers.affine), expected, atol=1e-9)
    assert layers.spacing_mm == pytest.approx(SPACING_MM)


@pytest.mark.parametrize("share", [60_000, 12_000])
def test_a_shrunk_scan_stays_at_its_place_and_keeps_its_lesions(share: int) -> None:
    """The middle of each mask moves by less than half a coarse voxel; the lesion of one voxel is there, within one."""
    case = pictured((120, 100, 40))
    layers = make_layers("a", case, (1, 2), share)
    truth, predicted = marks_of(layers)
    reach = np.linalg.norm(layers.spacing_mm)
    assert layers.spacing_mm > SPACING_MM
    for coarse, fine in ((truth == 1, case.truth == 1), (predicted == 1, case.predicted == 1)):
        shift = places(coarse, layers.affine).mean(axis=0) - places(fine, case.world).mean(axis=0)
        assert np.linalg.norm(shift) < reach / 2
    (kept,), (single,) = places(truth == 2, layers.affine), places(case.truth == 2, case.world)
    assert np.linalg.norm(kept - single) < reach / 2


@pytest.mark.parametrize("share", [200_000, 40_000, 15_000])
def test_a_case_keeps_to_its_share_even_of_noise(share: int) -> None:
    case = pictured((90, 80, 60))
    noise = np.random.default_rng(1).normal(size=case.predicted.shape).astype(np.float32)
    for image in (case.image, noise):
        layers = make_layers("a", Pictured(image, case.truth, case.predicted, SPACING_MM), (1,), share)
        assert characters(layers) <= share + 8


def test_all_cases_together_keep_to_the_page() -> None:
    for cases in (1, 10, 40, 110, 1000):
        assert cases * share_of(cases) <= TOTAL_BYTES
        assert share_of(cases) <= MOST_BYTES
    assert share_of(0) == MOST_BYTES


def test_the_picture_is_the_image_in_its_window() -> None:
    case = pictured()
    layers = make_layers("a", case, (1,), 10**6)
    assert layers.image is not None
    with Image.open(BytesIO(layers.image)) as sheet:
        assert sheet.format == "WEBP"
        grey = np.asarray(sheet.convert("L"), np.float32)
    image = case.image
    assert image is not None
    ball = ndimage.binary_erosion(image > 150, iterations=2)
    middle = np.median(grey[grey > 128]) / 255 * (layers.high - layers.low) + layers.low
    assert middle == pytest.approx(np.median(image[ball]), abs=0.02 * (layers.high - layers.low))
    assert layers.low < 10
    assert layers.high > 300


def test_it_starts_where_truth_and_prediction_disagree() -> None:
    layers = make_layers("a", pictured(), (1,), 10**6)
    truth, predicted = marks_of(layers)
    assert (truth[layers.start] == 1) != (predicted[layers.start] == 1)


def test_truth_that_is_not_known_is_not_in_the_page() -> None:
    layers = make_layers("a", pictured(known=False), (1,), 10**6)
    truth, predicted = marks_of(layers)
    assert not truth.any()
    assert predicted.any()
    assert layers.record["known"] is False


def test_a_scan_without_image_shows_its_masks_on_the_whole_grid() -> None:
    case = pictured()
    layers = make_layers("a", Pictured(None, case.truth, case.predicted, SPACING_MM), (1,), 10**6)
    assert layers.record["image"] is None
    assert layers.shape == case.predicted.shape
    np.testing.assert_array_equal(marks_of(layers)[0], case.truth)


def test_marks_outside_the_body_are_in_the_cut() -> None:
    case = pictured()
    case.truth[0, 0, 0] = case.predicted[59, 49, 23] = 1
    truth, predicted = marks_of(make_layers("a", case, (1,), 10**6))
    assert np.count_nonzero(truth) == np.count_nonzero(case.truth)
    assert np.count_nonzero(predicted) == np.count_nonzero(case.predicted)


@pytest.mark.parametrize("image", [np.zeros((8, 9, 1)), np.full((8, 9, 1), np.nan), np.full((8, 9, 1), 7.0)])
def test_flat_broken_and_flat_images_of_one_slice_are_borne(image: Array) -> None:
    empty = np.zeros((8, 9, 1), np.uint8)
    layers = make_layers("a", Pictured(image.astype(np.float32), empty, empty, (1.0, 1.0, 1.0)), (1,), 10**5)
    assert layers.high > layers.low
    assert np.isfinite([layers.low, layers.high]).all()
    assert layers.shape[2] == 1


def test_the_same_case_gives_the_same_record_and_is_not_changed() -> None:
    case = pictured()
    before = [array.copy() for array in (case.image, case.truth, case.predicted) if array is not None]
    first, second = (make_layers("a", case, (1,), 30_000).record for _ in range(2))
    assert first == second
    assert b64decode(first["marks"])[:2] == b"\x1f\x8b"
    for array, kept in zip((case.image, case.truth, case.predicted), before, strict=True):
        np.testing.assert_array_equal(array, kept)
