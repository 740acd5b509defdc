"""Volumes on a coarser grid: images by the mean of blocks, masks without losing a lesion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.values.volume import Array, BoolArray, FloatArray

Factors = tuple[int, int, int]
Box = tuple[slice, slice, slice]
_AROUND = np.ones((3, 3, 3), np.bool_)  # 26-connectivity: a lesion is what touches, if only by a corner


def choose_factors(shape: Sequence[int], spacing_mm: Sequence[float], most: int) -> Factors:
    """Choose how many voxels along each axis become one, so that at most `most` blocks remain, as cubic as may be.

    shape: voxels along X, Y and Z.  Blocks at the far edge may be cut short; one block is the least that remains.
    """
    factors = [1, 1, 1]
    while np.prod([-(-n // f) for n, f in zip(shape, factors, strict=True)]) > most:
        open_axes = [axis for axis in range(3) if factors[axis] < shape[axis]]
        if not open_axes:
            break
        factors[min(open_axes, key=lambda axis: (factors[axis] * spacing_mm[axis], axis))] += 1
    x, y, z = factors
    return x, y, z


def coarse_affine(affine: FloatArray, box: Box, factors: Factors) -> FloatArray:
    """Return the affine `(4, 4)` of the blocks of a box: the middle of a whole block stays at its place in mm."""
    step = np.diag([*(float(f) for f in factors), 1.0])
    step[:3, 3] = [part.start + (f - 1) / 2 for part, f in zip(box, factors, strict=True)]
    moved: FloatArray = affine @ step
    return moved


def block_mean(array: Array, factors: Factors) -> FloatArray:
    """Return the mean of every block as float32 `(X, Y, Z)`; NaN and infinity count as 0."""
    mean = np.nan_to_num(np.asarray(array, np.float32), posinf=0.0, neginf=0.0)
    for axis, factor in enumerate(factors):
        if factor > 1:
            mean = np.add.reduceat(mean, np.arange(0, mean.shape[axis], factor), axis=axis)
            mean /= _lengths(array.shape[axis], factor).reshape([-1 if a == axis else 1 for a in range(3)])
    return mean


def shrink_labels(labels: Array, factors: Factors) -> Array:
    """Return the label of every block as uint8 `(X, Y, Z)`: the largest one where at least half of it is labelled.

    A connected piece of a label (26-connectivity) that would vanish keeps the block that holds most of it, so that a
    lesion of one voxel is still there; only of several small ones that lie within one block, one is seen.
    """
    if factors == (1, 1, 1):
        return np.asarray(labels, np.uint8)
    boxes = _boxes(labels)
    coarse = _majority(labels, list(boxes), factors)
    found = [_Pieces(number, labels[box] == number, box, factors) for number, box in boxes.items()]
    taken = set[int]().union(*(pieces.only_blocks(coarse) for pieces in found))
    for pieces in found:
        for piece in pieces.lost(coarse):
            places, counts = np.unique(piece, return_counts=True)
            free = [int(places[at]) for at in np.argsort(-counts, kind="stable") if int(places[at]) not in taken]
            if free:
                coarse.flat[free[0]] = pieces.number
                taken.add(free[0])
    return coarse


class _Pieces:
    """The connected pieces of a label: for each of its voxels the piece it belongs to, and its block by flat index."""

    def __init__(self, number: int, mask: BoolArray, box: Box, factors: Factors) -> None:
        from scipy import ndimage

        self.number = number
        pieces, _ = ndimage.label(mask, structure=_AROUND)
        voxels = np.nonzero(mask)
        self._own = pieces[voxels]
        self._blocks = tuple((v + part.start) // f for v, part, f in zip(voxels, box, factors, strict=True))

    def lost(self, coarse: Array) -> list[Array]:
        """Return, for every piece of which `coarse` shows nothing, the blocks of its voxels."""
        shown = np.zeros(self._own.max(initial=0) + 1, np.bool_)
        shown[self._own[self._seen(coarse)]] = True
        lost = ~shown[self._own]
        order = np.argsort(self._own[lost], kind="stable")
        own, blocks = self._own[lost][order], self._flat(coarse)[lost][order]
        return [piece for piece in np.split(blocks, np.flatnonzero(np.diff(own)) + 1) if piece.size]

    def only_blocks(self, coarse: Array) -> set[int]:
        """Return the blocks that are all that `coarse` shows of a piece."""
        seen = self._seen(coarse)
        pairs = np.unique(self._own[seen].astype(np.int64) * coarse.size + self._flat(coarse)[seen])
        _, first, counts = np.unique(pairs // coarse.size, return_index=True, return_counts=True)
        return {int(block) for block in pairs[first[counts == 1]] % coarse.size}

    def _seen(self, coarse: Array) -> BoolArray:
        seen: BoolArray = coarse[self._blocks] == self.number
        return seen

    def _flat(self, coarse: Array) -> Array:
        flat: Array = np.ravel_multi_index(self._blocks, coarse.shape)
        return flat


def _boxes(labels: Array) -> dict[int, Box]:
    """Return the box around every label that occurs, in ascending order of the numbers."""
    from scipy import ndimage

    return {number: box for number, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None}


def _majority(labels: Array, numbers: Sequence[int], factors: Factors) -> Array:
    shape = [-(-n // f) for n, f in zip(labels.shape, factors, strict=True)]
    coarse, best, filled = np.zeros(shape, np.uint8), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for number in numbers:
        share = block_mean(labels == number, factors)
        filled += share
        coarse[share > best] = number
        np.maximum(best, share, out=best)
    coarse[filled < 0.5 - 1e-6] = 0
    return coarse


def _lengths(voxels: int, factor: int) -> FloatArray:
    """Return how many voxels every block along an axis has."""
    ends = np.minimum(np.arange(factor, voxels + factor, factor), voxels)
    lengths: FloatArray = np.diff(ends, prepend=0).astype(np.float32)
    return lengths
