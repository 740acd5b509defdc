"""The nearest element of another surface: first by a look around, then by a tree; no map of the whole box is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from medseg.values.volume import Array, BoolArray, FloatArray

_STEPS = 256  # that a look around takes: in isotropic voxels all up to 4 voxels away
_AT_ONCE = 8
_REACHES = (12, 40)  # voxels


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A surface as corners of a voxel grid: `border` says where they are, `places` are their flat indices, ascending.

    corners: the same as indices, `(D, N)`.
    """

    border: BoolArray
    places: Array
    corners: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Steps `(D, K)` to other corners and how long they are, the shortest first."""

    steps: Array
    distances_mm: FloatArray


def side_of(border: BoolArray) -> Side:
    """Return the corners of a grid where `border` is true."""
    places = np.flatnonzero(border)
    return Side(border, places, np.array(np.unravel_index(places, border.shape)))


def facing(own: Side, other: Side, spacing_mm: tuple[float, ...]) -> tuple[Array, FloatArray]:
    """Return of each own corner which of the other's is nearest, and its distance in mm; both grids are one.

    Most corners of a good segmentation are on both surfaces, and most of the rest have the other one close by.
    """
    shared = other.border.ravel()[own.places]
    nearest, distances = np.empty(len(shared), np.intp), np.zeros(len(shared))
    nearest[shared] = np.flatnonzero(own.border.ravel()[other.places])  # the same corners in the same order
    left = np.flatnonzero(~shared)
    found, nearest[left], distances[left] = _looked_around(own.corners[:, left], other, spacing_mm)
    far = left[~found]
    nearest[far], distances[far] = searched(own.corners[:, far], other.corners, spacing_mm)
    return nearest, distances


def searched(own: Array, other: Array, spacing_mm: tuple[float, ...]) -> tuple[Array, FloatArray]:
    """Search the nearest of `other` `(D, M)` for each of `own` `(D, N)`, which may be far away.

    Where two large surfaces differ in one place, it is enough to search around that place: whatever is found within the
    reach has nothing nearer beyond it. Distances come from whole voxels, as in a distance map.
    """
    nearest, distances = np.zeros(own.shape[1], np.intp), np.full(own.shape[1], np.inf)
    left: Array = np.arange(own.shape[1])
    for reach in _REACHES:
        if len(left) == 0:
            break
        close = _close(own[:, left], other, reach)
        if 2 * len(close) > other.shape[1]:
            break
        found, near = _asked(own[:, left], other[:, close], spacing_mm)
        sure = near <= reach * min(spacing_mm)
        nearest[left[sure]], distances[left[sure]] = close[found[sure]], near[sure]
        left = left[~sure]
    nearest[left], distances[left] = _asked(own[:, left], other, spacing_mm)
    return nearest, distances


def _looked_around(own: Array, other: Side, spacing_mm: tuple[float, ...]) -> tuple[BoolArray, Array, FloatArray]:
    """Take ever longer steps from each corner until one meets the other surface; say which were lucky."""
    table = _steps(tuple(spacing_mm))
    if own.shape[1] == 0:
        return np.zeros(0, np.bool_), np.zeros(0, np.intp), np.zeros(0)
    room, low = _room(own, other.border, np.abs(table.steps).max(axis=1))
    strides = np.array(room.strides)
    steps = _first_hits(room.ravel(), strides @ (own - low[:, None]), strides @ table.steps)
    found = steps >= 0
    met = own[:, found] + table.steps[:, steps[found]]
    nearest = np.zeros(len(found), np.intp)
    nearest[found] = np.searchsorted(other.places, np.ravel_multi_index(tuple(met), other.border.shape))
    return found, nearest, np.where(found, table.distances_mm[steps], np.inf)


def _first_hits(room: BoolArray, places: Array, steps: Array) -> Array:
    """Return the first of the steps that leads from each place to a true one, -1 where none does."""
    first = np.full(len(places), -1)
    left = np.arange(len(places))
    for start in range(0, len(steps), _AT_ONCE):
        hits = room[places[left] + steps[start : start + _AT_ONCE, None]]
        hit = hits.any(axis=0)
        first[left[hit]] = start + hits[:, hit].argmax(axis=0)
        left = left[~hit]
        if len(left) == 0:
            break
    return first


def _room(own: Array, border: BoolArray, reach: Array) -> tuple[BoolArray, Array]:
    """Return what lies up to `reach` from the corners, false beyond the grid, and where its first corner lies."""
    low, high = own.min(axis=1) - reach, own.max(axis=1) + reach + 1
    room = np.zeros(tuple(high - low), np.bool_)
    start, stop = np.maximum(low, 0), np.minimum(high, border.shape)
    inside = tuple(slice(a, b) for a, b in zip(start - low, stop - low, strict=True))
    room[inside] = border[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    return room, low


@lru_cache(maxsize=32)
def _steps(spacing_mm: tuple[float, ...]) -> _Steps:
    """Return the shortest steps; those that are longer than what was looked at reaches are left out."""
    reach = 16 if len(spacing_mm) == 2 else 6
    steps = np.indices((2 * reach + 1,) * len(spacing_mm)).reshape(len(spacing_mm), -1) - reach
    distances = np.sqrt(((steps * np.array(spacing_mm)[:, None]) ** 2).sum(axis=0))
    order = np.argsort(distances, kind="stable")[1 : _STEPS + 1]
    order = order[distances[order] <= reach * min(spacing_mm)]
    return _Steps(steps[:, order], distances[order])


def _close(own: Array, other: Array, reach: int) -> Array:
    """Return which of the others lie in the box of our own, or at most `reach` voxels outside of it."""
    inside = np.ones(other.shape[1], np.bool_)
    for mine, theirs in zip(own, other, strict=True):
        inside &= (theirs >= mine.min() - reach) & (theirs <= mine.max() + reach)
    return np.flatnonzero(inside)


def _asked(own: Array, other: Array, spacing_mm: tuple[float, ...]) -> tuple[Array, FloatArray]:
    """Ask a tree of all the others; without any, all are infinitely far."""
    if own.shape[1] == 0 or other.shape[1] == 0:
        return np.zeros(own.shape[1], np.intp), np.full(own.shape[1], np.inf)
    from scipy.spatial import cKDTree

    edges = np.array(spacing_mm)[:, None]
    tree = cKDTree((other * edges).T, leafsize=32, balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query((own * edges).T)
    steps = (other[:, nearest] - own) * edges
    return nearest, np.sqrt((steps * steps).sum(axis=0))
