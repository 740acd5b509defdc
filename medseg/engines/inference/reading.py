"""What one plane of probabilities says about a segmentation, before anything is summed up over planes."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from medseg.engines.inference.frame import Activation
from medseg.engines.inference.maps import entropy


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Facts of a plane (A, B). Rows R: one for all classes with softmax, one for each region with sigmoid.

    labels: uint8 (R, A, B), class indices, or whether a voxel lies in the region.  margin: (R, A, B), the best
    probability minus the second best; of a region, minus that of lying outside.  foreground: (A, B), the probability of
    any foreground; of regions the largest.  overlap, probable, predicted: float64 per foreground class or region, sums
    of its probability where it is predicted, of its probability, and of its predicted voxels.
    """

    labels: Tensor
    margin: Tensor
    foreground: Tensor
    overlap: Tensor
    probable: Tensor
    predicted: Tensor


def read_plane(scores: Tensor, activation: Activation) -> Reading:
    """Read probabilities (K, A, B) as they are; labels are those of `decode`, at most 255 classes."""
    return _read_classes(scores) if activation == "softmax" else _read_regions(scores)


def entropies(scores: Tensor, activation: Activation, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Return, per row, the sum of entropies (float64) where `chosen` (R, A, B) says so, and how many voxels these are.

    scores: (K, A, B).  Entropies are over their largest possible value.
    """
    if activation == "softmax":
        found = [entropy(scores[:, chosen[0]], "softmax")]
    else:
        found = [entropy(row[voxels][None], "sigmoid") for row, voxels in zip(scores, chosen, strict=True)]
    return torch.stack([row.sum(dtype=torch.float64) for row in found]), chosen.sum((1, 2), dtype=torch.float64)


def disagreement(doubt: Tensor) -> Tensor:
    """Return 0..1 for doubts in nats, of any shape: 1 from log 2 on.

    That is the doubt where half of the members are certain of one class and the other half of another.
    """
    return (doubt / log(2)).clamp(0, 1)


def _read_classes(scores: Tensor) -> Reading:
    best, second = scores[0].clone(), torch.zeros_like(scores[0])
    labels = torch.zeros_like(best, dtype=torch.uint8)
    for index, score in enumerate(scores[1:], start=1):
        labels.masked_fill_(score > best, index)
        torch.maximum(second, torch.minimum(best, score), out=second)
        torch.maximum(best, score, out=best)
    flat, count = labels.flatten(), len(scores)
    return Reading(
        labels=labels[None],
        margin=(best - second)[None],
        foreground=1 - scores[0],
        overlap=torch.bincount(flat, best.flatten().double(), count)[1:],
        probable=scores.sum((1, 2)).double()[1:],
        predicted=torch.bincount(flat, minlength=count).double()[1:],
    )


def _read_regions(scores: Tensor) -> Reading:
    inside = scores > 0.5
    return Reading(
        labels=inside.byte(),
        margin=2 * scores - 1,
        foreground=scores.amax(0),
        overlap=(scores * inside).sum((1, 2)).double(),
        probable=scores.sum((1, 2)).double(),
        predicted=inside.sum((1, 2)).double(),
    )
