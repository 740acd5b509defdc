"""Which classes can win anywhere in a box of voxels: the others need no resampling.

Linear interpolation lies between its inputs, so no class comes out above its highest score in the box, nor below its
lowest. The winner is at least the mean of those that contend. A brick in the middle of an organ has one contender
of a hundred, one on its surface a few.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medseg.engines.inference.frame import Activation

# Interpolated float32 probabilities leave the range of their inputs by rounding, far less than this.
_SLACK = 1e-5


def contenders(scores: Tensor, activation: Activation) -> list[int]:
    """Return, ascending, the outputs that `decode` can choose at any point between voxels of `scores` (K, X, Y, Z).

    softmax: the classes that may be the best one somewhere, at least one.  sigmoid: regions that reach 0.5 somewhere.
    Exact for any scores in -1..1: leaving the others out cannot change a label.
    """
    highest = scores.amax((1, 2, 3))
    if activation == "sigmoid":
        return _numbers(highest > 0.5 - _SLACK)
    least = scores.amin((1, 2, 3)).max()
    if int((highest >= least - _SLACK).sum()) > 1:
        least = torch.maximum(least, _share(scores))
    return _narrowed(scores, highest, _numbers(highest >= least - _SLACK))


def _narrowed(scores: Tensor, highest: Tensor, kept: list[int]) -> list[int]:
    """Leave out who cannot reach an equal share of what the contenders have together, until all of them can."""
    while len(kept) > 1:
        able = _numbers(highest[kept] >= _share(scores[kept]) - _SLACK)
        if len(able) == len(kept):
            break
        kept = [kept[place] for place in able]
    return kept


def _share(scores: Tensor) -> Tensor:
    """Return the least that the best of these classes has at any point: the smallest sum over their number."""
    return scores.sum(0).amin() / len(scores)


def _numbers(chosen: Tensor) -> list[int]:
    found: list[int] = torch.nonzero(chosen).flatten().tolist()
    return found
