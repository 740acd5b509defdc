"""Orientation: exact for every axis order and direction, unique for oblique scans."""

from __future__ import annotations

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from medseg.ops.orientation import Orientation, from_canonical, orientate, orientation_of, to_canonical
from medseg.values.volume import FloatArray, Volume

SHAPE = (3, 4, 5)
EVERY = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def signed_affine(order: tuple[int, ...], signs: tuple[int, ...]) -> FloatArray:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for world, (stored, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, stored] = sign * (1.0 + 0.25 * stored)
    affine[:3, 3] = (-7.5, 3.25, 11.0)
    return affine


@pytest.mark.parametrize(("order", "signs"), EVERY)
def test_every_orientation_goes_to_canonical_and_back(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = signed_affine(order, signs)
    voxels = np.arange(120, dtype=np.float32).reshape(2, *SHAPE)
    stored = Volume(voxels, affine)
    canonical = to_canonical(stored)
    assert np.all(np.diag(canonical.affine)[:3] > 0)
    assert np.count_nonzero(canonical.affine[:3, :3]) == 3
    orientation = orientation_of(affine)
    assert orientation == Orientation.model_validate({"permutation": order, "flips": tuple(sign < 0 for sign in signs)})
    back = from_canonical(canonical, orientation)
    assert np.array_equal(back.voxels, voxels)
    assert np.allclose(back.affine, affine, atol=1e-12)
    assert np.array_equal(from_canonical(canonical.voxels[0], orientation), voxels[0])
    assert np.array_equal(orientate(voxels, orientation), canonical.voxels)


@pytest.mark.parametrize(("order", "signs"), EVERY)
def test_agrees_with_nibabel(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    tilt = np.eye(4)
    tilt[:3, :3] = Rotation.from_euler("xyz", (20, -15, 10), degrees=True).as_matrix()
    affine = tilt @ signed_affine(order, signs)
    voxels = np.arange(60, dtype=np.float32).reshape(SHAPE)
    expected = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, affine))
    canonical = to_canonical(Volume(voxels[None], affine))
    assert np.array_equal(canonical.voxels[0], np.asanyarray(expected.dataobj))
    assert np.allclose(canonical.affine, expected.affine, atol=1e-6)


@given(arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_any_rotation_gets_one_orientation_and_keeps_world_positions(quaternion: FloatArray) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_quat(quaternion).as_matrix() * (0.9, 1.1, 2.0)
    stored = Volume(np.arange(60, dtype=np.float32).reshape(1, *SHAPE), affine)
    orientation = orientation_of(affine)
    assert sorted(orientation.permutation) == [0, 1, 2]
    canonical = to_canonical(stored)
    assert np.all(np.diag(canonical.affine)[:3] > 0)
    for index in product(range(3), range(4), range(5)):
        place = np.argwhere(canonical.voxels[0] == stored.voxels[(0, *index)])[0]
        assert np.allclose(canonical.affine @ (*place, 1), affine @ (*index, 1), atol=1e-9)


def test_a_tie_does_not_hang_on_rounding() -> None:
    half = np.eye(4)
    half[:3, :3] = Rotation.from_euler("z", 45, degrees=True).as_matrix()
    nearly = half.copy()
    nearly[0, 0] += 1e-13
    other = half.copy()
    other[0, 0] -= 1e-13
    assert orientation_of(half) == orientation_of(nearly) == orientation_of(other)
    assert orientation_of(half).permutation == (0, 1, 2)


def test_voxels_are_a_view_and_stay_as_they_were() -> None:
    voxels = np.arange(60, dtype=np.float32).reshape(1, *SHAPE)
    before = voxels.copy()
    canonical = to_canonical(Volume(voxels, signed_affine((2, 0, 1), (-1, 1, -1))))
    assert np.shares_memory(canonical.voxels, voxels)
    assert np.array_equal(voxels, before)
