"""Seeds and lesions of a mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medseg.ops import seeds as module
from medseg.ops.seeds import SEEDS_PER_CLASS, class_sizes, draw_seeds, lesion_map
from medseg.values.labels import IGNORED


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 0.4))
def test_lesions_are_connected_over_corners_whatever_their_classes(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    classes = np.where(generator.random((9, 8, 7)) < share, generator.choice([1, 3, IGNORED], (9, 8, 7)), 0)
    classes = classes.astype(np.uint8)
    before = classes.copy()
    expected, count = ndimage.label((classes > 0) & (classes != IGNORED), ndimage.generate_binary_structure(3, 3))
    found = lesion_map(classes)
    assert np.array_equal(classes, before)
    assert found.dtype == np.int32
    assert np.array_equal(found, expected)
    assert found.max(initial=0) == count


def test_a_tiny_lesion_beside_a_huge_one_keeps_a_seed_of_each_class() -> None:
    classes = np.zeros((60, 60, 60), np.uint8)
    classes[:50] = 1
    classes[:, :50][:20] = 2
    for corner in range(0, 60, 4):
        classes[57, corner, corner] = 1 + corner % 8 // 4
    lesions = lesion_map(classes)
    found = draw_seeds("a", classes, 0, lesions)
    for index in (1, 2):
        places = found[index]
        inside = lesions[tuple(places.T)]
        assert set(inside) == set(lesions[classes == index])
        assert SEEDS_PER_CLASS <= len(places) <= SEEDS_PER_CLASS + 15
        assert len(np.unique(places, axis=0)) == len(places)
        assert np.all(classes[tuple(places.T)] == index)
        order = np.ravel_multi_index(tuple(places.T), classes.shape)
        assert np.all(np.diff(order) > 0)
    again = draw_seeds("a", classes, 0)
    assert all(np.array_equal(found[index], again[index]) for index in (1, 2))


def test_which_voxel_of_a_forgotten_lesion_is_kept_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEEDS_PER_CLASS", 1)
    classes = np.zeros((20, 3, 3), np.uint8)
    classes[:5], classes[10:] = 1, 1
    kept = {tuple(map(tuple, draw_seeds("a", classes, seed)[1].tolist())) for seed in range(20)}
    assert all(len(places) == 2 and places[0][0] < 5 and places[1][0] >= 10 for places in kept)
    assert len({places[0] for places in kept}) > 5


def test_sizes_count_what_is_labelled() -> None:
    classes = np.array([[[0, 1, 1, 3, IGNORED]]], np.uint8)
    assert class_sizes(classes) == {1: 2, 3: 1}
    assert class_sizes(np.zeros((2, 2, 2), np.uint8)) == {}
