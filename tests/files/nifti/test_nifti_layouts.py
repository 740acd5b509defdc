"""What stands here instead of in nibabel is the same as in nibabel, to the last bit."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import data_type_codes
from nibabel.quaternions import mat2quat, quat2mat

from medseg.files.nifti.layouts import DATA_TYPES, NIFTI_1, NIFTI_2
from medseg.files.nifti.rotations import quaternion_of, rotation_of

BITS_OF_128 = {1536, 2048}  # nibabel knows these where the computer does


def test_headers_have_the_fields_of_nibabel() -> None:
    assert nib.nifti1.header_dtype == NIFTI_1
    assert nib.nifti2.header_dtype == NIFTI_2
    assert (NIFTI_1.itemsize, NIFTI_2.itemsize) == (348, 540)


def test_data_types_are_those_of_nibabel() -> None:
    known = {code for code in data_type_codes.code if isinstance(code, int)}
    assert known == set(DATA_TYPES)
    for code in known - BITS_OF_128:
        assert np.dtype(data_type_codes.dtype[code]) == DATA_TYPES[code], code
    assert all(DATA_TYPES[code].kind == "V" for code in BITS_OF_128)


@pytest.mark.parametrize("length", [1.0, 0.3, 2.0, 1e-9])
def test_a_quaternion_gives_the_rotation_of_nibabel(length: float) -> None:
    draws = np.random.default_rng(3).normal(size=(300, 4))
    halves = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    for one in [*(draws / np.linalg.norm(draws, axis=1)[:, None] * length).tolist(), *halves]:
        assert rotation_of(one).tobytes() == quat2mat(one).tobytes()


def test_a_rotation_gives_the_quaternion_of_nibabel() -> None:
    draws = np.random.default_rng(4).normal(size=(300, 4))
    turned = [quat2mat(one / np.linalg.norm(one)) for one in draws]
    halves = [np.diag(signs).astype(float) for signs in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1])]
    slanted = [one + np.random.default_rng(5).normal(scale=1e-3, size=(3, 3)) for one in turned[:50]]
    for one in [*turned, *halves, *slanted]:
        assert np.array(quaternion_of(one)).tobytes() == np.asarray(mat2quat(one)).tobytes()


def test_a_quaternion_of_length_0_turns_nothing() -> None:
    assert (rotation_of([0, 0, 0, 0]) == np.eye(3)).all()
