"""The optimisers, with weight decay only where it belongs."""

from __future__ import annotations

from torch import nn, optim

from medseg.engines.training.settings import TrainingSettings


def build_optimiser(network: nn.Module, settings: TrainingSettings) -> optim.Optimizer:
    """Build AdamW or SGD with Nesterov momentum; norms and biases (tensors of one axis) get no weight decay."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimiser == "adamw":
        return optim.AdamW(groups, lr=settings.learning_rate, fused=True)
    nesterov = settings.momentum > 0
    return optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=nesterov, fused=True)


def set_rate(optimiser: optim.Optimizer, rate: float) -> None:
    """Give all groups of parameters the same learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
