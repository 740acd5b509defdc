"""Convolutions of single voxels: the same as PyTorch's, without its copies on a CPU."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Pointwise2d(nn.Conv2d):
    """Map the channels of every pixel to `outgoing` others."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__(incoming, outgoing, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, outgoing, *space)`, in the memory order of x."""
        return _as_product(self, x) if _is_worth_it(x) else super().forward(x)


class Pointwise3d(nn.Conv3d):
    """Map the channels of every voxel to `outgoing` others."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__(incoming, outgoing, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, outgoing, *space)`, in the memory order of x."""
        return _as_product(self, x) if _is_worth_it(x) else super().forward(x)


def _is_worth_it(x: Tensor) -> bool:
    """Return whether x is channels-last on a CPU: PyTorch would bring it to the other order first, and back."""
    return x.device.type == "cpu" and x.movedim(1, -1).is_contiguous()


def _as_product(layer: nn.Conv2d | nn.Conv3d, x: Tensor) -> Tensor:
    return functional.linear(x.movedim(1, -1), layer.weight.flatten(1), layer.bias).movedim(-1, 1)
