"""Turned, zoomed and bent patches: values and classes are what scipy interpolates, wherever they are read from."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates

from medseg.engines.sampling.cutting.cut import cut
from medseg.engines.sampling.drawing.draw import Draw, Elastic, draw_batch
from medseg.engines.sampling.drawing.shapes import shape_of
from medseg.engines.sampling.settings import (
    AugmentSettings,
    ElasticSettings,
    FlipSettings,
    PatchSettings,
    RotationSettings,
    ScalingSettings,
)
from medseg.files.prepared import PreparedCase, read_prepared, write_prepared
from medseg.values.volume import FloatArray

CPU = torch.device("cpu")
BENT = AugmentSettings(
    flip=FlipSettings(axes=("x", "y", "z")),
    rotation=RotationSettings(probability=0.5, degrees=(60.0, 60.0, 60.0)),
    scaling=ScalingSettings(probability=0.5, low=0.6, high=1.6, per_axis_probability=0.5),
    elastic=ElasticSettings(probability=0.7, spacing=6.0, low=0.1, high=0.4),
)
ZOOMED = AugmentSettings(
    flip=BENT.flip,
    rotation=RotationSettings(probability=0.0),
    scaling=ScalingSettings(probability=1.0, low=0.5, high=2),
)


def random_case(
    shape: tuple[int, int, int], seed: int = 0, spacing_mm: tuple[float, float, float] = (1, 1, 1)
) -> PreparedCase:
    generator = np.random.default_rng(seed)
    image = generator.standard_normal((2, *shape)).astype(np.float32)
    classes = generator.integers(0, 4, shape).astype(np.uint8)
    seeds = {kind: np.argwhere(classes == kind).astype(np.int32) for kind in range(1, 4)}
    return PreparedCase(f"case{seed}", image, classes, seeds, spacing_mm, {})


def displacement(elastic: Elastic, patch: tuple[int, ...]) -> FloatArray:
    """Return the displacement (3, *patch) by scipy's B-splines."""
    field = np.asarray(elastic.shifts).reshape(3, *elastic.points)
    for axis, (count, spacing, length) in enumerate(zip(elastic.points, elastic.spacing, patch, strict=True)):
        if count == 1:
            continue
        knots = (np.arange(-2, count + 2) - (count - 1) / 2) * spacing
        spline = BSpline(knots, np.moveaxis(field, axis + 1, 0), 3, extrapolate=False)
        field = np.moveaxis(spline(np.arange(length) - (length - 1) / 2), 0, axis + 1)
    return field


def positions(draw: Draw, patch: tuple[int, ...]) -> FloatArray:
    """Return where in the case each voxel of a patch is looked up, (3, *patch)."""
    offsets = np.indices(patch) - (np.reshape(patch, (3, 1, 1, 1)) - 1) / 2
    if draw.elastic is not None:
        offsets = offsets + displacement(draw.elastic, patch)
    return np.einsum("ab,bxyz->axyz", draw.matrix, offsets) + np.reshape(draw.centre, (3, 1, 1, 1))


def assert_cut_as_scipy_would(
    draws: tuple[Draw, ...], case: PreparedCase, patch: tuple[int, ...], plane: int | None
) -> None:
    images, classes, _ = cut(draws, [case], patch, plane, CPU)
    for draw, image, kinds in zip(draws, images.numpy(), classes.numpy(), strict=True):
        places = positions(draw, patch)
        if plane is not None:
            places = places.squeeze(plane + 1)
        for channel, found in zip(case.image, image, strict=True):
            expected = map_coordinates(channel.astype(np.float64), places, order=1, mode="grid-constant")
            assert np.allclose(found, expected, atol=2e-4)
        nearest = map_coordinates(case.classes, np.rint(places), order=0, mode="grid-constant")
        sure = (np.abs(places - np.floor(places) - 0.5) > 1e-4).all(0)
        assert np.array_equal(kinds[sure], nearest[sure])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from([None, 0, 1, 2]), st.sampled_from([BENT, ZOOMED]))
def test_patches_are_what_scipy_interpolates(step: int, plane: int | None, augment: AugmentSettings) -> None:
    case = random_case((15, 17, 13))
    patch = [10, 9, 8]
    if plane is not None:
        patch[plane] = 1
    draws = draw_batch(0, step, [shape_of(case)], patch, 3, PatchSettings(tumour_share=0.4), augment)
    assert_cut_as_scipy_would(draws, case, tuple(patch), plane)


def test_a_patch_of_many_slabs_has_no_seams() -> None:
    case, patch = random_case((50, 90, 80)), (31, 120, 100)
    draws = draw_batch(0, 3, [shape_of(case)], patch, 3, PatchSettings(padding=True), BENT)
    assert any(draw.elastic for draw in draws)
    assert_cut_as_scipy_would(draws, case, patch, None)


@pytest.mark.parametrize("augment", [BENT, ZOOMED])
def test_a_patch_far_outside_is_empty(augment: AugmentSettings) -> None:
    case = random_case((6, 6, 6))
    draws = draw_batch(0, 1, [shape_of(case)], (4, 4, 4), 6, PatchSettings(), augment)
    images, classes, _ = cut([replace(draw, centre=(90.0, 2.0, 2.0)) for draw in draws], [case], (4, 4, 4), None, CPU)
    assert not images.any()
    assert not classes.any()


def test_tensors_and_arrays_and_read_only_files_give_the_same_bytes(tmp_path: Path) -> None:
    case = random_case((20, 18, 16))
    write_prepared(tmp_path, case)
    draws = draw_batch(0, 1, [shape_of(case)], (12, 12, 12), 12, PatchSettings(), BENT)
    resident = replace(case, image=torch.from_numpy(case.image), classes=torch.from_numpy(case.classes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = [cut(draws, [one], (12, 12, 12), None, CPU) for one in (case, resident, read_prepared(tmp_path))]
    for batch in batches[1:]:
        assert torch.equal(batch.images, batches[0].images)
        assert torch.equal(batch.classes, batches[0].classes)


def test_no_patches_are_a_batch_of_none() -> None:
    batch = cut([], [random_case((9, 9, 9))], (4, 4, 4), None, CPU)
    assert batch.images.shape == (0, 2, 4, 4, 4)
    assert batch.classes.shape == (0, 4, 4, 4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("plane", [None, 1])
def test_a_device_cuts_what_a_cpu_cuts(plane: int | None) -> None:
    case, device = random_case((20, 18, 16)), torch.device("cuda")
    patch = [12, 12, 12] if plane is None else [12, 1, 12]
    draws = draw_batch(0, 1, [shape_of(case)], patch, 12, PatchSettings(), BENT)
    resident = replace(case, image=torch.from_numpy(case.image).cuda(), classes=torch.from_numpy(case.classes).cuda())
    here = cut(draws, [case], patch, plane, CPU)
    for there in (cut(draws, [one], patch, plane, device) for one in (case, resident)):
        assert torch.allclose(there.images.cpu(), here.images, atol=1e-3)
        assert (there.classes.cpu() == here.classes).float().mean() > 0.999


def test_the_number_of_threads_changes_no_byte() -> None:
    case, patch, before = random_case((50, 90, 80)), (31, 120, 100), torch.get_num_threads()
    draws = draw_batch(0, 3, [shape_of(case)], patch, 4, PatchSettings(padding=True), BENT)
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(cut(draws, [case], patch, None, CPU))
    finally:
        torch.set_num_threads(before)
    for batch in found[1:]:
        assert torch.equal(batch.images, found[0].images)
        assert torch.equal(batch.classes, found[0].classes)
