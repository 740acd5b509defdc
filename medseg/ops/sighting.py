"""A scan in a few numbers, so that thousands can be compared: percentiles, a miniature, the sizes of its lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.ops.parts import part_sizes
from medseg.ops.scoring.overlap import union_box
from medseg.values.volume import Array, BoolArray, FloatArray

PERCENTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
MINIATURE = 8
_MOST_SAMPLES = 1 << 14
_PIECE = 1 << 20
_FEW_STEPS = 16


def thinned(voxels: FloatArray) -> FloatArray:
    """Take every n-th voxel of an image, some tens of thousands in all, (N,).

    n is odd, so that steps and rows do not fall into one rhythm.
    """
    step = (voxels.size // _MOST_SAMPLES) | 1
    if voxels.flags.c_contiguous or step < _FEW_STEPS:
        return voxels.reshape(-1)[::step]
    sample: FloatArray = voxels.flat[::step]  # one by one, which is less work than turning the whole image
    return sample


def intensity_percentiles(sample: FloatArray, lowest: float, highest: float) -> tuple[float, ...]:
    """Return `PERCENTILES` of a sample of voxels (N,) between the extremes of all of them."""
    inner = np.percentile(sample, PERCENTILES[1:-1])
    return lowest, *(float(value) for value in inner), highest


def mean_and_sd(sample: FloatArray) -> tuple[float, float]:
    """Return mean and standard deviation of a sample, in double precision."""
    return float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64))


def share_of_zeros(sample: FloatArray) -> float:
    """Return which share of a sample is exactly 0."""
    return 1.0 - float(np.count_nonzero(sample)) / sample.size


def miniature(voxels: FloatArray) -> FloatArray:
    """Average an image (X, Y, Z) to (8, 8, 8), then shift and scale to mean 0 and standard deviation 1 (float16).

    Axes of fewer than 8 voxels repeat them. A constant miniature is all 0.
    """
    small: FloatArray = np.asarray(voxels, np.float32)
    for axis, size in enumerate(voxels.shape):
        starts = np.arange(MINIATURE) * size // MINIATURE
        counts = np.maximum(1, np.diff([*starts, size]))
        sums = np.add.reduceat(small, starts, axis=axis)
        small = sums / counts.astype(np.float32).reshape([-1 if place == axis else 1 for place in range(3)])
    spread = float(small.std())
    return np.asarray((small - small.mean()) / (spread or 1.0), np.float16)


def lesion_volumes_ml(labels: Array, numbers: Sequence[int], voxel_ml: float) -> tuple[float, ...]:
    """Return the volumes of the connected parts (26 neighbours) of the region that joins `numbers`, largest first.

    labels: (X, Y, Z) uint8.
    """
    region = _any_of(_laid_out(labels), numbers)
    box = union_box(region, region)
    if box is None:
        return ()
    return tuple(float(size) * voxel_ml for size in part_sizes(region[box]))


def count_numbers(labels: Array, expected: Sequence[int]) -> dict[int, int]:
    """Count the voxels of every number in a mask (uint8, any shape), ascending; numbers without voxels are left out.

    Numbers that are `expected` are counted by comparing, which is many times faster than sorting voxels into 256 bins.
    """
    plain = _laid_out(labels)
    counts = {number: int(np.count_nonzero(plain == number)) for number in expected}
    if sum(counts.values()) < labels.size:
        counts = dict(enumerate(_binned(plain).tolist()))
    return {number: count for number, count in sorted(counts.items()) if count}


def _laid_out(labels: Array) -> Array:
    """Turn and reverse axes so that voxels follow each other in memory: for what does not depend on directions.

    Comparing voxels that lie backwards takes 20 times as long.
    """
    forwards = labels[tuple(slice(None, None, -1 if step < 0 else 1) for step in labels.strides)]
    return forwards.transpose(np.argsort([-step for step in forwards.strides], kind="stable"))


def _any_of(labels: Array, numbers: Sequence[int]) -> BoolArray:
    """Tell where a label is one of `numbers`; comparing with each is many times faster than looking them up."""
    found: BoolArray = np.zeros_like(labels, np.bool_)
    for number in numbers:
        found |= labels == number
    return found


def _binned(labels: Array) -> Array:
    """Count every number from 0 to 255, piece by piece: numpy widens what it bins to eight bytes a voxel."""
    flat = labels.reshape(-1)
    pieces = (flat[start : start + _PIECE] for start in range(0, flat.size, _PIECE))
    return np.asarray(np.sum([np.bincount(piece, minlength=256) for piece in pieces], axis=0))


def constant_end(voxels: Array) -> int:
    """Return how many slices at the end of the last axis hold one same value, as a reader leaves of a file cut short.

    Slices of that value at the beginning too (a black margin on both sides) count against it.
    """
    last = voxels[0, 0, -1]
    if (voxels[:, :, -1] != last).any():
        return 0
    differs = np.flatnonzero((voxels != last).any(axis=(0, 1)))
    if differs.size == 0:
        return int(voxels.shape[2])
    end = int(voxels.shape[2]) - 1 - int(differs[-1])
    return max(0, end - int(differs[0]))
