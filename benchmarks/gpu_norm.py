"""Norm and activation alone, forward and backward: fused and plain, at the sizes of the finest and a coarse level."""

from __future__ import annotations

from typing import Any

import gpu_clock
import torch
from gpu_cases import Size
from torch import Tensor

from medseg.networks.norm import NormAct

PASSES = 8  # over one tensor, at least: two reads and a write forward, four reads and a write backward


def measure(size: Size, device: torch.device) -> dict[str, Any]:
    """Return seconds forward and backward of two samples in bfloat16, channels-last, and bytes per second of fused."""
    torch.set_num_threads(gpu_clock.threads())
    found: dict[str, Any] = {}
    for name, level in (("fine", 0), ("coarse", len(size.features) - 2)):
        shape = (2, size.features[level], *(size.patch >> level,) * 3)
        x, dy = (torch.randn(shape, device=device).to(torch.bfloat16) for _ in range(2))
        x, dy = (one.contiguous(memory_format=torch.channels_last_3d) for one in (x, dy))
        for fused in (False, True):
            layer = NormAct(shape[1]).to(device)
            layer.fused = fused
            found[f"{name}_{'fused' if fused else 'plain'}_seconds"] = _seconds(layer, x, dy, device)
        found[f"{name}_bytes_per_second"] = PASSES * x.numel() * 2 / found[f"{name}_fused_seconds"]
    return found


def _seconds(layer: NormAct, x: Tensor, dy: Tensor, device: torch.device) -> float:
    x = x.requires_grad_()

    def take() -> object:
        return torch.autograd.grad(layer(x), [x, layer.weight, layer.bias], dy)

    gpu_clock.warm(take, device, 3)
    return float(gpu_clock.seconds_per_step(take, device, 5, 0.2)["seconds"])
