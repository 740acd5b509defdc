"""A scan in a few kB: the same whatever its unit, mirrored where the scan is, and true to its body."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from medseg.ops.guard_signature import picture_of, signature_of
from medseg.ops.orientation import orientation_of
from medseg.ops.sighting import miniature
from medseg.values.volume import Volume
from tests.ops.guard_scans import scan, signature

WHOLE = (slice(0, 40), slice(0, 32), slice(0, 24))
UPRIGHT = orientation_of(np.eye(4))


def test_lengths_are_in_mm_along_the_axes_of_the_patient() -> None:
    affine = np.array([[0, -2.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 1]])
    found = signature(Volume(scan(0).voxels, affine))
    x, y, z = scan(0).shape
    assert found.spacing_mm == (2.0, 1.0, 3.0)
    assert found.whole_mm == found.body_mm == (2.0 * y, 1.0 * x, 3.0 * z)
    assert found.axes == "ALS"


def test_the_picture_is_that_of_the_ranks() -> None:
    voxels = np.random.default_rng(0).gamma(0.7, 2.0, (40, 32, 24)).astype(np.float32)
    found = signature_of(Volume(voxels[None], np.eye(4)), np.ones((40, 32, 24), np.bool_), WHOLE, ["a"], (), UPRIGHT)
    wanted = miniature(rankdata(voxels).reshape(voxels.shape)).astype(np.float64).ravel()
    assert np.allclose(picture_of(found.channels["a"]), wanted, atol=0.05)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_a_unit_changes_percentiles_and_nothing_else(factor: float) -> None:
    volume = scan(3)
    one, other = (signature(Volume(volume.voxels * np.float32(by), volume.affine)).channels["t1"] for by in (1, factor))
    assert np.allclose(other.percentiles, np.asarray(one.percentiles) * factor, rtol=1e-5)
    assert np.allclose(picture_of(other), picture_of(one), atol=0.01)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_scan_has_the_mirrored_picture(axis: int) -> None:
    voxels = np.random.default_rng(1).normal(size=(40, 95, 24)).cumsum(axis=axis)[None].astype(np.float32)
    one, other = (signature(Volume(array, np.eye(4))) for array in (voxels, np.flip(voxels, axis + 1)))
    cubes = [picture_of(found.channels["t1"]).reshape(8, 8, 8) for found in (one, other)]
    assert np.allclose(np.flip(cubes[0], axis), cubes[1], atol=0.02)


def test_only_the_body_has_a_say_in_intensities_and_a_missing_channel_is_absent() -> None:
    voxels = np.zeros((2, 40, 32, 24), np.float32)
    voxels[:, 10:20, 8:16, 4:12] = np.random.default_rng(2).normal(100, 5, (10, 8, 8))
    body = voxels[0] > 0
    found = signature_of(Volume(voxels, np.eye(4)), body, WHOLE, ["a", "b"], (1,), UPRIGHT)
    assert list(found.channels) == ["a"]
    assert found.channels["a"].zeros == 0
    assert found.channels["a"].percentiles[4] == pytest.approx(np.median(voxels[0][body]))


def test_a_body_thinner_than_a_step_and_a_constant_channel_are_taken_as_they_are() -> None:
    voxels = np.zeros((1, 300, 4, 5), np.float32)
    body = np.zeros((300, 4, 5), np.bool_)
    body[1] = True
    box = (slice(0, 300), slice(0, 4), slice(0, 5))
    found = signature_of(Volume(voxels, np.eye(4)), body, box, ["a"], (), UPRIGHT).channels["a"]
    assert set(found.percentiles) == {0.0}
    assert not picture_of(found).any()


def test_large_scans_are_thinned_evenly_and_nothing_is_changed() -> None:
    voxels = np.random.default_rng(3).normal(size=(1, 300, 70, 65)).astype(np.float32)
    before = voxels.copy()
    found = signature(Volume(voxels, np.eye(4))).channels["t1"]
    assert np.allclose(found.percentiles[1:-1], np.percentile(voxels, (1, 5, 25, 50, 75, 95, 99)), atol=0.05)
    assert np.array_equal(voxels, before)
