"""Where windows lie, in which order they come, and what they weigh."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.engines.inference.layout import lay_axis, lay_out, slab_axis
from medseg.engines.inference.pieces import pieces_of, shares_of

BLENDS = st.sampled_from(["gaussian", "constant"])
sizes = st.tuples(*[st.integers(1, 12)] * 3)
axes = st.builds(lay_axis, st.integers(1, 200), st.integers(1, 64), st.floats(0, 0.9), BLENDS)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 200), size=st.integers(1, 64), overlap=st.floats(0, 0.9), blend=BLENDS)
def test_windows_cover_an_axis_evenly_and_weigh_one_everywhere(
    length: int, size: int, overlap: float, blend: Any
) -> None:
    axis = lay_axis(length, size, overlap, blend)
    assert (axis.length, axis.size) == (length, size)
    steps = np.diff(axis.starts)
    if length > size:
        assert axis.starts[0] == 0
        assert axis.starts[-1] == length - size
        assert steps.min() >= 1
        assert np.ptp(steps) <= 1
        assert steps.max() <= max(1, np.ceil(size * (1 - overlap)))
    total = np.zeros(length)
    for place, weights in enumerate(axis.weights):
        inside = axis.inside(place)
        total[inside] += weights[inside.start - axis.starts[place] :][: inside.stop - inside.start]
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_gaussian_weights_fall_off_with_an_eighth_of_the_window() -> None:
    axis = lay_axis(24, 16, 0.5, "gaussian")
    alone = np.exp(-0.5 * ((np.arange(16) - 7.5) / 2) ** 2)
    np.testing.assert_allclose(axis.weights[0][8:], alone[8:] / (alone[8:] + alone[:8]), rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(axis=axes, longest=st.one_of(st.none(), st.integers(1, 20)))
def test_pieces_are_an_axis_cut_where_windows_begin_and_end(axis: Any, longest: int | None) -> None:
    pieces = pieces_of(axis, longest)
    assert [voxel for piece in pieces for voxel in range(piece.start, piece.stop)] == list(range(axis.length))
    assert all(0 < piece.stop - piece.start <= (longest or axis.length) for piece in pieces)
    insides = [range(inside.start, inside.stop) for inside in map(axis.inside, range(len(axis.starts)))]
    for piece in pieces:
        for voxel in (piece.start, piece.stop - 1):
            covering = [place for place, inside in enumerate(insides) if voxel in inside]
            assert covering == list(range(piece.first, piece.last + 1))
    edges = {edge for inside in insides for edge in (inside.start, inside.stop)}
    assert edges <= {edge for piece in pieces for edge in (piece.start, piece.stop)}


@settings(max_examples=60, deadline=None)
@given(axis=axes, seed=st.integers(0, 99))
def test_running_means_end_at_the_weighted_sum_and_begin_with_the_first_value(axis: Any, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=axis.weights.shape)
    mean, total, begun = np.full(axis.length, np.nan), np.zeros(axis.length), np.zeros(axis.length, np.bool_)
    for place, share in enumerate(shares_of(axis)):
        inside = axis.inside(place)
        window = slice(inside.start - axis.starts[place], inside.stop - axis.starts[place])
        np.testing.assert_array_equal(share[~begun[inside]], 1)
        own = values[place, window]
        mean[inside] = np.where(share == 1, own, mean[inside] * (1 - share) + own * share)
        total[inside] += axis.weights[place, window].astype(np.float64) * own
        begun[inside] = True
    np.testing.assert_allclose(mean, total, atol=5e-6)


@settings(max_examples=60, deadline=None)
@given(shape=sizes, size=sizes, overlap=st.floats(0, 0.9), plane=st.sampled_from([None, 0, 1, 2]))
def test_windows_come_slab_by_slab_and_row_by_row(shape: Any, size: Any, overlap: float, plane: int | None) -> None:
    layout = lay_out(shape, size, plane, overlap, "gaussian")
    windows = list(layout.windows())
    assert sorted(layout.order) == [0, 1, 2]
    assert layout.order[1] < layout.order[2]
    keys = [tuple(window.places[axis] for axis in layout.order) for window in windows]
    assert keys == sorted(set(keys))
    assert len(keys) == prod(len(axis.starts) for axis in layout.axes)
    for window in windows:
        for axis, place, inner, within in zip(layout.axes, window.places, window.inner, window.within, strict=True):
            assert inner == axis.inside(place)
            assert within.start == inner.start - axis.starts[place]
            assert within.stop - within.start == inner.stop - inner.start
            assert 0 <= within.start < within.stop <= axis.size
    firsts = [window.inner[layout.order[0]].start for window in windows]
    assert all(one <= other for one, other in pairwise(firsts))


def test_a_small_image_lies_in_the_middle_of_one_window() -> None:
    (window,) = lay_out((3, 4, 8), (8, 4, 8), None, 0.5, "gaussian").windows()
    assert window.inner == (slice(0, 3), slice(0, 4), slice(0, 8))
    assert window.within == (slice(2, 5), slice(0, 4), slice(0, 8))


@pytest.mark.parametrize(
    ("shape", "size", "axis"),
    [
        ((40, 20, 20), (8, 8, 8), 0),
        ((20, 20, 40), (8, 8, 8), 2),
        ((20, 20, 20), (8, 8, 8), 0),  # all the same: the first
        ((20, 20, 20), (8, 4, 8), 1),  # windows are thinnest there
        ((6, 40, 20), (8, 8, 8), 1),  # windows are thicker than the volume
    ],
)
def test_slabs_lie_where_they_are_smallest(shape: Any, size: Any, axis: int) -> None:
    assert slab_axis(shape, size) == axis
    live = [min(w, n) * prod(shape) / n for w, n in zip(size, shape, strict=True)]
    assert live[axis] == min(live)
    assert lay_out(shape, size, None, 0.5, "gaussian").order[0] == axis
    assert lay_out(shape, size, 1, 0.5, "gaussian").order == (1, 0, 2)
