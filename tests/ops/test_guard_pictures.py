"""Pictures: a distance that is Mahalanobis' own, and poses that are those of the axes."""

from __future__ import annotations

import numpy as np
import pytest

from medseg.ops.guard_pictures import fit_pictures, packed
from medseg.ops.guard_poses import Pictures, changes, cross_fits, fit_models, fits, poses, turned_sizes
from medseg.ops.orientation import from_canonical, orientation_of

RIGHT_LEFT = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def rows(count: int, seed: int = 0) -> np.ndarray:
    """Make miniatures (N, 512) with a mean, three directions and noise."""
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(99).normal(size=(4, 512))
    return basis[0] + rng.normal(size=(count, 3)) * (0.5, 0.4, 0.2) @ basis[1:] + rng.normal(0, 0.5, (count, 512))


def axes_of(letters: str) -> np.ndarray:
    """Make the affine of a scan whose axes run along letters."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, letter in enumerate(letters):
        world, sign = RIGHT_LEFT[letter]
        affine[world, axis] = sign
    return affine


def test_the_misfit_is_the_mahalanobis_distance() -> None:
    model = fit_pictures(rows(60), 5)
    covariance = model.directions.T * model.variances @ model.directions + model.noise * np.eye(512)
    rest = rows(4, seed=1) - model.mean
    wanted = np.einsum("nf,fg,ng->n", rest, np.linalg.inv(covariance), rest) / 512
    assert np.allclose(model.misfit(rows(4, seed=1)), wanted)
    assert np.allclose(model.misfit(rows(200, seed=2)).mean(), 1, atol=0.25), "about 1 for scans of the same kind"


def test_a_card_keeps_the_misfit() -> None:
    model = fit_pictures(rows(60), 5)
    read = type(packed(model)).model_validate_json(packed(model).model_dump_json()).model
    assert np.allclose(read.misfit(rows(9, seed=1)), model.misfit(rows(9, seed=1)), rtol=0.05)
    assert len(packed(model).model_dump_json()) < 6000


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_or_equal_pictures_still_give_a_model(count: int) -> None:
    model = fit_pictures(np.repeat(rows(1), count, axis=0), 12)
    assert model.misfit(rows(1))[0] == pytest.approx(0)
    assert np.isfinite(model.misfit(rows(3, seed=4))).all()


def test_the_poses_are_the_47_other_ways_in_which_axes_can_run() -> None:
    cube = rows(1)[0].reshape(8, 8, 8)
    assert len(poses()) == 47
    for letters, order in poses().items():
        stored = from_canonical(cube, orientation_of(axes_of(letters)))
        assert np.array_equal(stored.ravel()[order], cube.ravel()), letters


def test_a_turned_scan_has_turned_sizes() -> None:
    assert turned_sizes((10, 20, 30), "RAS") == (10, 20, 30)
    assert turned_sizes((10, 20, 30), "PIL") == (30, 10, 20)
    assert [changes(letters) for letters in ("RAS", "LAS", "LPS", "ARS")] == [0, 1, 2, 8]


def test_fits_are_of_those_channels_that_a_scan_has() -> None:
    present = {"a": np.ones(30, np.bool_), "b": np.arange(30) % 3 > 0}
    pictures = Pictures({"a": rows(30), "b": rows(30, seed=5)[:, ::-1]}, present)
    found = cross_fits(pictures, 3)
    assert len(found.misfit["a"]) == 30
    assert np.isnan(found.misfit["b"]).sum() == np.isnan(found.pairs["a", "b"]).sum() == 10
    assert np.isfinite(found.poses["LAS"]).all()
    again = fits(pictures, fit_models(pictures, 3))
    assert (again.pairs["a", "b"][present["b"]] > 1).all(), "exchanged they fit far worse"
