"""The sums that losses are made of: each adds up over patches, so the parts of a batch can be computed apart."""

from __future__ import annotations

import torch
from torch import Tensor


def overlap_sums(probabilities: Tensor, truth: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return four sums per class, `(4, K)` float64: what is right, predicted and present, and whether any voxel counts.

    probabilities and truth (bool): `(B, K, *space)`, without background. Sums run over batch and space.  counted: which
    voxels count, bool and of a shape that broadcasts to theirs; None for all. The last sum is above 0 where any does.
    """
    over = [0, *range(2, probabilities.ndim)]
    kinds = probabilities.shape[1]
    if counted is None:
        counts = torch.full((kinds,), len(probabilities), dtype=torch.float64, device=probabilities.device)
    else:
        probabilities, truth = probabilities * counted, truth & counted
        counts = counted.sum(over).double().expand(kinds)
    right, predicted = (probabilities * truth).sum(over), probabilities.sum(over)
    return torch.stack([right.double(), predicted.double(), truth.sum(over).double(), counts])


def overlap_value(sums: Tensor, false_positives: float, false_negatives: float, smooth: float) -> Tensor:
    """Return the overlap loss of sums `(..., 4, K)`, in shape `(...)`: see `overlap_loss`."""
    right, predicted, present, counts = sums.unbind(-2)
    known = counts > 0
    steady = smooth * (present == 0)
    wrong = false_positives * (predicted - right) + false_negatives * (present - right)
    ratio = torch.where(known, (right + steady) / (right + wrong + steady), 0.0)
    return (1.0 - ratio.sum(-1) / known.sum(-1).clamp_min(1)) * known.any(-1)


def mean_sums(values: Tensor, counted: Tensor | None) -> Tensor:
    """Return the sum of the values that count (bool, broadcast to their shape; None for all) and how many, `(2,)`."""
    if counted is None:
        number = torch.full((), values.numel(), dtype=torch.float64, device=values.device)
        return torch.stack([values.sum().double(), number])
    counted = counted.expand_as(values)
    # The clone keeps the memory order of the values: where all of them count, they are summed as if none were masked.
    return torch.stack([values.clone().masked_fill_(~counted, 0.0).sum().double(), counted.sum().double()])


def mean_value(sums: Tensor) -> Tensor:
    """Return the mean of sums `(..., 2)`, 0 where nothing counts."""
    total, number = sums.unbind(-1)
    return total / number.clamp_min(1)


def focal_values(surprise: Tensor, gamma: float) -> Tensor:
    """Return (1 - p)^gamma * -log p, given `surprise` = -log p of what is true, in its shape.

    Source: Lin et al. 2017, arXiv:1708.02002, without class weights.
    """
    doubt = -torch.expm1(-surprise)
    # A root's slope at 0 is infinite; no gradient is lost by staying away from it.
    return doubt.clamp_min(1e-12) ** gamma * surprise
