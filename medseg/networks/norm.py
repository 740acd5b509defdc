"""Instance norm and leaky ReLU in one module, and the choice of how a machine computes them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.networks.abilities import no_fused_norm
from medseg.networks.norm_fused import norm_act, triton_serves
from medseg.values.machine import Machine

SLOPE = 0.01
EPS = 1e-5


class NormAct(nn.Module):
    """Normalise each channel of each sample of `(B, C, *space)`, scale and shift it, then apply a leaky ReLU.

    `fused` says how: False takes PyTorch's two functions, True one of our own that moves less memory and differs in
    rounding at most. Refuses a single voxel in training, which has no spread.
    Source: Ulyanov et al. 2016, arXiv:1607.08022, with the biased variance; Maas et al. 2013.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.fused = False

    def forward(self, x: Tensor) -> Tensor:
        """Return a new tensor of the same shape and type; statistics are those of `x` in eval mode too."""
        if self.fused and x.numel() > x.shape[0] * x.shape[1]:
            return norm_act(x, self.weight, self.bias, EPS, SLOPE)
        normed = functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=EPS)
        return functional.leaky_relu_(normed, SLOPE)

    def extra_repr(self) -> str:
        """Return the number of channels for printing."""
        return f"{len(self.weight)}"


def choose_norm(network: nn.Module, device: torch.device, machine: Machine) -> None:
    """Tell a network, which lies on `device` already, how to compute its norms: as `machine.norm` asks.

    Refuses `fused` for networks that have no `NormAct`.
    """
    layers = [module for module in network.modules() if isinstance(module, NormAct)]
    if machine.norm == "fused" and not layers:
        raise no_fused_norm(type(network).__name__)
    fused = machine.norm == "fused" or (machine.norm == "auto" and bool(layers) and _is_faster(device, machine))
    for layer in layers:
        layer.fused = fused


def _is_faster(device: torch.device, machine: Machine) -> bool:
    """Return whether the fused norm is the faster one: torch.compile fuses better, so it gets the plain one.

    On a CPU the plain one copies tensors that are channels-last.
    """
    if machine.compile:
        return False
    return triton_serves(device) if device.type == "cuda" else machine.layout != "channels_first"
