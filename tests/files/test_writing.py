"""Volumes go out whole or not at all and come back as they were, to other readers too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.files.scans import read_heading, read_image, read_mask
from medseg.files.writing import write_volume
from medseg.values.error import Refusal
from medseg.values.volume import Volume

ENDINGS = ("nii", "nii.gz", "nrrd", "mha")


def affine_of(seed: int) -> np.ndarray[Any, Any]:
    """A rotation with spacing and some shear."""
    random = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(random.normal(size=(3, 3)))[0] * random.uniform(0.3, 5, 3)
    affine[0, 2] += 0.05
    affine[:3, 3] = random.normal(0, 100, 3)
    return affine


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(*[st.integers(1, 8)] * 3),
    ending=st.sampled_from(ENDINGS),
    channels=st.integers(1, 3),
)
def test_an_image_comes_back(
    tmp_path: Path, seed: int, shape: tuple[int, int, int], ending: str, channels: int
) -> None:
    random = np.random.default_rng(seed)
    volume = Volume(random.normal(0, 1e3, (channels, *shape)).astype(np.float32), affine_of(seed))
    path = tmp_path / f"a.{ending}"
    write_volume(path, volume)
    assert read_heading(path).volumes == channels
    for component in range(channels):
        found = read_image(path, component)
        np.testing.assert_array_equal(found.voxels[0], volume.voxels[component])
        rounding = 1e-6 if ending in ("nrrd", "mha") else 1e-4  # NIfTI holds an affine in 32 bits
        np.testing.assert_allclose(found.affine, volume.affine, atol=rounding)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_mask_comes_back_and_bytes_repeat(tmp_path: Path, ending: str) -> None:
    voxels = np.random.default_rng(1).integers(0, 256, (1, 7, 6, 5)).astype(np.uint8)
    volume = Volume(voxels, affine_of(1))
    for name in ("a", "b"):
        write_volume(tmp_path / f"{name}.{ending}", volume)
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    found = read_mask(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(found.voxels, voxels)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{ending}", f"b.{ending}"], "nothing else is left"
    if ending.startswith("nii"):
        assert nibabel.load(tmp_path / f"a.{ending}").get_data_dtype() == np.uint8  # type: ignore[attr-defined]


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
@pytest.mark.parametrize("channels", [1, 3])
def test_simpleitk_reads_the_same(tmp_path: Path, ending: str, channels: int) -> None:
    voxels = np.random.default_rng(1).normal(size=(channels, 7, 6, 5)).astype(np.float32)
    affine = affine_of(2)
    affine[0, 2] -= 0.05  # SimpleITK knows no shear
    write_volume(tmp_path / f"a.{ending}", Volume(voxels, affine))
    image = SimpleITK.ReadImage(str(tmp_path / f"a.{ending}"))
    stored = SimpleITK.GetArrayFromImage(image).reshape(5, 6, 7, channels)
    np.testing.assert_array_equal(stored.transpose(3, 2, 1, 0), voxels)
    for index in [(0, 0, 0), (6, 5, 4), (3, 0, 2)]:
        world = np.array([-1, -1, 1]) * image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((affine @ [*index, 1])[:3], world, atol=1e-6)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    volume = Volume(np.zeros((1, 2, 2, 2), np.float32), np.eye(4))
    with pytest.raises(Refusal, match=r"a volume ends with .nii, .nii.gz, .nrrd or .mha, got a.png; rename it"):
        write_volume(tmp_path / "a.png", volume)
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="the file can be written"):
        write_volume(tmp_path / "file" / "a.nrrd", volume)
    volume.voxels[0, 0, 0, 0] = np.nan
    for ending in ENDINGS:
        with pytest.raises(Refusal, match="all voxels are finite 32-bit numbers, got NaN or infinity"):
            write_volume(tmp_path / f"a.{ending}", volume)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
