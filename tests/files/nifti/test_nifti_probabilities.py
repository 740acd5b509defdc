"""Probabilities go out in 16 bits, and every reader opens them as numbers from 0 to 1."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medseg.files.nifti.probabilities import write_probabilities, write_uncertainty
from medseg.values.error import Refusal
from tests.files.nifti.nifti_files import AFFINE, read_image

Array = np.ndarray[Any, Any]
MOST = 1.6e-5


def shares(shape: tuple[int, ...], dtype: str = "float16") -> Array:
    values: Array = np.random.default_rng(0).dirichlet(np.full(shape[0], 0.3), shape[1:]).astype(dtype)
    return np.moveaxis(values, -1, 0)


@given(arrays.arrays(np.float16, arrays.array_shapes(min_dims=4, max_dims=4, max_side=40),
                     elements=st.floats(0, 1, width=16)))  # fmt: skip
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_they_come_back_exactly_from_a_thirty_second_on_and_nearly_below(tmp_path: Path, values: Array) -> None:
    path = tmp_path / "p.nii.gz"
    write_probabilities(path, values, AFFINE)
    exact = (values >= 1 / 32) | (values == 0)
    for component, channel in enumerate(values):
        back = read_image(path, component)
        assert np.abs(back.voxels[0] - channel.astype(np.float32)).max() <= MOST
        assert np.array_equal(back.voxels[0][exact[component]], channel[exact[component]].astype(np.float32))
        assert np.allclose(back.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_other_readers_give_numbers_from_0_to_1(tmp_path: Path, dtype: str) -> None:
    values = shares((3, 9, 8, 70), dtype)
    values[:, 0, 0, 0] = (0, 1, 0)
    path = tmp_path / "p.nii.gz"
    write_probabilities(path, values, np.diag([-1.0, 2.0, 3.0, 1.0]))  # ITK knows no shear
    image = nibabel.load(path)
    assert image.shape == (9, 8, 70, 3)
    assert image.get_data_dtype() == np.uint16
    by_nibabel = np.moveaxis(np.asarray(image.dataobj), -1, 0)
    read = SimpleITK.ReadImage(str(path))
    assert "float" in read.GetPixelIDTypeAsString()
    by_itk = SimpleITK.GetArrayFromImage(read).transpose(0, 3, 2, 1)
    for found in (by_nibabel, by_itk):
        assert np.abs(found - values.astype(np.float64)).max() <= MOST
        assert found.min() == 0
        assert found.max() == 1
        assert np.abs(found.sum(axis=0) - 1).max() < (2e-3 if dtype == "float16" else 1e-4)


def test_a_map_of_uncertainty_has_three_axes(tmp_path: Path) -> None:
    values = shares((2, 7, 6, 5))[0]
    write_uncertainty(tmp_path / "u.nii.gz", values, AFFINE)
    assert nibabel.load(tmp_path / "u.nii.gz").shape == (7, 6, 5)
    assert np.abs(read_image(tmp_path / "u.nii.gz").voxels[0] - values).max() <= MOST


class Lazy:
    """Channels that are made when they are asked for."""

    def __init__(self, values: Array, count: int | None = None) -> None:
        self.values, self.count = values, len(values) if count is None else count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Array]:
        return (channel.copy() for channel in self.values)

    def __contains__(self, channel: object) -> bool:
        return False


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_the_same_numbers_give_the_same_bytes_however_they_are_kept(tmp_path: Path, ending: str) -> None:
    values = shares((3, 9, 8, 70))
    values = (np.rint(values.astype(np.float64) * 128) / 128).astype(np.float16)
    before = values.copy()
    kept: list[Any] = [values, np.asfortranarray(values), values.astype(np.float64), Lazy(values), list(values)]
    for place, one in enumerate(kept):
        write_probabilities(tmp_path / f"{place}{ending}", one, AFFINE)
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(contents) == 1
    assert np.array_equal(values, before)


def test_half_the_bytes_of_32_bits(tmp_path: Path) -> None:
    write_probabilities(tmp_path / "p.nii", shares((3, 9, 8, 7)), AFFINE)
    assert (tmp_path / "p.nii").stat().st_size == 352 + 2 * 3 * 9 * 8 * 7


def test_channels_made_one_by_one_never_lie_in_memory_together(tmp_path: Path) -> None:
    channel = np.full((64, 64, 512), 0.25, np.float16)
    tracemalloc.start()
    try:
        write_probabilities(tmp_path / "p.nii", Lazy(np.broadcast_to(channel, (6, *channel.shape))), AFFINE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * channel.nbytes


@pytest.mark.parametrize(("values", "message"), [
    (np.full((2, 3, 3, 3), 1.01, np.float32), r"numbers are from 0 to 1, got 1\.01 to 1\.01; normalise them"),
    (np.full((2, 3, 3, 3), -0.5, np.float32), r"numbers are from 0 to 1, got -0\.5 to -0\.5"),
    (np.full((2, 3, 3, 3), np.nan, np.float32), "numbers are from 0 to 1, got nan to nan"),
    (np.zeros((3, 3, 3), np.float32), r"probabilities are a non-empty \(K, X, Y, Z\), got \(3, 3, 3\)"),
    (np.zeros((0, 3, 3, 3), np.float32), r"probabilities are a non-empty \(K, X, Y, Z\), got \(0,\)"),
    ([np.zeros((3, 3, 3)), np.zeros((3, 3, 4))], r"all channels have the shape \(3, 3, 3\), got \(3, 3, 4\)"),
    (Lazy(np.zeros((2, 3, 3, 3)), 3), "there are 3 channels, got 2; give as many as the collection counts"),
])  # fmt: skip
def test_what_are_no_probabilities_is_refused_and_leaves_nothing(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        write_probabilities(tmp_path / "p.nii.gz", values, AFFINE)
    assert not list(tmp_path.iterdir())


def test_rounding_is_no_reason_to_refuse(tmp_path: Path) -> None:
    values = np.array([-1e-4, 1 + 1e-4, 0.5, 0.5], np.float32).reshape(2, 1, 1, 2)
    write_probabilities(tmp_path / "p.nii", values, AFFINE)
    assert read_image(tmp_path / "p.nii").voxels.ravel().tolist() == [0.0, 1.0]


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"a NIfTI file ends with \.nii or \.nii\.gz, got p\.nrrd; rename it"):
        write_probabilities(tmp_path / "p.nrrd", shares((2, 3, 3, 3)), AFFINE)
