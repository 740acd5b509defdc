"""Exponential moving average of a network's weights."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn


def decay_at(step: int, decay: float) -> float:
    """Return the decay at `step`: short at first, so that the random start is soon forgotten.

    Source: min(decay, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage.
    """
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, step: int, decay: float) -> None:
    """Move `average`, a copy of `network`, towards it in place; with decay 0 it becomes equal. Counters are copied."""
    targets = list(chain(average.parameters(), average.buffers()))
    sources = list(chain(network.parameters(), network.buffers()))
    pairs = list(zip(targets, sources, strict=True))
    smooth = [(target, source.detach()) for target, source in pairs if target.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in smooth], [b for _, b in smooth], 1.0 - decay_at(step, decay))
    for target, source in pairs:
        if not target.is_floating_point():
            target.copy_(source)
