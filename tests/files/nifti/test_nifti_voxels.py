"""Voxels are numbers and masks are labels, or the file is refused, or mended where the user asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseg.files.nifti.scan import scan_image, scan_mask
from medseg.files.reading import AS_IT_IS, Reading
from medseg.values.error import Refusal
from tests.files.nifti.nifti_files import noise, read_image, read_mask, refusal, refused, saved, with_repairs

FINITE = "all voxels are finite 32-bit numbers"
LABELS = "a mask holds whole numbers from 0 to 255"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_counted_and_refused(tmp_path: Path, value: float) -> None:
    voxels = noise()
    voxels[0, 0, :3] = value
    path = saved(tmp_path / "scan.nii.gz", voxels)
    assert "all voxels are finite 32-bit numbers, got 3 of 210 NaN or infinite" in refusal(read_image, path)
    assert refused(path).remedy == "repair or leave out the image, or fill them with data.repair=[fill_nonfinite]"
    assert refused(path).override == "data.repair=[fill_nonfinite]"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(7, 6, 5), (70, 70, 70)])
def test_voxels_that_are_no_numbers_are_filled_on_request(
    tmp_path: Path, ending: str, shape: tuple[int, int, int]
) -> None:
    voxels = noise(shape)
    voxels[-1, 1, 2:5] = np.nan, np.inf, -np.inf
    scan = with_repairs(saved(tmp_path / f"scan{ending}", voxels), "round_mask", "fill_nonfinite")
    expected = voxels.copy()
    expected[-1, 1, 2:5] = voxels[np.isfinite(voxels)].min()
    assert np.array_equal(scan.volume.voxels[0], expected)
    assert scan.applied == Reading(repair=("fill_nonfinite",))
    (finding,) = scan.findings
    assert (finding.severity, finding.rule, finding.override) == ("note", FINITE, "data.repair=[fill_nonfinite]")
    assert finding.value == f"3 of {voxels.size} NaN or infinite"
    assert finding.remedy == f"filled with {expected.min():g}"


def test_an_image_without_a_number_is_refused_whatever_is_asked(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.nii", np.full((3, 4, 5), np.nan, np.float32))
    refusal = refused(path, reading=Reading(repair=("fill_nonfinite",)))
    assert (refusal.value, refusal.remedy) == ("60 of 60 NaN or infinite", "repair or leave out the image")
    assert refusal.override is None


def test_a_sound_image_is_not_mended(tmp_path: Path) -> None:
    scan = with_repairs(saved(tmp_path / "scan.nii", noise()), "fill_nonfinite", "lengths_are_mm", "first_volume")
    assert np.array_equal(scan.volume.voxels[0], noise())
    assert (scan.findings, scan.applied) == ((), AS_IT_IS)


def test_numbers_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    voxels = noise().astype(np.float64)
    voxels[1, 1, 1] = 1e300
    path = saved(tmp_path / "scan.nii", voxels)
    for reading in (AS_IT_IS, Reading(repair=("fill_nonfinite",))):
        refusal = refused(path, reading=reading)
        assert (refusal.rule, refusal.value) == (FINITE, "1 of 210 too large for 32 bits")
        assert refusal.override is None


@pytest.mark.parametrize(("slope", "intercept"), [(3e38, 0.0), (-3e38, 0.0), (1.0, 3.4e38), (1e30, -3e38)])
def test_a_scaling_that_leaves_32_bits_is_refused(tmp_path: Path, slope: float, intercept: float) -> None:
    voxels: np.ndarray[Any, Any] = np.zeros((5, 6, 7), np.int32)
    voxels[0, 0, :2] = 2**31 - 1
    path = saved(tmp_path / "scan.nii", voxels, scl_slope=slope, scl_inter=intercept)
    if slope == 1.0:
        assert read_image(path).voxels.max() == np.float32(3.4e38)
    else:
        assert refused(path).value == "2 of 210 too large for 32 bits"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_masks_of_whole_numbers_are_read(tmp_path: Path, dtype: type) -> None:
    labels = np.random.default_rng(2).integers(0, 256, (5, 6, 7))
    mask = read_mask(saved(tmp_path / "mask.nii.gz", labels.astype(dtype)))
    assert mask.voxels.dtype == np.uint8
    assert np.array_equal(mask.voxels[0], labels)


def test_a_mask_with_a_rounded_slope_is_read(tmp_path: Path) -> None:
    labels = np.random.default_rng(3).integers(0, 2, (5, 6, 7))
    path = saved(tmp_path / "mask.nii", (labels * 255).astype(np.uint8), scl_slope=1 / 255, scl_inter=0.0)
    assert np.array_equal(read_mask(path).voxels[0], labels)


@pytest.mark.parametrize(
    ("dtype", "value", "shown"),
    [(np.float32, 0.5, "0.5"), (np.float32, np.nan, "nan"), (np.int16, -1, "-1"), (np.int16, 256, "256"),
     (np.float64, 255.5, "255.5"), (np.int32, 2**31 - 1, "2.14748e+09")],
)  # fmt: skip
def test_a_mask_of_other_values_is_refused(tmp_path: Path, dtype: type, value: float, shown: str) -> None:
    labels: np.ndarray[Any, Any] = np.zeros((5, 6, 7), dtype)
    labels[2, 2, :2] = value
    message = refusal(read_mask, saved(tmp_path / "mask.nii.gz", labels))
    assert message.startswith(f"a mask holds whole numbers from 0 to 255, got {shown} (2 voxels); ")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_a_mask_between_whole_numbers_is_rounded_on_request(tmp_path: Path, dtype: type) -> None:
    values = np.array([0, 0.4, 0.5, 1.49, 1.5, 254.6, 255.4, -0.4], np.float64).reshape(2, 2, 2)
    fields = {"scl_slope": 0.1, "scl_inter": 0.0} if dtype is np.int16 else {}
    stored = np.rint(values * 10).astype(dtype) if dtype is np.int16 else values.astype(dtype)
    path = saved(tmp_path / "mask.nii.gz", stored, **fields)
    if dtype is np.int16:  # 1.49 is stored as 1.5
        values = np.rint(values * 10) / 10
    refusal = refused(path, mask=True)
    assert refusal.rule == LABELS
    assert refusal.remedy == "write it again without interpolation, or round with data.repair=[round_mask]"
    assert refusal.override == "data.repair=[round_mask]"
    scan = with_repairs(path, "round_mask", "first_volume", mask=True)
    assert np.array_equal(scan.volume.voxels[0], np.floor(values + 0.5 + 1e-9))
    assert scan.applied == Reading(repair=("round_mask",))
    (finding,) = scan.findings
    assert (finding.severity, finding.remedy) == ("note", "rounded")
    assert finding.value.endswith("(7 voxels)")


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (255.5, "255.5"), (-0.6, "-0.6")])
def test_rounding_does_not_hide_what_has_no_label(tmp_path: Path, value: float, shown: str) -> None:
    labels: np.ndarray[Any, Any] = np.zeros((5, 6, 7), np.float32)
    labels[0, 0, 0] = value
    path = saved(tmp_path / "mask.nii.gz", labels)
    for reading in (AS_IT_IS, Reading(repair=("round_mask",))):
        refusal = refused(path, mask=True, reading=reading)
        assert (refusal.rule, refusal.value) == (LABELS, f"{shown} (1 voxels)")
        assert (refusal.remedy, refusal.override) == ("write it again without interpolation", None)


def test_wrong_values_are_counted_over_the_whole_mask(tmp_path: Path) -> None:
    labels = np.zeros((80, 80, 80), np.float32)
    labels[5, :, :] = 0.25
    labels[:, :, 79] = 300
    labels[0, 0, 1] = -2
    refusal = refused(saved(tmp_path / "mask.nii.gz", labels), mask=True)
    assert refusal.value == f"-2, 0.25, 300 ({80 * 79 + 80 * 80 + 1} voxels)"


def test_the_first_of_several_volumes_is_taken_as_mask_on_request(tmp_path: Path) -> None:
    labels = np.random.default_rng(5).integers(0, 4, (5, 6, 7, 3)).astype(np.uint8)
    path = saved(tmp_path / "mask.nii.gz", labels)
    refusal = refused(path, mask=True)
    assert (refusal.rule, refusal.value) == ("a mask is one volume", "3 volumes")
    assert refusal.remedy == "join them into one, or take the first with data.repair=[first_volume]"
    assert refusal.override == "data.repair=[first_volume]"
    scan = with_repairs(path, "first_volume", "round_mask", mask=True)
    assert np.array_equal(scan.volume.voxels[0], labels[..., 0])
    assert scan.applied == Reading(repair=("first_volume",))
    assert [(finding.severity, finding.remedy) for finding in scan.findings] == [("note", "the first was taken")]


def test_several_repairs_are_taken_down_together(tmp_path: Path) -> None:
    labels = np.full((5, 6, 7, 2), 0.75, np.float32)
    path = saved(tmp_path / "mask.nii.gz", labels, xyzt_units=3)
    every = ("first_volume", "round_mask", "lengths_are_mm")
    scan = with_repairs(path, *every, mask=True)
    assert scan.volume.voxels.all()
    assert set(scan.applied.repair) == set(every)
    assert len(scan.findings) == 3
    for missing in every:
        with pytest.raises(Refusal):
            scan_mask(path, Reading(repair=tuple(one for one in every if one != missing)))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i2", ">u2", "<u4", "<i8", "<f8", "i1"])
def test_large_volumes_are_read_as_small_ones(tmp_path: Path, dtype: str) -> None:
    voxels = np.random.default_rng(6).integers(0, 100, (90, 80, 70)).astype(dtype)
    path = saved(tmp_path / "scan.nii", voxels)
    assert np.array_equal(scan_image(path).volume.voxels[0], voxels)
    assert np.array_equal(read_mask(path).voxels[0], voxels)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i2", "u1"])
@pytest.mark.parametrize("fields", [{}, {"scl_slope": 0.5, "scl_inter": 2.0}])
@pytest.mark.parametrize("component", [0, 1])
def test_voxels_may_lie_in_memory_as_in_the_file(tmp_path: Path, dtype: str, fields: Any, component: int) -> None:
    path = saved(tmp_path / "scan.nii.gz", noise((70, 50, 60, 2)).astype(dtype), **fields)
    usual, stored = scan_image(path, component).volume, scan_image(path, component, as_stored=True).volume
    assert usual.voxels[0].flags.c_contiguous
    assert stored.voxels[0].flags.f_contiguous
    assert stored.voxels.dtype == np.float32
    np.testing.assert_array_equal(stored.voxels, usual.voxels)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_labels_may_lie_in_memory_as_in_the_file(tmp_path: Path, dtype: type) -> None:
    path = saved(tmp_path / "mask.nii.gz", np.random.default_rng(0).integers(0, 9, (70, 50, 60)).astype(dtype))
    usual, stored = scan_mask(path).volume.voxels, scan_mask(path, as_stored=True).volume.voxels
    assert (usual[0].flags.c_contiguous, stored[0].flags.f_contiguous) == (True, True)
    np.testing.assert_array_equal(stored, usual)


def test_both_orders_are_filled_and_refused_alike(tmp_path: Path) -> None:
    voxels = noise((70, 50, 60))
    voxels[3, 4, 5:9] = np.nan
    path, fill = saved(tmp_path / "scan.nii.gz", voxels), Reading(repair=("fill_nonfinite",))
    usual, stored = scan_image(path, 0, fill), scan_image(path, 0, fill, as_stored=True)
    np.testing.assert_array_equal(stored.volume.voxels, usual.volume.voxels)
    assert (stored.findings, stored.applied) == (usual.findings, usual.applied)
    with pytest.raises(Refusal, match=r"4 of 210000 NaN or infinite"):
        scan_image(path, as_stored=True)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Refusal, match="the gzip stream is whole"):
        scan_image(path, as_stored=True)
