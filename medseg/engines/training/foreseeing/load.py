"""What a training step will hold in memory, from the shapes in its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import nn

from medseg.engines.training.foreseeing.walk import walk
from medseg.engines.training.settings import TrainingSettings
from medseg.networks.unet import UNet
from medseg.values.plan import Plan

# What the backward pass holds beside the activations, counted in the largest one of them: gradients of it on both
# sides of a convolution and one copy in another order. Compared with measured steps in benchmarks/preflight.py.
PASSING = 3
RECOMPUTED = 3  # what one level keeps while its activations are computed again, in the same measure
LOSS_COPIES = 4  # of the logits in float32: their gradient, probabilities, and what the sums keep


@dataclass(frozen=True, slots=True)
class Load:
    """Bytes that a training step holds: `fixed` whatever the batch, and `patch` for each patch computed at once.

    `weights` are those of the network alone, once; `stored` is what one checkpoint takes on the disk.
    """

    fixed: int
    patch: int
    weights: int
    stored: int

    def of(self, patches: int) -> int:
        """Return the bytes of a step that computes so many patches at once."""
        return self.fixed + patches * self.patch

    def fitting(self, free: int) -> int:
        """Return how many patches at once fit in `free` bytes; below 1 not even one does."""
        return max(0, free - self.fixed) // max(1, self.patch)


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What a step of this process computes: so many `patches` of a batch, of this `plan`, in this `dtype`."""

    plan: Plan
    training: TrainingSettings
    patches: int
    dtype: torch.dtype = torch.float32


def load_of(network: nn.Module, step: StepPlan, recompute: bool = False) -> Load | None:
    """Estimate the load of a training from the shapes in its network, which lies on the meta device.

    None where the network cannot be walked without computing, or cannot recompute what it is asked to.
    """
    plan, training = step.plan, step.training
    weights = _bytes(network)
    moments = 2 if training.optimiser == "adamw" else int(training.momentum > 0)
    copies = 4 + moments  # the network, its average, and the best of both so far
    space = [size for axis, size in enumerate(plan.patch) if axis != plan.plane]
    held = _held(network, (plan.architecture.channels, *space), step.dtype, recompute)
    if held is None:
        return None
    batch = step.patches * prod(space) * (2 * 4 * plan.architecture.channels + 8)
    logits = LOSS_COPIES * 4 * plan.architecture.outputs * prod(space)
    return Load((copies + 1) * weights + batch, held + logits, weights, copies * weights)


def _held(network: nn.Module, image: Sequence[int], dtype: torch.dtype, recompute: bool) -> int | None:
    network.train()
    plain = walk(network, image, dtype)
    if plain is None or not recompute:
        return None if plain is None else plain.together + PASSING * plain.largest
    if not isinstance(network, UNet):
        return None
    network.recompute = True
    sparing = walk(network, image, dtype)
    network.recompute = False
    return None if sparing is None else sparing.together + (PASSING + RECOMPUTED) * plain.largest


def _bytes(network: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
