"""NIfTI files come in whole or not at all, and go out whole or not at all."""

from __future__ import annotations

import gzip
import os
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medseg.files.nifti import read_image, read_mask, write_image, write_mask
from medseg.values.error import Refusal
from medseg.values.volume import Volume

AFFINE = np.array([[-1.5, 0, 0, 10], [0, 2, 0.25, -20], [0, -0.25, 3, 30], [0, 0, 0, 1.0]])
ODD = Path(__file__).parents[3] / "shared" / "data" / "odd"
Spoil = Callable[[bytes], bytes]


def noise(shape: tuple[int, ...] = (7, 6, 5), seed: int = 1) -> np.ndarray[Any, Any]:
    """Voxels that no compressor makes small."""
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def saved(path: Path, voxels: np.ndarray[Any, Any], **fields: Any) -> Path:
    """Write a file with nibabel; `fields` are put into the header's bytes afterwards, as damage would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(voxels, AFFINE).to_filename(path)
    if fields:
        packed = path.name.endswith(".gz")
        content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
        header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
        for name, value in fields.items():
            header[name] = value
        content[:348] = header.binaryblock
        path.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))
    return path


def refusal(read: Callable[[Path], Volume], path: Path) -> str:
    """Return the message of the refusal, which names the file."""
    with pytest.raises(Refusal) as caught:
        read(path)
    assert caught.value.subject == str(path)
    assert caught.value.exit_code == 1
    return str(caught.value).removeprefix(f"{path}: ")


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


SPOILED: list[tuple[str, Spoil, str]] = [
    ("cut in half", lambda data: data[: len(data) // 2], "the gzip stream is whole"),
    ("trailer cut", lambda data: data[:-4], "the gzip stream is whole"),
    ("checksum flipped", lambda data: data[:-8] + bytes([data[-8] ^ 1]) + data[-7:], "the gzip stream is whole"),
    ("length flipped", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "the gzip stream is whole"),
    ("bit flipped", lambda data: data[:900] + bytes([data[900] ^ 4]) + data[901:], "the gzip stream is whole"),
    ("only the magic", lambda data: data[:2], "the gzip stream is whole"),
    ("garbage behind", lambda data: data + b"garbage", "the gzip stream is whole"),
    ("empty", lambda data: b"", "is a NIfTI-1 or NIfTI-2 file"),
]


@pytest.mark.parametrize(("spoil", "rule"), [case[1:] for case in SPOILED], ids=[case[0] for case in SPOILED])
def test_a_damaged_gzip_is_refused(tmp_path: Path, spoil: Spoil, rule: str) -> None:
    path = saved(tmp_path / "scan.nii.gz", noise((12, 12, 12)))
    path.write_bytes(spoil(path.read_bytes()))
    message = refusal(read_image, path)
    assert message.startswith(rule)
    assert message.endswith("again")
    refusal(read_mask, path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("change", [-1, -300, 1, 2_000_000])
def test_a_file_of_another_size_than_claimed_is_refused(tmp_path: Path, ending: str, change: int) -> None:
    voxels = noise()
    path = saved(tmp_path / f"scan{ending}", voxels)
    content = gzip.decompress(path.read_bytes()) if ending == ".nii.gz" else path.read_bytes()
    content = content[:change] if change < 0 else content + bytes(change)
    path.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    message = refusal(read_image, path)
    assert message.startswith("is as long as its header claims, got ")
    assert f" of {352 + voxels.nbytes} bytes; " in message


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_claims_the_impossible_allocates_nothing(tmp_path: Path, ending: str) -> None:
    path = saved(tmp_path / f"scan{ending}", noise(), dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
    assert f" of {352 + 4 * 32767**3} bytes; " in refusal(read_image, path)


HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"dim": [3, 0, 6, 5, 1, 1, 1, 1]}, "every dimension has at least one voxel"),
    ({"dim": [3, 7, -6, 5, 1, 1, 1, 1]}, "every dimension has at least one voxel"),
    ({"dim": [0, 7, 6, 5, 1, 1, 1, 1]}, "every dimension has at least one voxel"),
    ({"dim": [9, 7, 6, 5, 1, 1, 1, 1]}, "every dimension has at least one voxel"),
    ({"dim": [5, 7, 6, 1, 1, 5, 1, 1]}, "has three dimensions, or four for several volumes, got (7, 6, 1, 1, 5)"),
    ({"dim": [2, 42, 5, 1, 1, 1, 1, 1]}, "has three dimensions, or four for several volumes, got (42, 5)"),
    ({"datatype": 9999}, "has a known data type, got code 9999"),
    ({"datatype": 32}, "voxels are single real numbers of up to 64 bits, got complex64"),
    ({"datatype": 128}, "voxels are single real numbers of up to 64 bits, got colours"),
    ({"vox_offset": 0}, "voxels begin at byte 352 or later (vox_offset), got 0.0"),
    ({"vox_offset": np.nan}, "voxels begin at byte 352 or later (vox_offset), got nan"),
    ({"vox_offset": 1e6}, "is as long as its header claims"),
    ({"scl_slope": 2.0, "scl_inter": np.nan}, "the intercept (scl_inter) is finite, got nan"),
    ({"srow_x": [np.nan, 0, 0, 0]}, "the affine is finite"),
    ({"srow_x": [0, 0, 0, 5]}, "the affine can be inverted"),
    ({"srow_x": [0, 2, 0.25, 5]}, "the affine can be inverted"),
    (
        {"sform_code": 0, "pixdim": [1, 0, 1, 1, 1, 1, 1, 1]},
        "voxel edges are finite and above 0 mm (pixdim), got [0.0,",
    ),
    ({"sform_code": 0, "pixdim": [1, -1, 1, 1, 1, 1, 1, 1]}, "voxel edges are finite and above 0 mm (pixdim)"),
    ({"sform_code": 0, "pixdim": [1, np.nan, 1, 1, 1, 1, 1, 1]}, "voxel edges are finite and above 0 mm (pixdim)"),
    ({"sform_code": 0, "qform_code": 1, "quatern_b": 3.0}, "the quaternion of the qform is a rotation"),
    ({"xyzt_units": 1}, "lengths are in millimetres (xyzt_units 2), got code 1"),
    ({"magic": b"abc"}, "is a NIfTI-1 or NIfTI-2 file"),
    ({"sizeof_hdr": 1543}, "is a NIfTI-1 or NIfTI-2 file"),
]


@pytest.mark.parametrize(("fields", "rule"), HEADERS)
def test_a_damaged_header_is_refused(tmp_path: Path, fields: dict[str, Any], rule: str) -> None:
    for ending in (".nii", ".nii.gz"):
        assert rule in refusal(read_image, saved(tmp_path / f"scan{ending}", noise(), **fields))


def test_spacing_matters_only_where_it_is_used(tmp_path: Path) -> None:
    path = saved(tmp_path / "scan.nii", noise(), pixdim=[1, 0, np.nan, -1, 1, 1, 1, 1])
    assert np.allclose(read_image(path).affine, AFFINE)
    bare = saved(tmp_path / "bare.nii", noise(), sform_code=0, qform_code=0, pixdim=[1, 2, 3, 4, 1, 1, 1, 1])
    assert np.allclose(read_image(bare).affine, nibabel.load(bare).affine)
    assert read_image(bare).spacing_mm == (2.0, 3.0, 4.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_counted_and_refused(tmp_path: Path, value: float) -> None:
    voxels = noise()
    voxels[0, 0, :3] = value
    path = saved(tmp_path / "scan.nii.gz", voxels)
    assert "all voxels are finite 32-bit numbers, got 3 of 210 NaN or infinite" in refusal(read_image, path)


def test_numbers_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    voxels = noise().astype(np.float64)
    voxels[1, 1, 1] = 1e300
    path = saved(tmp_path / "scan.nii", voxels)
    assert "got 1 of 210 NaN or infinite" in refusal(read_image, path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "is a file that exists, got nothing there" in refusal(read_image, tmp_path / "none.nii.gz")
    assert "is a file that exists, got no file" in refusal(read_image, tmp_path)
    os.mkfifo(tmp_path / "pipe.nii")
    assert "is a file that exists, got no file" in refusal(read_image, tmp_path / "pipe.nii")
    nibabel.Nifti1Pair(noise(), AFFINE).to_filename(tmp_path / "pair.img")
    (tmp_path / "pair.img").unlink()
    with pytest.raises(Refusal, match=r"pair\.img: is a file that exists"):
        read_image(tmp_path / "pair.hdr")


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


@given(
    voxels=arrays.arrays(np.float32, arrays.array_shapes(min_dims=4, max_dims=4, max_side=5),
                         elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    angle=st.floats(-3, 3), scale=st.floats(0.1, 9), shear=st.sampled_from([0.0, 0.3]), side=st.sampled_from([-1, 1]),
)  # fmt: skip
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_writing_and_reading_gives_the_same(
    tmp_path: Path, voxels: np.ndarray[Any, Any], angle: float, scale: float, shear: float, side: int
) -> None:
    affine = np.eye(4)
    affine[:2, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    affine[:3, 3] = (-100.5, 20.25, 881.3)
    affine[:, 0] *= side
    affine[0, 2] = shear
    path = tmp_path / "scan.nii.gz"
    write_image(path, Volume(voxels, affine))
    for component, channel in enumerate(voxels):
        back = read_image(path, component)
        assert np.array_equal(back.voxels[0], channel)
        assert np.allclose(back.affine, affine, rtol=1e-6, atol=1e-5)
    header = nibabel.load(path).header
    assert (int(header["qform_code"]) == 0) == (shear != 0)
    if not shear:
        assert np.allclose(header.get_qform(), affine, atol=1e-4)
    assert header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_the_same_content_gives_the_same_bytes(tmp_path: Path, ending: str) -> None:
    mask = Volume(np.random.default_rng(4).integers(0, 3, (1, 9, 8, 7)).astype(np.uint8), AFFINE)
    turned = Volume(np.asfortranarray(mask.voxels), AFFINE.astype(">f8"))
    write_mask(tmp_path / f"one{ending}", mask)
    write_mask(tmp_path / "deeper" / f"two{ending}", turned)
    content = (tmp_path / f"one{ending}").read_bytes()
    assert content == (tmp_path / "deeper" / f"two{ending}").read_bytes()
    if ending == ".nii.gz":
        assert content[3] == 0, "no file name, no comment"
        assert struct.unpack("<I", content[4:8]) == (0,), "no time"
    assert nibabel.load(tmp_path / f"one{ending}").get_data_dtype() == np.uint8
    assert np.array_equal(read_mask(tmp_path / f"one{ending}").voxels, mask.voxels)


def test_writing_replaces_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"old")
    write_image(path, Volume(noise()[None], AFFINE))
    assert np.array_equal(read_image(path).voxels[0], noise())
    assert [entry.name for entry in tmp_path.iterdir()] == ["scan.nii.gz"]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"old")
    with pytest.raises(Refusal, match=r"the file can be written, got .*; free space or choose"), room_for(10_000):
        write_image(path, Volume(noise((1, 40, 40, 40)), AFFINE))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["scan.nii.gz"]


def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.nii").mkdir()
    volume = Volume(noise()[None], AFFINE)
    with pytest.raises(Refusal, match=r"mask\.nii: the file can be written, got (Not a directory|File exists)"):
        write_image(tmp_path / "file" / "deeper" / "mask.nii", volume)
    with pytest.raises(Refusal, match=r"folder\.nii: the file can be written, got Is a directory"):
        write_image(tmp_path / "folder.nii", volume)
    with pytest.raises(Refusal, match=r"ends with \.nii or \.nii\.gz, got scan\.mha"):
        write_image(tmp_path / "scan.mha", volume)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder.nii"]


def test_what_no_reader_would_take_is_not_written(tmp_path: Path) -> None:
    voxels = noise()[None]
    voxels[0, 0, 0, 0] = np.nan
    with pytest.raises(Refusal, match="all voxels are finite"):
        write_image(tmp_path / "scan.nii", Volume(voxels, AFFINE))
    with pytest.raises(Refusal, match=r"a mask is \(1, X, Y, Z\) of uint8, got float32"):
        write_mask(tmp_path / "mask.nii", Volume(noise()[None], AFFINE))
    with pytest.raises(Refusal, match="an axis has at most 32767 voxels"):
        write_image(tmp_path / "long.nii", Volume(np.zeros((1, 40000, 1, 1), np.float32), AFFINE))
    assert not list(tmp_path.iterdir())


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


@pytest.mark.skipif(not ODD.is_dir(), reason="needs the odd files of ../shared/data")
def test_odd_files_are_read_as_nibabel_reads_them_or_refused() -> None:
    read = 0
    for path in sorted(entry for entry in ODD.rglob("*") if entry.is_file()):
        volume = read_or_refused(path)
        if isinstance(volume, Refusal):
            assert "is a readable NIfTI image" not in str(volume), "every damage has a rule of its own"
            continue
        expected = nibabel.load(path)
        voxels = expected.get_fdata(dtype=np.float32)
        voxels = voxels[..., 0] if voxels.ndim == 4 else voxels
        assert np.allclose(volume.voxels[0], voxels, rtol=1e-6), path
        assert np.allclose(volume.affine, expected.affine), path
        read += 1
    assert read >= 33
