"""The nearest element of another surface is that of a whole distance map, near or far, alone or in a crowd."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medseg.ops.scoring.nearest import facing, searched, side_of
from medseg.values.volume import BoolArray

SPACINGS = [(1.0, 1.0, 1.0), (0.5, 1.0, 5.0), (3.0, 0.4, 0.4), (0.7, 0.7, 2.5)]


def compare(own: BoolArray, other: BoolArray, spacing_mm: tuple[float, ...]) -> None:
    """Hold every distance against scipy's map, and the element that is named against its distance."""
    sides = side_of(own), side_of(other)
    nearest, distances = facing(*sides, spacing_mm)
    whole = ndimage.distance_transform_edt(~other, sampling=spacing_mm)
    assert distances == pytest.approx(whole[own], abs=1e-9)
    steps = (sides[1].corners[:, nearest] - sides[0].corners) * np.array(spacing_mm)[:, None]
    assert np.sqrt((steps**2).sum(axis=0)) == pytest.approx(distances, abs=1e-9)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("share", [0.001, 0.02, 0.3])
def test_scattered_elements_find_each_other(spacing_mm: tuple[float, ...], share: float) -> None:
    chance = np.random.default_rng(int(1000 * share))
    for shape in ((150, 9, 7), (6, 140, 8), (30, 28, 26)):
        own, other = (chance.random(shape) < share for _ in range(2))
        own[0, 0, 0] = other[-1, -1, -1] = True
        compare(own, other, spacing_mm)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_large_surfaces_that_differ_in_one_place_are_searched_around_it(spacing_mm: tuple[float, ...]) -> None:
    shell = np.zeros((70, 60, 50), np.bool_)
    shell[:, :, [0, -1]] = shell[:, [0, -1]] = shell[[0, -1]] = True
    own, other = shell.copy(), shell.copy()
    own[30:34, 30, 25] = own[20, 20, 20] = True
    other[31:33, 31, 25] = True
    compare(own, other, spacing_mm)
    compare(other, own, spacing_mm)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (0.4, 3.0)])
def test_contours_find_each_other(spacing_mm: tuple[float, ...]) -> None:
    chance = np.random.default_rng(5)
    for share in (0.001, 0.05):
        own, other = (chance.random((120, 40)) < share for _ in range(2))
        own[0, 0] = other[-1, -1] = True
        compare(own, other, spacing_mm)


def test_what_is_far_is_found_among_many() -> None:
    chance = np.random.default_rng(3)
    crowd = chance.integers(0, 300, (3, 5000))
    lonely = np.array([[150, 151, 700], [150, 150, 700], [150, 150, 700]])
    nearest, distances = searched(lonely, crowd, (1.0, 2.0, 0.5))
    for one, index, distance in zip(lonely.T, nearest, distances, strict=True):
        all_of_them = np.sqrt((((crowd.T - one) * (1.0, 2.0, 0.5)) ** 2).sum(axis=1))
        assert distance == pytest.approx(all_of_them.min())
        assert all_of_them[index] == pytest.approx(distance)


def test_nobody_searches_nothing() -> None:
    nearest, distances = searched(np.zeros((3, 0), int), np.ones((3, 4), int), (1.0, 1.0, 1.0))
    assert (len(nearest), len(distances)) == (0, 0)
