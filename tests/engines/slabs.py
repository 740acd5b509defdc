"""Whole predictions cut into slabs, and placements for them, for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch

from medseg.engines.inference.frame import Activation, Slab
from medseg.ops.placement import Placement, StoredGrid, place
from medseg.values.volume import FloatArray

Shape = tuple[int, int, int]
UNTURNED = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def cut_slabs(
    scores: FloatArray, axis: int, cuts: Sequence[int] = (), doubt: FloatArray | None = None
) -> Iterator[Slab]:
    """Yield slabs of scores (K, X, Y, Z) that begin at 0 and at `cuts` along an axis; each has memory of its own."""
    size = scores.shape[axis + 1]
    edges = sorted({0, size, *(cut % size for cut in cuts)})
    for start, stop in pairwise(edges):
        unsure = None if doubt is None else torch.from_numpy(doubt.take(range(start, stop), axis))
        yield Slab(axis, start, torch.from_numpy(scores.take(range(start, stop), axis + 1)), unsure)


def placed(prepared: Shape, cropped: Shape) -> Placement:
    """Return the placement of a scan without crop or turn, whose voxels are 1 mm long."""
    return place(StoredGrid(shape=cropped, affine=UNTURNED), ((0, 0, 0), cropped), prepared)


def probabilities(seed: int, outputs: int, shape: Shape, activation: Activation, coarse: bool = False) -> FloatArray:
    """Draw scores (K, X, Y, Z) float32: with softmax they add up to 1; `coarse` ones are multiples of 1/4."""
    generator = np.random.default_rng(seed)
    if activation == "sigmoid":
        drawn = generator.random((outputs, *shape))
        return (np.round(drawn * 4) / 4 if coarse else drawn).astype(np.float32)
    if coarse:
        throws = generator.integers(0, outputs, (4, *shape))
        return np.stack([(throws == index).mean(0) for index in range(outputs)]).astype(np.float32)
    sharp = np.exp(generator.normal(0, 3, (outputs, *shape)))
    return (sharp / sharp.sum(0)).astype(np.float32)
