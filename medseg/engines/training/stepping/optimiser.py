"""The optimisers, with weight decay only where it belongs, and the move of the weights along their gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn, optim
from torch.nn.utils import get_total_norm

from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.precision import Scale, adapt

TINY = 1e-6  # keeps the division by the norm finite, as in PyTorch's clipping


def build_optimiser(network: nn.Module, settings: TrainingSettings) -> optim.Optimizer:
    """Build AdamW or SGD with Nesterov momentum; norms and biases (tensors of one axis) get no weight decay.

    Weights that do not require gradients are left out.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimiser == "adamw":
        return optim.AdamW(groups, lr=settings.learning_rate, fused=True)
    nesterov = settings.momentum > 0
    optimiser = optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=nesterov, fused=True)
    if nesterov:
        # From zeros the first step is the same, and it may be skipped: PyTorch would leave the memory as it found it.
        for weight in parameters:
            optimiser.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    return optimiser


def set_rate(optimiser: optim.Optimizer, rate: float) -> None:
    """Give all groups of parameters the same learning rate; one that is a tensor is filled in place."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


@torch.no_grad()
def move(optimiser: optim.Optimizer, clip: float, scale: Scale) -> Tensor:
    """Move the weights along their gradients, clipped to the norm `clip`, and return the norm before, on the device.

    scale: the loss scale that the gradients were multiplied with, which is taken out and adapted; empty for none. With
    one, a step whose gradients are not finite leaves weights and optimiser as they were.
    """
    gradients = [
        weight.grad for group in optimiser.param_groups for weight in group["params"] if weight.grad is not None
    ]
    norm = get_total_norm(gradients)
    unscaled = norm / scale["scale"] if scale else norm
    factor = (clip / (unscaled + TINY)).clamp_max(1.0)
    torch._foreach_mul_(gradients, factor / scale["scale"] if scale else factor)
    if not scale:
        optimiser.step()
        return unscaled
    finite = unscaled.isfinite()
    # The way in which PyTorch tells its fused optimisers to do nothing, without anybody waiting for the device.
    optimiser.grad_scale, optimiser.found_inf = None, (~finite).float()  # type: ignore[attr-defined]
    optimiser.step()
    adapt(scale, finite)
    return unscaled
