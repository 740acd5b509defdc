"""MetaImage files are read as they are meant, or refused for a true reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from medseg.files.reading import Reading
from medseg.files.scans import parts_of, read_heading, read_image, read_mask, scan_image
from medseg.values.error import Refusal
from tests.files.foreign.test_foreign_nrrd import itk_affine
from tests.files.foreign.text_headers import AFFINE, SIZES, STORED, meta


@pytest.mark.parametrize("packed", [False, True])
def test_voxels_and_affine_are_those_stored(tmp_path: Path, packed: bool) -> None:
    path = meta(tmp_path / "a.mha", packed=packed)
    found = read_image(path)
    np.testing.assert_array_equal(found.voxels[0], STORED.astype(np.float32))
    np.testing.assert_allclose(found.affine, AFFINE, atol=1e-12)
    np.testing.assert_allclose(found.affine, itk_affine(path), atol=1e-9)
    assert read_heading(path).grid == SIZES


@pytest.mark.parametrize("kind", [SimpleITK.sitkInt8, SimpleITK.sitkUInt32, SimpleITK.sitkInt64, SimpleITK.sitkFloat64])
@pytest.mark.parametrize("ending", ["mha", "mhd"])
def test_what_simpleitk_writes(tmp_path: Path, kind: int, ending: str) -> None:
    image = SimpleITK.Cast(SimpleITK.GetImageFromArray(np.abs(STORED.T) % 100), kind)
    image.SetDirection((0, 0, -1, 1, 0, 0, 0, -1, 0))
    image.SetSpacing((1, 2, 3))
    path = tmp_path / f"a.{ending}"
    SimpleITK.WriteImage(image, str(path), useCompression=ending == "mhd")
    np.testing.assert_array_equal(read_image(path).voxels[0], np.abs(STORED) % 100)
    np.testing.assert_array_equal(read_mask(path).voxels[0], np.abs(STORED) % 100)
    np.testing.assert_allclose(read_image(path).affine, itk_affine(path), atol=1e-9)
    assert len(parts_of(path)) == {"mha": 1, "mhd": 2}[ending]


def test_channels_and_a_fourth_dimension_are_volumes(tmp_path: Path) -> None:
    vector = np.stack([STORED, STORED + 1], 0)
    path = meta(tmp_path / "a.mha", vector, NDims="3", DimSize="6 5 4", ElementNumberOfChannels="2")
    assert read_heading(path).volumes == 2
    np.testing.assert_array_equal(read_image(path, 1).voxels[0], STORED + 1)
    four = np.stack([STORED, STORED + 1], 3)
    square = "1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"
    path = meta(tmp_path / "b.mha", four, TransformMatrix=square, Offset="1 2 3 0", ElementSpacing="1 2 3 1")
    assert read_heading(path).volumes == 2
    np.testing.assert_array_equal(read_image(path, 1).voxels[0], STORED + 1)
    np.testing.assert_array_equal(read_image(path, 0).affine[:3, 3], (-1, -2, 3))
    skewed = square.replace("0 0 0 1", "0.5 0 0 1")
    with pytest.raises(Refusal, match="the fourth dimension is apart from space"):
        read_heading(meta(tmp_path / "c.mha", four, TransformMatrix=skewed, Offset="1 2 3 0", ElementSpacing="1 2 3 1"))


def test_without_a_matrix_an_orientation_must_be_assumed(tmp_path: Path) -> None:
    path = meta(tmp_path / "a.mha", TransformMatrix=None, AnatomicalOrientation="???", ElementSpacing="1 2 3")
    with pytest.raises(Refusal, match=r"names an orientation \(TransformMatrix\), got none, axes \?\?\?") as refused:
        read_image(path)
    assert refused.value.override == "data.assume_orientation=RAS"
    scan = scan_image(path, 0, Reading(assume_orientation="RAS"))
    np.testing.assert_array_equal(scan.volume.affine, np.diag([1, 2, 3, 1]))
    assert scan.applied == Reading(assume_orientation="RAS")
    stated = meta(tmp_path / "b.mha", TransformMatrix=None, AnatomicalOrientation="RAI")
    np.testing.assert_allclose(read_image(stated).affine, itk_affine(stated), atol=1e-9)


FIELDS: list[tuple[dict[str, str | None], str]] = [
    ({"DimSize": "6 5 0"}, r"every dimension has at least one voxel, got \(6, 5, 0\)"),
    ({"DimSize": "120", "NDims": "1"}, "has three dimensions, or four for several volumes"),
    ({"DimSize": "6 5"}, r"DimSize has one number per dimension, got 3, \(6, 5\)"),
    ({"DimSize": "6 5 3"}, "is as long as its header claims, got 240 of 180 bytes"),
    ({"DimSize": "32767 32767 32767"}, "is as long as its header claims"),
    ({"ElementType": "MET_FLOAT_ARRAY"}, "voxels are single real numbers of up to 64 bits, got MET_FLOAT_ARRAY"),
    ({"ElementType": None}, "the header names its ElementType"),
    ({"ElementNumberOfChannels": "0"}, "several volumes are channels or a fourth dimension"),
    ({"BinaryData": "False"}, "voxels are stored as binary numbers, got text"),
    ({"BinaryDataByteOrderMSB": "maybe"}, "BinaryDataByteOrderMSB is True or False, got maybe"),
    ({"TransformMatrix": "1 0 0 0 1 0 0 0 nan"}, "the affine is finite"),
    ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "the affine can be inverted"),
    ({"TransformMatrix": "1 0 0 1"}, "TransformMatrix has 9 numbers"),
    ({"Offset": "1 2"}, "Offset has one number per dimension"),
    ({"ElementSpacing": "1 0 1"}, r"voxel edges are finite and above 0 mm, got \[1.0, 0.0, 1.0\]"),
    ({"ElementSpacing": None}, "voxel edges are finite and above 0 mm"),
    ({"ElementToIntensityFunctionSlope": "2"}, "voxels are stored unscaled"),
    ({"HeaderSize": "-1"}, "only bytes of a raw data file are skipped"),
    ({"CompressedData": "True"}, "the header names its CompressedDataSize, got nothing"),
    ({"CompressedData": "True", "CompressedDataSize": "240"}, "the packed stream is whole"),
    ({"DistanceUnits": "um"}, "lengths are in millimetres, got um"),
    ({"ElementDataFile": "../a.raw"}, "the header names one data file in its own folder"),
    ({"ElementDataFile": "LIST"}, "the header names one data file in its own folder"),
    ({"ElementDataFile": "gone.raw"}, "gone.raw: is a file that exists, got nothing there"),
]


@pytest.mark.parametrize(("fields", "rule"), FIELDS)
def test_a_wrong_header_is_refused(tmp_path: Path, fields: dict[str, str | None], rule: str) -> None:
    with pytest.raises(Refusal, match=rule):
        read_image(meta(tmp_path / "a.mha", **fields))


def test_damage_is_refused(tmp_path: Path) -> None:
    path = meta(tmp_path / "a.mha", packed=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(Refusal, match=r"is as long as its header claims, got \d+ of \d+ packed bytes"):
        read_image(path)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Refusal, match=r"the packed stream is whole, got Error -3 .*incorrect data check"):
        read_image(path)
    path.write_bytes(b"\x00\x01\x02")
    with pytest.raises(Refusal, match="is a MetaImage file of lines KEY = VALUE"):
        read_image(path)


def test_a_raw_file_behind_bytes_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"123456" + STORED.tobytes(order="F"))
    for size in ("6", "-1"):
        path = meta(tmp_path / "a.mhd", HeaderSize=size, ElementDataFile="a.raw")
        np.testing.assert_array_equal(read_image(path).voxels[0], STORED)
