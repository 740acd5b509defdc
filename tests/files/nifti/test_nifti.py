"""NIfTI files come in whole or not at all: formats, headers, pairs. Positions, streams and voxels have tests apart."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.files.nifti.scan import parts_of, read_heading, scan_image
from medseg.values.error import Refusal
from medseg.values.volume import Volume
from tests.files.nifti.nifti_files import AFFINE, noise, read_image, read_mask, refusal, refused, respoiled, saved


def read_or_refused(path: Path) -> Volume | Refusal:
    """Return the image, or the refusal; everything else that is raised is a fault."""
    try:
        return read_image(path)
    except Refusal as refused:
        return refused


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".img", ".hdr"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "<u2", "<i4", ">f4", "<f4", "<f8"])
def test_an_image_is_read_as_nibabel_reads_it(tmp_path: Path, ending: str, dtype: str) -> None:
    voxels = noise().astype(dtype)
    path = tmp_path / f"scan{ending}"
    kind = nibabel.Nifti1Pair if ending in (".img", ".hdr") else nibabel.Nifti1Image
    header = kind.header_class(endianness=np.dtype(dtype).byteorder.replace("|", "=").replace("=", "<"))
    header.set_data_dtype(dtype)
    kind(voxels, AFFINE, header).to_filename(path)
    volume = read_image(path)
    expected = nibabel.load(path)
    assert volume.voxels.dtype == np.float32
    assert volume.voxels.flags.c_contiguous
    assert np.array_equal(volume.voxels[0], expected.get_fdata().astype(np.float32))
    assert np.allclose(volume.affine, expected.affine)


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, -1000.0), (-2.0, 3.0), (1.0, 7.0)])
def test_slope_and_intercept_are_applied(tmp_path: Path, slope: float, intercept: float) -> None:
    path = saved(tmp_path / "scan.nii.gz", noise().astype(np.int16), scl_slope=slope, scl_inter=intercept)
    assert np.allclose(read_image(path).voxels[0], noise().astype(np.int16) * slope + intercept)
    assert np.allclose(read_image(path).voxels[0], nibabel.load(path).get_fdata())


@pytest.mark.parametrize("slope", [0.0, np.nan, np.inf])
def test_a_slope_that_is_no_number_means_none(tmp_path: Path, slope: float) -> None:
    path = saved(tmp_path / "scan.nii", noise(), scl_slope=slope, scl_inter=5.0)
    assert np.array_equal(read_image(path).voxels[0], noise())


def test_nifti_2_and_gzip_without_its_ending_are_read(tmp_path: Path) -> None:
    nibabel.Nifti2Image(noise(), AFFINE).to_filename(tmp_path / "two.nii.gz")
    (tmp_path / "packed.nii").write_bytes((tmp_path / "two.nii.gz").read_bytes())
    assert np.array_equal(read_image(tmp_path / "two.nii.gz").voxels[0], noise())
    assert np.array_equal(read_image(tmp_path / "packed.nii").voxels[0], noise())


def test_a_component_picks_one_volume_of_a_4d_file(tmp_path: Path) -> None:
    voxels = noise((4, 5, 6, 3))
    path = saved(tmp_path / "four.nii.gz", voxels)
    for component in range(3):
        assert np.array_equal(read_image(path, component).voxels[0], voxels[..., component])
    assert "has a volume number 3, got 3 volumes" in refusal(lambda file: read_image(file, 3), path)
    assert "a mask is one volume, got 3 volumes" in refusal(read_mask, path)


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (4, 5, 6, 1, 1), (1, 1, 1), (4, 1, 6)])
def test_trailing_single_axes_are_no_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = saved(tmp_path / "scan.nii", noise(shape))
    assert read_image(path).shape == shape[:3]
    assert np.array_equal(read_image(path).voxels[0], noise(shape).reshape(shape[:3]))


HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"dim": [3, 0, 6, 5, 1, 1, 1, 1]}, "every dimension has at least one voxel"),
    ({"dim": [3, 7, -6, 5, 1, 1, 1, 1]}, "every dimension has at least one voxel"),
    ({"dim": [0, 7, 6, 5, 1, 1, 1, 1]}, "every dimension has at least one voxel"),
    ({"dim": [9, 7, 6, 5, 1, 1, 1, 1]}, "every dimension has at least one voxel"),
    ({"dim": [5, 7, 3, 1, 2, 5, 1, 1]}, "has three dimensions, or four for several volumes, got (7, 3, 1, 2, 5)"),
    ({"dim": [6, 7, 6, 1, 1, 1, 5, 1]}, "has three dimensions, or four for several volumes, got (7, 6, 1, 1, 1, 5)"),
    ({"dim": [2, 42, 5, 1, 1, 1, 1, 1]}, "has three dimensions, or four for several volumes, got (42, 5)"),
    ({"datatype": 9999}, "has a known data type, got code 9999"),
    ({"datatype": 32}, "voxels are single real numbers of up to 64 bits, got complex64"),
    ({"datatype": 128}, "voxels are single real numbers of up to 64 bits, got colours"),
    ({"datatype": 2304}, "voxels are single real numbers of up to 64 bits, got colours"),
    ({"datatype": 1536}, "voxels are single real numbers of up to 64 bits, got code 1536"),
    ({"datatype": 1}, "voxels are single real numbers of up to 64 bits, got code 1"),
    ({"datatype": 0}, "voxels are single real numbers of up to 64 bits, got code 0"),
    ({"vox_offset": 0}, "voxels begin at byte 352 or later (vox_offset), got 0.0"),
    ({"vox_offset": np.inf}, "voxels begin at byte 352 or later (vox_offset), got inf"),
    ({"vox_offset": 352.5}, "voxels begin at byte 352 or later (vox_offset), got 352.5"),
    ({"vox_offset": np.nan}, "voxels begin at byte 352 or later (vox_offset), got nan"),
    ({"vox_offset": 1e6}, "is as long as its header claims"),
    ({"scl_slope": 2.0, "scl_inter": np.nan}, "the intercept (scl_inter) is finite, got nan"),
    ({"magic": b"abc"}, "is a NIfTI-1 or NIfTI-2 file, got magic b'abc'; fetch or convert the file again"),
    ({"magic": b"n+2"}, "is a NIfTI-1 or NIfTI-2 file, got magic b'n+2'"),
    ({"magic": b""}, "is a NIfTI-1 or NIfTI-2 file, got ANALYZE 7.5 (no magic); convert it with a program that knows"),
    ({"magic": b"ni1"}, "the magic is n+1, as the name says, got ni1; name it .hdr and put its .img beside it"),
    ({"sizeof_hdr": 1543}, "is a NIfTI-1 or NIfTI-2 file"),
]


@pytest.mark.parametrize(("fields", "rule"), HEADERS)
def test_a_damaged_header_is_refused(tmp_path: Path, fields: dict[str, Any], rule: str) -> None:
    for ending in (".nii", ".nii.gz"):
        assert rule in refusal(read_image, saved(tmp_path / f"scan{ending}", noise(), **fields))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "is a file that exists, got nothing there" in refusal(read_image, tmp_path / "none.nii.gz")
    assert refusal(read_image, tmp_path / "a\\none.nii.gz").endswith("; write the path with / and not \\")
    assert "is a file that exists, got no file" in refusal(read_image, tmp_path)
    os.mkfifo(tmp_path / "pipe.nii")
    assert "is a file that exists, got no file" in refusal(read_image, tmp_path / "pipe.nii")
    nibabel.Nifti1Pair(noise(), AFFINE).to_filename(tmp_path / "pair.img")
    (tmp_path / "pair.img").unlink()
    with pytest.raises(Refusal, match=r"pair\.img: is a file that exists"):
        read_image(tmp_path / "pair.hdr")
    assert parts_of(tmp_path / "pair.hdr") == parts_of(tmp_path / "pair.img") == (tmp_path / "pair.hdr",)
    assert parts_of(tmp_path / "none.nii.gz") == ()


ODDITIES: list[tuple[dict[str, Any], str]] = [
    ({"bitpix": 16}, "bitpix is the size of the data type: 16 for float32; the data type counted"),
    ({"scl_slope": np.inf}, "the slope (scl_slope) is a number other than 0: slope inf, intercept 0; no scaling"),
    ({"scl_slope": 0.0, "scl_inter": 5.0}, "the slope (scl_slope) is a number other than 0: slope 0, intercept 5; no"),
]


@pytest.mark.parametrize(("fields", "note"), ODDITIES)
def test_an_odd_header_is_read_with_a_note(tmp_path: Path, fields: dict[str, Any], note: str) -> None:
    path = saved(tmp_path / "scan.nii", noise(), **fields)
    scan = scan_image(path)
    assert np.array_equal(scan.volume.voxels[0], noise())
    assert [finding.severity for finding in scan.findings] == ["note"]
    assert f"{scan.findings[0].rule}: {scan.findings[0].value}; {scan.findings[0].remedy}".startswith(note)
    assert read_heading(path).findings == scan.findings


def test_a_usual_header_is_read_without_a_word(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.nii.gz", noise((4, 5, 6, 3)))
    heading = read_heading(path)
    assert (heading.grid, heading.volumes, heading.findings) == ((4, 5, 6), 3, ())
    assert np.array_equal(heading.affine, nibabel.load(path).affine)
    assert scan_image(path, 1).findings == ()


def test_vector_components_are_volumes(tmp_path: Path) -> None:
    voxels = noise((4, 5, 6, 1, 3))
    path = saved(tmp_path / "vectors.nii.gz", voxels)
    assert read_heading(path).volumes == 3
    for component in range(3):
        assert np.array_equal(read_image(path, component).voxels[0], voxels[..., 0, component])


def test_an_extension_is_passed_over(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(noise(), AFFINE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"words " * 100))
    image.to_filename(tmp_path / "scan.nii.gz")
    assert np.array_equal(read_image(tmp_path / "scan.nii.gz").voxels[0], noise())


def make_pair(folder: Path, head: str, voxels: str, order: str = "<") -> tuple[Path, Path]:
    """Write a pair under these names, packed where they end so."""
    folder.mkdir(exist_ok=True)
    kind = nibabel.Nifti1Pair(noise(), AFFINE, nibabel.nifti1.Nifti1PairHeader(endianness=order))
    kind.to_filename(folder / "plain.img")
    for name, kind_of_half in ((head, "hdr"), (voxels, "img")):
        content = (folder / f"plain.{kind_of_half}").read_bytes()
        (folder / f"plain.{kind_of_half}").unlink()
        (folder / name).write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
    return folder / head, folder / voxels


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("head", "voxels"),
    [("a.hdr", "a.img"), ("a.hdr.gz", "a.img.gz"), ("a.hdr", "a.img.gz"), ("a.hdr.gz", "a.img"), ("A.HDR", "A.IMG")],
)
def test_a_pair_is_found_by_either_half(tmp_path: Path, head: str, voxels: str, order: str) -> None:
    halves = make_pair(tmp_path / "pair", head, voxels, order)
    for half in halves:
        assert np.array_equal(read_image(half).voxels[0], noise())
        assert np.allclose(read_image(half).affine, AFFINE)
        assert parts_of(half) == halves


def test_a_pair_packed_in_both_ways_keeps_its_own_half(tmp_path: Path) -> None:
    make_pair(tmp_path, "a.hdr.gz", "a.img.gz")
    make_pair(tmp_path, "a.hdr", "a.img")
    assert parts_of(tmp_path / "a.hdr") == (tmp_path / "a.hdr", tmp_path / "a.img")
    assert parts_of(tmp_path / "a.img.gz") == (tmp_path / "a.hdr.gz", tmp_path / "a.img.gz")


def test_a_single_file_that_is_named_as_a_pair_is_refused(tmp_path: Path) -> None:
    head, _ = make_pair(tmp_path, "a.hdr", "a.img")
    respoiled(head, magic=b"n+1")
    assert "the magic is ni1, as the name says, got n+1; name it .nii" in refusal(read_image, head)


def test_a_pair_may_begin_its_voxels_anywhere(tmp_path: Path) -> None:
    head, voxels = make_pair(tmp_path, "a.hdr", "a.img")
    respoiled(head, vox_offset=16)
    voxels.write_bytes(bytes(16) + voxels.read_bytes())
    assert np.array_equal(read_image(head).voxels[0], noise())
    respoiled(head, vox_offset=-16)
    assert "voxels begin at byte 0 or later (vox_offset), got -16.0" in refusal(read_image, head)


def test_a_nifti_2_file_that_a_text_transfer_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.nii"
    nibabel.Nifti2Image(noise(), AFFINE).to_filename(path)
    content = bytearray(path.read_bytes())
    content[8:12] = b"\n\n\x1a\n"
    path.write_bytes(content)
    assert "no text transfer changed the file (eol_check), got 0a0a1a0a" in refusal(read_image, path)


def test_a_nifti_2_header_that_claims_the_impossible_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.nii.gz"
    nibabel.Nifti2Image(noise(), AFFINE).to_filename(path)
    header = nibabel.Nifti2Header(gzip.decompress(path.read_bytes())[:540], check=False)
    header["dim"] = [7, *[2**62] * 7]
    path.write_bytes(gzip.compress(header.binaryblock + gzip.decompress(path.read_bytes())[540:]))
    assert "has three dimensions" in refusal(read_image, path)
    header["dim"] = [4, *[2**62] * 7]
    path.write_bytes(gzip.compress(header.binaryblock + gzip.decompress(path.read_bytes())[540:]))
    assert f"of {4 * 2**248 + 544} bytes" in refusal(read_image, path)


def test_a_link_is_followed_and_a_circle_of_links_is_nothing(tmp_path: Path) -> None:
    saved(tmp_path / "scan.nii", noise())
    (tmp_path / "link.nii").symlink_to(tmp_path / "scan.nii")
    assert np.array_equal(read_image(tmp_path / "link.nii").voxels[0], noise())
    (tmp_path / "circle.nii").symlink_to(tmp_path / "circle.nii")
    assert refused(tmp_path / "circle.nii").value == "nothing there"
    (tmp_path / "zero.nii").symlink_to("/dev/zero")
    assert refused(tmp_path / "zero.nii").value == "no file"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may read every file")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.nii", noise())
    path.chmod(0)
    assert "the file can be read, got Permission denied; check path and rights" in refusal(read_image, path)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_to_a_header_is_read_or_refused_but_never_crashes(tmp_path: Path, data: st.DataObject) -> None:
    path = saved(tmp_path / "scan.nii", noise())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 351))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    outcome = read_or_refused(path)
    if isinstance(outcome, Refusal):
        assert outcome.subject == str(path)
        assert "is a readable NIfTI image" not in str(outcome), "every damage has a rule of its own"
    else:
        assert np.isfinite(outcome.voxels).all()


REAL = sorted((Path(__file__).parents[4] / "shared" / "data").glob("[Ts]*/*/*.nii.gz"))
SCANS = [
    path for path in REAL if not path.name.startswith(".") and "mask" not in path.name and "labels" not in str(path)
]


@pytest.mark.skipif(not SCANS, reason="needs the scans of ../shared/data")
def test_real_scans_are_read_without_a_word_and_as_nibabel_reads_them() -> None:
    for path in SCANS:
        assert read_heading(path).findings == ()
    for path in SCANS[:: len(SCANS) // 8]:
        expected = nibabel.load(path)
        assert np.array_equal(read_image(path).voxels[0], expected.get_fdata(dtype=np.float32))
        assert np.allclose(read_image(path).affine, expected.affine, atol=1e-5)
