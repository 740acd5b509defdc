"""Dropout of whole feature maps that does not depend on how a batch is divided."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FeatureDropout(nn.Module):
    """Set a share of the feature maps `(B, C, *space)` to 0 in training, and scale up the others.

    Which maps go is drawn for all `patches` of a step, from the generator that everybody seeds alike; a part of them
    takes its `rows`. So a step that is computed in parts, or by several processes, drops what the whole would drop.
    Source: the spatial dropout of Tompson et al. 2015, arXiv:1411.4280.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.patches: int | None = None
        self.rows: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps that are kept, larger by 1 / (1 - share); in eval mode `x` itself."""
        if not self.training or self.share == 0:
            return x
        chances = torch.rand(self.patches or len(x), x.shape[1], device=x.device)
        if self.rows is not None:
            chances = chances.index_select(0, self.rows)
        kept = (chances >= self.share).to(x.dtype) / (1 - self.share)
        return x * kept[(..., *[None] * (x.ndim - 2))]

    def extra_repr(self) -> str:
        """Return the share for printing."""
        return f"share={self.share}"


def drops(network: nn.Module) -> list[FeatureDropout]:
    """Return the layers of a network that drop anything."""
    return [module for module in network.modules() if isinstance(module, FeatureDropout) and module.share > 0]
