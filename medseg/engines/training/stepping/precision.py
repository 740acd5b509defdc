"""In what numbers a step computes, and the scale that keeps the gradients of fp16 from vanishing."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from medseg.engines.training.limits import check_precision
from medseg.engines.training.settings import TrainingSettings

logger = logging.getLogger(__name__)

FIRST_SCALE = 2.0**16
LARGEST_SCALE = 2.0**32
SMALLEST_SCALE = 2.0**-16
STEPS_TO_DOUBLE = 2000
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Scale = dict[str, Tensor]


def precision_of(settings: TrainingSettings, device: torch.device) -> torch.dtype:
    """Return what convolutions compute in: weights, losses and sums stay in float32. `auto`: see the setting.

    Refuses half precision on a CPU: see `check_precision`.
    """
    check_precision(settings, device.type)
    name = settings.precision
    if name == "auto":
        name = "bf16" if device.type == "cuda" else "fp32"
    if name != "fp32" and torch.__version__.startswith("2.9."):
        logger.warning("torch %s is slow in 3-D convolutions of half precision: use 2.10 or later", torch.__version__)
    return _DTYPES[name]


def first_scale(device: torch.device) -> Scale:
    """Return the loss scale before the first step: `scale`, and `steps` in a row that went well, float32 scalars."""
    return {"scale": torch.tensor(FIRST_SCALE, device=device), "steps": torch.zeros((), device=device)}


def adapt(scale: Scale, finite: Tensor) -> None:
    """Halve the scale after a step whose gradients were not finite; double it after 2000 others in a row, in place.

    Source: dynamic loss scaling of Micikevicius et al. 2018, arXiv:1710.03740, with the constants of PyTorch.
    """
    steps = scale["steps"] + 1
    double = (scale["scale"] * 2).clamp_max(LARGEST_SCALE)
    grown = torch.where(steps >= STEPS_TO_DOUBLE, double, scale["scale"])
    scale["scale"].copy_(torch.where(finite, grown, scale["scale"] / 2))
    scale["steps"].copy_(torch.where(finite & (steps < STEPS_TO_DOUBLE), steps, 0.0))
