"""NRRD files are read as they are meant, or refused for a true reason."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.files.reading import Reading
from medseg.files.scans import parts_of, read_heading, read_image, read_mask, scan_image, scan_mask
from medseg.values.error import Refusal
from tests.files.foreign.text_headers import AFFINE, SIZES, STORED, nrrd

LIST_LAST = {"kinds": "domain domain domain list", "space_directions": "(2,0,0) (0,2,0) (0,0,3) none"}
LIST_FIRST = {"kinds": "list domain domain domain", "space_directions": "none (2,0,0) (0,2,0) (0,0,3)"}
LIST_SECOND = {"kinds": "domain vector domain domain", "space_directions": "(2,0,0) none (0,2,0) (0,0,3)"}


def itk_affine(path: Path) -> np.ndarray[Any, Any]:
    """Where SimpleITK, which reads headers by itself, says the grid lies; in RAS."""
    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("space", ["left-posterior-superior", "LPS", "right-anterior-superior", "RAS", "LAS"])
def test_voxels_and_affine_are_those_stored(tmp_path: Path, packed: bool, space: str) -> None:
    path = nrrd(tmp_path / "a.nrrd", packed=packed, space=space)
    signs = {"l": (-1, -1), "r": (1, 1)}[space[0].lower()]
    if space == "LAS":
        signs = (-1, 1)
    expected = np.diag([-signs[0], -signs[1], 1, 1]) @ AFFINE
    found = read_image(path)
    np.testing.assert_array_equal(found.voxels[0], STORED.astype(np.float32))
    np.testing.assert_allclose(found.affine, expected, atol=1e-12)
    np.testing.assert_allclose(found.affine, itk_affine(path), atol=1e-9)
    heading = read_heading(path)
    assert (heading.grid, heading.volumes) == (SIZES, 1)
    np.testing.assert_array_equal(heading.affine, found.affine)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_type_order_and_shape(tmp_path: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]))
    order = data.draw(st.sampled_from("<>"))
    shape = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    voxels = np.random.default_rng(5).integers(0, 120, shape).astype(np.dtype(order + kind))
    names = {"f4": "float", "f8": "double"}
    path = nrrd(
        tmp_path / "a.nrrd",
        voxels,
        packed=data.draw(st.booleans()),
        type=names.get(kind, voxels.dtype.name),
        endian={"<": "little", ">": "big"}[order],
    )
    np.testing.assert_array_equal(read_image(path).voxels[0], voxels.astype(np.float32))
    np.testing.assert_array_equal(read_mask(path).voxels[0], voxels.astype(np.uint8))


LIST_THIRD = {"kinds": "space space list space", "space_directions": "(2,0,0) (0,2,0) none (0,0,3)"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("count", [2, 3])  # SimpleITK reads two, three are taken one by one
@pytest.mark.parametrize(("fields", "axis"), [(LIST_FIRST, 0), (LIST_SECOND, 1), (LIST_THIRD, 2), (LIST_LAST, 3)])
def test_volumes_of_a_list_wherever_its_axis_stands(
    tmp_path: Path, fields: dict[str, str], axis: int, count: int, packed: bool
) -> None:
    volumes = np.stack([STORED, STORED + 1, STORED * 2][:count], axis)
    path = nrrd(tmp_path / "a.nrrd", volumes, packed, **fields)
    heading = read_heading(path)
    assert (heading.grid, heading.volumes) == (SIZES, count)
    for component in range(count):
        found = read_image(path, component)
        np.testing.assert_array_equal(found.voxels[0], np.take(volumes, component, axis).astype(np.float32))
        np.testing.assert_allclose(found.spacing_mm, (2, 2, 3))
    with pytest.raises(Refusal, match=rf"has a volume number {count}, got {count} volumes; name another one"):
        read_image(path, count)


def test_a_mask_of_several_volumes_is_refused_or_is_its_first(tmp_path: Path) -> None:
    labels = np.stack([STORED > 0, STORED > 500], -1).astype(np.uint8)
    path = nrrd(tmp_path / "a.nrrd", labels, **LIST_LAST)
    with pytest.raises(Refusal, match="a mask is one volume, got 2 volumes") as refused:
        read_mask(path)
    assert refused.value.override == "data.repair=[first_volume]"
    scan = scan_mask(path, Reading(repair=("first_volume", "round_mask")))
    np.testing.assert_array_equal(scan.volume.voxels[0], labels[..., 0])
    assert scan.applied == Reading(repair=("first_volume",))
    assert [finding.severity for finding in scan.findings] == ["note"]


def test_voxels_apart_from_their_header(tmp_path: Path) -> None:
    (tmp_path / "voxels.raw").write_bytes(b"skip" + STORED.tobytes(order="F"))
    path = nrrd(tmp_path / "a.nhdr", data_file="voxels.raw", byte_skip="4")
    path.write_bytes(path.read_bytes().split(b"\n\n")[0] + b"\n")
    np.testing.assert_array_equal(read_image(path).voxels[0], STORED)
    assert parts_of(path) == (path, tmp_path / "voxels.raw")
    path.write_bytes(path.read_bytes().replace(b"skip: 4", b"skip: -1"))
    np.testing.assert_array_equal(read_image(path).voxels[0], STORED)
    (tmp_path / "voxels.raw").unlink()
    with pytest.raises(Refusal, match=r"voxels.raw: is a file that exists, got nothing there"):
        read_image(path)
    assert parts_of(path) == (path,)


@pytest.mark.parametrize(
    "named", ["/etc/hostname", "../voxels.raw", "sub/voxels.raw", "LIST", "v%03d.raw 1 3 1", "..", ""]
)
def test_a_data_file_elsewhere_is_refused(tmp_path: Path, named: str) -> None:
    path = nrrd(tmp_path / "a.nhdr", data_file=named)
    with pytest.raises(Refusal, match="the header names one data file in its own folder"):
        read_image(path)


def test_without_orientation_one_must_be_assumed(tmp_path: Path) -> None:
    fields: dict[str, str | None] = {"space": None, "space_directions": None, "space_origin": None}
    path = nrrd(tmp_path / "a.nrrd", spacings="2 1.5 3", **fields)
    with pytest.raises(
        Refusal, match=r"names an orientation .* got no space directions; .*assume_orientation=RAS"
    ) as no:
        read_image(path)
    assert no.value.override == "data.assume_orientation=RAS"
    scan = scan_image(path, 0, Reading(assume_orientation="PIR", repair=("fill_nonfinite",)))
    expected = np.array([[0, 0, 3, 0], [-2, 0, 0, 0], [0, -1.5, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(scan.volume.affine, expected)
    assert scan.applied == Reading(assume_orientation="PIR")
    assert scan.findings[0].severity == "note"
    path = nrrd(tmp_path / "b.nrrd", space="scanner-xyz")
    with pytest.raises(Refusal, match="got space scanner-xyz"):
        read_image(path)
    np.testing.assert_allclose(read_image(path, reading=Reading(assume_orientation="LPS")).spacing_mm, (2, 1.5, 3))


def test_no_origin_is_a_warning(tmp_path: Path) -> None:
    heading = read_heading(nrrd(tmp_path / "a.nrrd", space_origin=None))
    assert [(finding.severity, finding.rule) for finding in heading.findings] == [
        ("warn", "the header names its space origin")
    ]
    np.testing.assert_array_equal(heading.affine[:3, 3], 0)


def test_other_units_than_mm(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd", space_units='"um" "um" "um"')
    with pytest.raises(Refusal, match=r"lengths are in millimetres, got um, um, um; .*lengths_are_mm"):
        read_image(path)
    scan = scan_image(path, 0, Reading(repair=("lengths_are_mm",)))
    assert scan.applied == Reading(repair=("lengths_are_mm",))
    assert not read_heading(nrrd(tmp_path / "b.nrrd", space_units='"mm" "mm" "mm"')).findings


FIELDS: list[tuple[dict[str, str | None], str]] = [
    ({"sizes": "6 5 0"}, r"every dimension has at least one voxel, got \(6, 5, 0\)"),
    ({"sizes": "6 5 -4"}, "every dimension has at least one voxel"),
    ({"sizes": "30 4", "dimension": "2"}, "has three dimensions, or four for several volumes"),
    ({"dimension": "4"}, r"sizes has one number per dimension, got 4, \(6, 5, 4\)"),
    ({"sizes": "6 five 4"}, "sizes holds whole numbers"),
    ({"sizes": "2147483647 2147483647 2147483647"}, "is as long as its header claims"),
    ({"sizes": "6 5 5"}, "is as long as its header claims, got 240 of 300 bytes"),
    ({"type": "block"}, "voxels are single real numbers of up to 64 bits, got block"),
    ({"type": "uint8"}, "is as long as its header claims, got 240 of 120 bytes"),
    ({"type": None}, "the header names its type"),
    ({"endian": None}, "the header names its endian, little or big"),
    ({"encoding": "ascii"}, "voxels are stored raw or gzip packed, got ascii"),
    ({"encoding": "bzip2"}, "voxels are stored raw or gzip packed, got bzip2"),
    ({"encoding": "gzip"}, "the packed stream is whole"),
    ({"kinds": "RGB-color domain domain"}, "voxels are single real numbers of up to 64 bits, got colours"),
    ({"kinds": "domain domain list"}, "three axes are in space, and a fourth one is of kind list or vector"),
    ({"space_directions": "(nan,0,0) (0,2,0) (0,0,3)"}, "the affine is finite"),
    ({"space_directions": "(1,0,0) (2,0,0) (0,0,3)"}, "the affine can be inverted"),
    ({"space_directions": "(0,0,0) (0,2,0) (0,0,3)"}, "the affine can be inverted"),
    ({"space_directions": "(1,0,0) (0,2,0)"}, "space directions holds three vectors"),
    ({"space_directions": "(1,0) (0,2) (0,3)"}, "a vector of space directions has three numbers"),
    ({"space_origin": "(inf,0,0)"}, "the affine is finite"),
    ({"old_max": "4.5"}, "voxels are stored unscaled"),
    ({"line_skip": "2"}, "only bytes of a raw file are skipped"),
    ({"byte_skip": "2"}, "is as long as its header claims, got 238 of 240 bytes"),
]


@pytest.mark.parametrize(("fields", "rule"), FIELDS)
def test_a_wrong_header_is_refused(tmp_path: Path, fields: dict[str, str | None], rule: str) -> None:
    with pytest.raises(Refusal, match=rule):
        read_image(nrrd(tmp_path / "a.nrrd", **fields))


def cut(data: bytes) -> bytes:
    return data[:-40]


def longer(data: bytes) -> bytes:
    return data + b"1"


def flipped(data: bytes) -> bytes:
    return data[:-6] + bytes([data[-6] ^ 1]) + data[-5:]


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (cut, "the packed stream is whole, got an end before its own"),
        (longer, "the packed stream ends with the file, got bytes behind it"),
        (flipped, "the packed stream is whole, got Error -3 while decompressing data: incorrect data check"),
    ],
)
@pytest.mark.parametrize("kind", ["short", "double"])  # SimpleITK reads one, the other is taken plane by plane
def test_a_damaged_stream_is_refused(tmp_path: Path, spoil: Callable[[bytes], bytes], rule: str, kind: str) -> None:
    path = nrrd(tmp_path / "a.nrrd", STORED.astype({"short": "i2", "double": "f8"}[kind]), packed=True, type=kind)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(Refusal, match=rule):
        read_image(path)


def test_a_stream_of_another_length_is_refused(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd", packed=True, sizes="6 5 3")
    with pytest.raises(Refusal, match="is as long as its header claims, got at least 240 of 180 bytes"):
        read_image(path)
    path = nrrd(tmp_path / "a.nrrd", packed=True, sizes="6 5 5")
    with pytest.raises(Refusal, match="is as long as its header claims, got 240 of 300 bytes"):
        read_image(path)


def test_bombs_are_refused_by_their_density(tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd", np.zeros((64, 64, 64), np.int16), packed=True)
    with pytest.raises(Refusal, match=r"no image shrinks more than 500 times, got 524288 bytes from \d+ on disk"):
        read_image(path)
    assert read_mask(path).shape == (64, 64, 64), "a mask of nothing does shrink like that"
    with pytest.raises(Refusal, match="a mask has at most 8 times the voxels of its image, got 262144 for 1000"):
        scan_mask(path, limit_voxels=1000)


def test_values_that_are_no_scan(tmp_path: Path) -> None:
    voxels = STORED.astype(np.float32)
    voxels[0, 0, 0], voxels[1, 1, 1] = np.nan, np.inf
    path = nrrd(tmp_path / "a.nrrd", voxels, type="float")
    with pytest.raises(Refusal, match=r"finite 32-bit numbers, got 2 of 120 NaN .*\[fill_nonfinite\]") as refused:
        read_image(path)
    assert refused.value.override == "data.repair=[fill_nonfinite]"
    scan = scan_image(path, 0, Reading(repair=("fill_nonfinite", "use_qform")))
    assert scan.volume.voxels[0, 0, 0, 0] == scan.volume.voxels[0, 1, 1, 1] == np.nanmin(voxels)
    assert scan.applied == Reading(repair=("fill_nonfinite",))
    with pytest.raises(Refusal, match=r"a mask holds whole numbers from 0 to 255"):
        read_mask(path, Reading(repair=("round_mask",)))
    everywhere = nrrd(tmp_path / "b.nrrd", np.full(SIZES, np.nan, np.float32), type="float")
    with pytest.raises(Refusal, match="got 120 of 120 NaN or infinite; leave out the image"):
        read_image(everywhere, reading=Reading(repair=("fill_nonfinite",)))


def test_interpolated_masks_are_rounded_on_request_only(tmp_path: Path) -> None:
    voxels = np.zeros(SIZES, np.float32)
    voxels[1, 1, 1], voxels[2, 2, 2], voxels[3, 3, 3] = 0.7, 0.4, 2.000001
    path = nrrd(tmp_path / "a.nrrd", voxels, type="float")
    with pytest.raises(Refusal, match=r"whole numbers from 0 to 255, got 0.4, 0.7 \(2 voxels\); .*round_mask"):
        read_mask(path)
    scan = scan_mask(path, Reading(repair=("round_mask",)))
    assert scan.volume.voxels[0, 1, 1, 1] == 1
    assert scan.volume.voxels[0, 2, 2, 2] == 0
    assert scan.volume.voxels[0, 3, 3, 3] == 2
    assert scan.applied == Reading(repair=("round_mask",))
    with pytest.raises(Refusal, match=r"got -\d+"):
        read_mask(nrrd(tmp_path / "b.nrrd"), Reading(repair=("round_mask",)))


def test_gzip_that_lies_apart(tmp_path: Path) -> None:
    (tmp_path / "voxels.raw.gz").write_bytes(gzip.compress(STORED.tobytes(order="F")))
    path = nrrd(tmp_path / "a.nhdr", data_file="voxels.raw.gz", encoding="gzip")
    path.write_bytes(path.read_bytes().split(b"\n\n")[0] + b"\n\n")
    np.testing.assert_array_equal(read_image(path).voxels[0], STORED)


def test_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    path.write_bytes(b"")
    with pytest.raises(Refusal, match="is an NRRD file, got first bytes none"):
        read_heading(path)
    with pytest.raises(Refusal, match="is a file that exists, got nothing there"):
        read_heading(tmp_path / "b.nrrd")
    (tmp_path / "c.nrrd").mkdir()
    with pytest.raises(Refusal, match="the file can be read, got Is a directory"):
        read_heading(tmp_path / "c.nrrd")
