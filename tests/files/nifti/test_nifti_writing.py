"""NIfTI files go out whole or not at all."""

from __future__ import annotations

import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medseg.files.nifti.writing import write_image, write_mask
from medseg.values.error import Refusal
from medseg.values.volume import Volume
from tests.files.nifti.nifti_files import AFFINE, noise, read_image, read_mask


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
