"""Cutting: exact copies, true rotations, and classes that stay under their image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.engines.sampling.cutting.cut import cut
from medseg.engines.sampling.drawing.draw import Draw, Intensity, draw_batch
from medseg.engines.sampling.drawing.shapes import shape_of
from medseg.engines.sampling.settings import (
    AugmentSettings,
    FlipSettings,
    PatchSettings,
    RotationSettings,
    ScalingSettings,
)
from medseg.files.prepared import PreparedCase, read_prepared, write_prepared

CPU = torch.device("cpu")
EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
TURNED = AugmentSettings(
    flip=FlipSettings(axes=("x", "y", "z")),
    rotation=RotationSettings(probability=1.0, degrees=(60.0, 60.0, 60.0)),
    scaling=ScalingSettings(probability=1.0, low=0.6, high=1.6),
)


def random_case(shape: tuple[int, int, int], channels: int = 2, seed: int = 0) -> PreparedCase:
    generator = np.random.default_rng(seed)
    image = generator.standard_normal((channels, *shape)).astype(np.float32)
    classes = generator.integers(0, 4, shape).astype(np.uint8)
    seeds = {kind: np.argwhere(classes == kind).astype(np.int32) for kind in range(1, 4)}
    return PreparedCase(f"case{seed}", image, classes, seeds, (1.0, 1.0, 1.0), {})


def positions_case(shape: tuple[int, int, int]) -> PreparedCase:
    """Return a case whose image says where each voxel is (x, y, z, and 1 inside)."""
    image = np.concatenate([np.indices(shape), np.ones((1, *shape))]).astype(np.float32)
    classes = np.random.default_rng(1).integers(0, 4, shape).astype(np.uint8)
    seeds = {kind: np.argwhere(classes == kind).astype(np.int32) for kind in range(1, 4)}
    return PreparedCase("positions", image, classes, seeds, (1.0, 1.0, 1.0), {})


def at(centre: tuple[float, float, float], matrix: object = EYE) -> Draw:
    return Draw(0, centre, matrix, (Intensity(),), 0, None)  # type: ignore[arg-type]


def test_an_unturned_draw_is_the_plain_crop() -> None:
    case = random_case((12, 13, 14))
    images, classes, _ = cut([at((5.5, 6.0, 7.5))], [case], (4, 5, 6), None, CPU)
    assert np.array_equal(images[0].numpy(), case.image[:, 4:8, 4:9, 5:11])
    assert np.array_equal(classes[0].numpy(), case.classes[4:8, 4:9, 5:11])
    assert (images.dtype, classes.dtype) == (torch.float32, torch.int64)


def test_flips_are_exact() -> None:
    case = random_case((8, 9, 10))
    mirrored = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
    images, classes, _ = cut([at((3.5, 4.0, 4.5), mirrored)], [case], (8, 9, 10), None, CPU)
    assert np.array_equal(images[0].numpy(), case.image[:, ::-1, :, ::-1])
    assert np.array_equal(classes[0].numpy(), case.classes[::-1, :, ::-1])


@pytest.mark.parametrize("planes", [(0, 1), (1, 2), (0, 2)])
@pytest.mark.parametrize("size", [8, 9])
def test_a_quarter_turn_is_rot90(planes: tuple[int, int], size: int) -> None:
    case = random_case((size, size, size))
    matrix = np.eye(3)
    matrix[[planes[0], planes[1]], [planes[0], planes[1]]] = 0.0
    matrix[planes[0], planes[1]], matrix[planes[1], planes[0]] = 1.0, -1.0
    middle = (size - 1) / 2
    images, classes, _ = cut([at((middle,) * 3, matrix.tolist())], [case], (size,) * 3, None, CPU)
    assert np.array_equal(classes[0].numpy(), np.rot90(case.classes, axes=planes))
    assert np.allclose(images[0].numpy(), np.rot90(case.image, axes=(planes[0] + 1, planes[1] + 1)), atol=1e-4)


def test_outside_is_zero_and_background() -> None:
    case = random_case((5, 5, 5))
    for matrix in (EYE, np.asarray(EYE) * 0.999):
        images, classes, _ = cut([at((2.0, 2.0, 2.0), matrix)], [case], (11, 5, 13), None, CPU)
        assert np.count_nonzero(images[0, :, 3:8, :, 4:9].numpy()) == case.image.size
        assert not images[0, :, [0, 1, 9, 10]].any()
        assert not classes[0, :, :, [0, 1, 11, 12]].any()
    far = [at((90.0, 2.0, 2.0), matrix) for matrix in (EYE, np.asarray(EYE) * 0.5)]
    images, classes, _ = cut(far, [case], (4, 4, 4), None, CPU)
    assert not images.any()
    assert not classes.any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from([None, 0, 1, 2]))
def test_image_and_classes_stay_aligned(step: int, plane: int | None) -> None:
    """The image tells its own position, so the class must be the one of the voxel nearest to it."""
    case = positions_case((17, 15, 13))
    patch = [9, 8, 7]
    if plane is not None:
        patch[plane] = 1
    draws = draw_batch(0, step, [shape_of(case)], patch, 3, PatchSettings(tumour_share=0.4), TURNED)
    images, classes, _ = cut(draws, [case], patch, plane, CPU)
    assert images.shape[2:] == classes.shape[1:] == tuple(n for axis, n in enumerate(patch) if axis != plane)
    for image, found, drawn in zip(images.numpy(), classes.numpy(), draws, strict=True):
        inside = image[3] > 0.9999
        places = image[:3, inside]
        nearest = np.rint(places).astype(int)
        sure = (np.abs(places - nearest) < 0.49).all(0)
        assert np.array_equal(found[inside][sure], case.classes[tuple(nearest)][sure])
        if plane is not None:
            assert np.allclose(places[plane], drawn.centre[plane], atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100_000))
def test_interpolation_is_right_at_every_voxel(step: int) -> None:
    case = positions_case((20, 18, 16))
    drawn = draw_batch(0, step, [shape_of(case)], (7, 6, 5), 1, PatchSettings(), TURNED)[0]
    image = cut([drawn], [case], (7, 6, 5), None, CPU).images[0].numpy()
    offsets = np.indices((7, 6, 5)).reshape(3, -1) - np.array([[3.0], [2.5], [2.0]])
    expected = (np.asarray(drawn.matrix) @ offsets + np.asarray(drawn.centre)[:, None]).reshape(3, 7, 6, 5)
    inside = image[3] > 0.9999
    assert np.allclose(image[:3, inside], expected[:, inside], atol=1e-3)
    limits = np.array(case.classes.shape)[:, None, None, None] - 1
    assert np.array_equal(inside, ((expected >= -1e-4) & (expected <= limits + 1e-4)).all(0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from([None, 0, 1, 2]))
def test_a_labelled_patch_holds_the_class_of_its_voxel(step: int, plane: int | None) -> None:
    case = random_case((14, 13, 12))
    patch = [6, 7, 8]
    if plane is not None:
        patch[plane] = 1
    draws = draw_batch(9, step, [shape_of(case)], patch, 2, PatchSettings(tumour_share=1.0), TURNED)
    for drawn, classes in zip(draws, cut(draws, [case], patch, plane, CPU).classes, strict=True):
        assert drawn.seed_voxel is not None
        assert case.classes[drawn.seed_voxel] in classes


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_a_slice_is_the_slice(plane: int) -> None:
    case = random_case((6, 7, 8))
    patch = [6, 7, 8]
    patch[plane] = 1
    centre = [(n - 1) / 2 for n in case.classes.shape]
    centre[plane] = 3.0
    nudged = np.diag([1.0 if axis == plane else 1.0 - 1e-7 for axis in range(3)])
    for matrix in (EYE, nudged):
        images, classes, _ = cut([at((centre[0], centre[1], centre[2]), matrix)], [case], patch, plane, CPU)
        assert np.allclose(images[0].numpy(), case.image.take(3, plane + 1), atol=1e-4)
        assert np.array_equal(classes[0].numpy(), case.classes.take(3, plane))


def test_prepared_files_are_read_and_not_changed(tmp_path: Path) -> None:
    write_prepared(tmp_path, random_case((10, 11, 12)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    case = read_prepared(tmp_path)
    draws = draw_batch(0, 1, [shape_of(case)], (6, 6, 6), 8, PatchSettings(), TURNED)
    batch = cut(draws, [case], (6, 6, 6), None, CPU)
    batch.images.fill_(7.0)
    batch.classes.fill_(7)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
