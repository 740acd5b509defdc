"""Patches along the axes of the case: copied, and flipped, or zoomed one axis after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medseg.engines.sampling.cutting.sources import Source, box_of, boxed, moved, region
from medseg.engines.sampling.cutting.zooming import interpolate
from medseg.values.volume import Array, FloatArray


def copied(source: Array | Tensor, centre: FloatArray, signs: FloatArray, patch: Tensor) -> None:
    """Fill `patch` (..., X, Y, Z) with the box around `centre`, zeros outside, flipped along axes of negative sign."""
    size = np.asarray(patch.shape[-3:])
    corner = np.rint(centre - (size - 1) / 2).astype(int)
    start, stop = np.maximum(corner, 0), np.minimum(corner + size, source.shape[-3:])
    if np.any(stop - start < size):
        patch.zero_()
    if np.any(start >= stop):
        return
    first, last = start - corner, stop - corner
    target = box_of(np.where(signs < 0, size - last, first), np.where(signs < 0, size - first, last))
    index: tuple[Any, ...] = (..., *target)
    _write(patch[index], boxed(source, box_of(start, stop)), [a - 3 for a in range(3) if signs[a] < 0])


def _write(target: Tensor, part: Array | Tensor, flipped: list[int]) -> None:
    """Copy and flip in one pass on the CPU, where numpy can read backwards; a device flips what came to it."""
    if target.device.type == "cpu" and not isinstance(part, Tensor):
        np.copyto(target.numpy(), np.flip(part, flipped))
    else:
        there = region(part, (), target.device)
        target.copy_(there.flip(flipped) if flipped else there)


def zoomed(case: Source, centre: FloatArray, scales: FloatArray, image: Tensor, classes: Tensor) -> None:
    """Fill a patch whose voxel `o` shows the case at `centre + scales * (o - middle)`: interpolate axis by axis.

    Linear interpolation between eight voxels is just that where the axes are those of the case.
    """
    size, limits = np.asarray(classes.shape), np.asarray(case.classes.shape)
    places = [centre[a] + scales[a] * (np.arange(size[a]) - (size[a] - 1) / 2) for a in range(3)]
    start = np.array([max(0, int(np.floor(place.min()))) for place in places])
    stop = np.array([min(limits[a], int(np.floor(place.max())) + 2) for a, place in enumerate(places)])
    if np.any(start >= stop):
        image.zero_()
        classes.zero_()
        return
    box, device = box_of(start, stop), image.device
    along = [place - start[axis] for axis, place in enumerate(places)]
    interpolate(region(case.image, box, device), along, image)
    kinds = region(case.classes, box, device)
    for axis, place in enumerate(along):
        kinds = _nearest(kinds, axis, np.rint(place).astype(np.int64))
    classes.copy_(kinds)


def _nearest(kinds: Tensor, axis: int, places: NDArray[np.int64]) -> Tensor:
    """Take planes along an axis, background outside."""
    length = kinds.shape[axis]
    inside = (places >= 0) & (places < length)
    taken = kinds.index_select(axis, moved(places.clip(0, length - 1), kinds.device))
    for first, last in _runs(~inside):
        taken.narrow(axis, first, last - first).zero_()
    return taken


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where runs of true flags begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
