"""DICOM series are read exactly, in the order of their positions, or refused for a true reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from medseg.files.foreign.scan import is_dicom_folder
from medseg.files.reading import Reading
from medseg.files.scans import digest_of_scan, parts_of, read_heading, read_image, read_mask, scan_image
from medseg.values.error import Refusal
from tests.files.foreign.dicom_making import (
    AFFINE,
    BIG,
    COLUMN,
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG_LS,
    MR,
    NORMAL,
    PET,
    RLE,
    ROW,
    START,
    STEP_MM,
    STORED,
    Change,
    enhanced,
    having,
    make_series,
    one_slice,
    only,
    position,
    pydicom,
    save,
)

SLICES = STORED.shape[2]


def pydicom_voxels(folder: Path) -> np.ndarray[Any, Any]:
    """What pydicom makes of a series: slices by their position, slope and intercept applied in double precision."""
    slices = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    slices.sort(key=lambda one: float(np.dot(np.array(one.ImagePositionPatient, float), NORMAL)))
    scaled = [
        one.pixel_array.T * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0)) for one in slices
    ]
    return np.stack(scaled, -1)


def slopes(data: Any, number: int) -> None:
    data.RescaleSlope, data.RescaleIntercept = str(0.37 + 0.11 * number)[:16], "-3.25"


def hounsfield(data: Any, number: int) -> None:
    data.RescaleSlope, data.RescaleIntercept = "1", "-1024"


def twelve_bits(data: Any, number: int) -> None:
    data.BitsStored, data.HighBit = 12, 11


def swapped(data: Any, number: int) -> None:
    slopes(data, number)
    data.PixelData = np.frombuffer(data.PixelData, "<i2").astype(">i2").tobytes()


def white_is_low(data: Any, number: int) -> None:
    hounsfield(data, number)
    data.PhotometricInterpretation = "MONOCHROME1"


KINDS: list[tuple[str, str, Change | None, str]] = [
    ("int16", CT, hounsfield, EXPLICIT),
    ("int16", CT, None, EXPLICIT),
    ("int16", CT, slopes, IMPLICIT),
    ("int16", CT, swapped, BIG),
    ("int16", CT, hounsfield, JPEG_LS),
    ("int16", MR, slopes, EXPLICIT),
    ("int16", MR, None, EXPLICIT),
    ("int16", PET, slopes, EXPLICIT),
    ("int16", CT, twelve_bits, EXPLICIT),
    ("int16", CT, white_is_low, EXPLICIT),
    ("uint16", PET, slopes, EXPLICIT),
    ("uint16", CT, twelve_bits, EXPLICIT),
    ("uint8", MR, None, EXPLICIT),
    ("int8", MR, slopes, EXPLICIT),
    ("uint32", MR, None, EXPLICIT),
]


@pytest.mark.parametrize(("kind", "sop", "change", "syntax"), KINDS)
def test_voxels_and_affine_are_exact(tmp_path: Path, kind: str, sop: str, change: Change | None, syntax: str) -> None:
    stored = STORED if kind == "int16" else np.abs(STORED) % 128
    order = np.random.default_rng(1).permutation(SLICES).tolist()
    folder = make_series(tmp_path / "a", stored.astype(kind), sop, change, syntax, order)
    found = read_image(folder)
    np.testing.assert_array_equal(found.voxels[0], pydicom_voxels(folder).astype(np.float32))
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-5)
    assert read_heading(folder).grid == found.shape
    np.testing.assert_array_equal(read_heading(folder).affine, found.affine)


def test_run_lengths(tmp_path: Path) -> None:
    stored = np.random.default_rng(1).integers(-100, 100, (32, 16, 3)).astype(np.int16)
    folder = make_series(tmp_path / "a", stored, change=slopes, syntax=RLE)
    np.testing.assert_array_equal(read_image(folder).voxels[0], pydicom_voxels(folder).astype(np.float32))


def test_simpleitk_agrees_on_the_grid(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "a", change=hounsfield, order=[3, 1, 5, 0, 2, 4])
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = SimpleITK.ReadImage(names)
    found = read_image(folder)
    np.testing.assert_array_equal(found.voxels[0], SimpleITK.GetArrayFromImage(image).T)
    for index in [(0, 0, 0), (8, 7, 5), (3, 0, 2)]:
        world = np.array([-1, -1, 1]) * image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((found.affine @ [*index, 1])[:3], world, atol=1e-4)


def test_names_without_endings_and_other_files(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "a", change=hounsfield)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"IM{number:04d}")
    (folder / "README.txt").write_text("what this is")
    (folder / ".hidden").write_text("not looked at")
    scan = scan_image(folder)
    np.testing.assert_array_equal(scan.volume.voxels[0], STORED.astype(np.float32) - 1024)
    assert [(one.severity, one.value) for one in scan.findings] == [("note", "1 that are none, like README.txt")]
    assert [path.name for path in parts_of(folder)] == [*(f"IM{number:04d}" for number in range(6)), "README.txt"]
    assert is_dicom_folder(folder)
    assert not is_dicom_folder(tmp_path)
    assert not is_dicom_folder(tmp_path / "gone")
    before = digest_of_scan(folder)
    (folder / "IM0003").write_bytes((folder / "IM0003").read_bytes()[:-2] + b"\0\0")
    assert digest_of_scan(folder) != before


def test_frames_of_one_file_in_any_order(tmp_path: Path) -> None:
    order = [4, 0, 2, 5, 1, 3]
    path = enhanced(tmp_path / "a.dcm", order=order)
    scaled = STORED * (1.5 + np.arange(SLICES)) - 3
    found = read_image(path)
    np.testing.assert_array_equal(found.voxels[0], scaled.astype(np.float32))
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-5)
    path = path.rename(tmp_path / "without ending")
    np.testing.assert_array_equal(read_image(path).voxels[0], scaled.astype(np.float32))
    stored = pydicom.dcmread(path).pixel_array
    np.testing.assert_array_equal(np.stack([stored[order.index(z)].T for z in range(SLICES)], -1), STORED)


def test_a_series_of_labels_is_a_mask(tmp_path: Path) -> None:
    labels = (np.abs(STORED) % 3).astype(np.uint8)
    np.testing.assert_array_equal(read_mask(make_series(tmp_path / "a", labels)).voxels[0], labels)
    with pytest.raises(Refusal, match="a mask holds whole numbers from 0 to 255"):
        read_mask(make_series(tmp_path / "b"))


def at(number: float) -> list[float]:
    return position(number)


def tilted(data: Any, number: int) -> None:
    data.ImagePositionPatient = [float(v) for v in START + number * (STEP_MM * NORMAL + 0.3 * COLUMN)]


def uneven(data: Any, number: int) -> None:
    data.ImagePositionPatient = at(number + 0.1 * (number == 3))


def drifting(data: Any, number: int) -> None:
    data.ImagePositionPatient = at(number + 0.02 * number**2)


def one_beside(data: Any, number: int) -> None:
    if number == 2:
        data.ImagePositionPatient = [float(v) for v in START + 2 * STEP_MM * NORMAL + 0.5 * ROW]


CHANGES: list[tuple[Change, str]] = [
    (uneven, r"slices are evenly spaced \(to 1 % of a step\), got steps of 2.25 to 2.75 mm, the oddest behind a00"),
    (drifting, r"slices are evenly spaced \(to 1 % of a step\)"),
    (one_beside, r"slices are evenly spaced \(to 1 % of a step\)"),
    (tilted, r"slices lie straight above each other, got a tilt of 6.84 degrees \(gantry\)"),
    (only(3, ImagePositionPatient=at(2)), r"every slice has a place of its own, got 2 at .* a002.dcm and a003.dcm"),
    (only(3, ImagePositionPatient=None), "every slice names its position, got nothing in a003.dcm"),
    (only(3, ImageOrientationPatient=[1, 0, 0, 0, 1, 0]), "all slices have the same orientation"),
    (only(3, PixelSpacing=[0.8, 0.8]), "all slices have the same pixel spacing"),
    (having(PixelSpacing=None), "every slice names its pixel spacing, got nothing in a000.dcm"),
    (having(PixelSpacing=[0, 0.7]), r"voxel edges are finite and above 0 mm"),
    (having(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "row and column directions are orthogonal unit vectors"),
    (having(ImageOrientationPatient=[1, 0, 0, 0, 1]), "element 0020,0037 holds 6 numbers"),
    (having(RescaleSlope="0", RescaleIntercept="0"), "slope and intercept are finite, the slope not 0, got 0.0, 0.0"),
    (only(3, RescaleSlope="2", RescaleIntercept="0"), "all slices name a rescale slope and intercept, or none does"),
    (having(PhotometricInterpretation="RGB"), r"voxels are single real numbers \(MONOCHROME\), got 1 samples, RGB"),
    (having(SamplesPerPixel=3), "voxels are single real numbers"),
    (having(ModalityLUTSequence=[pydicom.Dataset()]), "voxels are scaled by slope and intercept, got a lookup table"),
    (having(Rows=7), "is as long as its header claims, got 144 of 126 bytes of pixels"),
    (having(Rows=60000, Columns=60000), "is as long as its header claims"),
    (having(Rows=0), "has rows and columns of 8, 16 or 32 bits"),
    (having(BitsAllocated=12), "has rows and columns of 8, 16 or 32 bits, got 8 rows, 9 columns of 12 bits"),
    (having(NumberOfFrames=2), "every frame names its position, got 2 frames without positions"),
    (only(3, SeriesInstanceUID="1.2.3"), r"a folder holds one series, got 2: 5 files like a000.dcm, 1 files like a003"),
]


@pytest.mark.parametrize(("change", "rule"), CHANGES)
def test_what_is_no_volume_is_refused(tmp_path: Path, change: Change, rule: str) -> None:
    folder = make_series(tmp_path / "a", change=change)
    with pytest.raises(Refusal, match=rule) as refused:
        read_heading(folder)
    assert "ecret" not in str(refused.value), "whose scan it is stays out of every message"
    with pytest.raises(Refusal, match=rule):
        read_image(folder)


def test_rounded_positions_are_even(tmp_path: Path) -> None:
    thin = 0.6

    def change(data: Any, number: int) -> None:
        data.ImagePositionPatient = [round(float(value), 2) for value in START + number * thin * NORMAL]

    found = read_image(make_series(tmp_path / "a", change=change))
    assert found.spacing_mm[2] == pytest.approx(thin, abs=0.005)


@pytest.mark.parametrize(
    ("gone", "text"), [((2,), "1 missing: 1 between a001.dcm and a003.dcm"), ((2, 3), "2 missing")]
)
def test_missing_slices_are_named(tmp_path: Path, gone: tuple[int, ...], text: str) -> None:
    folder = make_series(tmp_path / "a")
    for number in gone:
        (folder / f"a{number:03d}.dcm").unlink()
    with pytest.raises(Refusal, match=f"no slice is missing, got {text}"):
        read_image(folder)


def test_a_missing_number_at_no_gap_is_noted(tmp_path: Path) -> None:
    folder = make_series(
        tmp_path / "a", change=lambda data, number: having(InstanceNumber=2 * number + 1)(data, number)
    )
    assert [one.rule for one in read_heading(folder).findings] == ["instance numbers follow each other"]


def test_units_of_a_pet_are_noted(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "a", sop=PET, change=having(Units="BQML"))
    assert [(one.severity, one.value) for one in scan_image(folder).findings] == [("note", "BQML")]


def test_a_single_slice_is_no_volume(tmp_path: Path) -> None:
    path = save(one_slice(0, STORED[:, :, 0]), tmp_path / "a" / "one.dcm")
    for place in (path, path.parent):
        with pytest.raises(Refusal, match="a volume has at least two slices, got one; name the folder"):
            read_image(place)


@pytest.mark.parametrize("keep", [0, 100, 140, 600, -1, -20])
def test_a_cut_slice_is_refused(tmp_path: Path, keep: int) -> None:
    folder = make_series(tmp_path / "a")
    last = folder / "a005.dcm"
    last.write_bytes(last.read_bytes()[:keep])
    with pytest.raises(Refusal, match=r"a005.dcm: is (a DICOM file|as long as its elements claim)"):
        read_image(folder)


def test_a_cut_slice_of_another_ending_is_refused(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "a")
    for path in folder.iterdir():
        path.rename(path.with_suffix(".CT"))
    assert read_image(folder).shape == STORED.shape
    (folder / "a005.CT").write_bytes(b"")
    with pytest.raises(Refusal, match=r"a005.CT: is a DICOM file \(DICM at byte 128\)"):
        read_image(folder)


def test_cut_compressed_pixels_are_refused(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "a", syntax=JPEG_LS)
    last = folder / "a005.dcm"
    last.write_bytes(last.read_bytes()[:-30])
    with pytest.raises(Refusal, match="is as long as its elements claim"):
        read_image(folder)


def test_deflated_files_are_refused(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "a")
    save(one_slice(3, STORED[:, :, 3]), folder / "a003.dcm", "1.2.840.10008.1.2.1.99")
    with pytest.raises(Refusal, match="names a transfer syntax that is not deflated, got deflated"):
        read_image(folder)


def test_other_sizes_and_other_volumes(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "a")
    save(one_slice(3, STORED[:5, :, 3]), folder / "a003.dcm")
    with pytest.raises(Refusal, match=r"all slices have the same size, got 9 x 8 in a000.dcm, 5 x 8 in a003.dcm"):
        read_image(folder)
    with pytest.raises(Refusal, match="has a volume number 1, got 1 volumes"):
        read_image(make_series(tmp_path / "b"), 1)
    (tmp_path / "c").mkdir()
    with pytest.raises(Refusal, match="is a NIfTI, NRRD, MetaImage or DICOM scan, got a folder without DICOM files"):
        read_image(tmp_path / "c")


def test_the_reading_is_not_needed(tmp_path: Path) -> None:
    scan = scan_image(make_series(tmp_path / "a"), 0, Reading(assume_orientation="RAS", repair=("round_mask",)))
    assert scan.applied == Reading()
    assert not scan.findings


def test_black_slices_may_shrink_but_not_a_whole_series(tmp_path: Path) -> None:
    stored = np.zeros((1024, 1024, 3), np.int16)
    with pytest.raises(Refusal, match="no image shrinks more than 500 times, got 6291456 bytes from"):
        read_image(make_series(tmp_path / "a", stored, syntax=JPEG_LS))
    stored[:, :, 1] = np.random.default_rng(1).integers(0, 99, (1024, 1024))
    found = read_image(make_series(tmp_path / "b", stored, syntax=JPEG_LS))
    np.testing.assert_array_equal(found.voxels[0], stored)
