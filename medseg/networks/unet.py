"""Our U-Net for two and three dimensions, built from an `Architecture`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medseg.networks.dropout import FeatureDropout
from medseg.networks.norm import SLOPE, NormAct
from medseg.networks.pointwise import Pointwise2d, Pointwise3d
from medseg.values.plan import Architecture

_CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
_HEAD: dict[int, type[Pointwise2d] | type[Pointwise3d]] = {2: Pointwise2d, 3: Pointwise3d}


class UNet(nn.Module):
    """Map images `(B, C, *space)` to logits `(B, outputs, *space)`, for any space with two voxels left at the bottom.

    In training mode with deep supervision it returns a tuple of logits, full resolution first: see `supervised_levels`.
    There is no interpolation in the graph, so every gradient has a deterministic kernel.
    With `recompute` (off at first) a level keeps only what goes into it and computes the rest again for the gradients.
    Source: Ronneberger et al. 2015, arXiv:1505.04597; instance norm and leaky ReLU as in Isensee et al. 2021.
    """

    def __init__(self, architecture: Architecture, deep_supervision: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        features, levels = architecture.features, len(architecture.features)
        incoming = (architecture.channels, *features)
        self.encoder = nn.ModuleList(
            _level(architecture, i, incoming[i], architecture.strides[i], dropout) for i in range(levels)
        )
        self.climbs = nn.ModuleList(_climb(architecture, i) for i in range(levels - 1))
        flat = (1,) * architecture.dimensions
        self.decoder = nn.ModuleList(_level(architecture, i, 2 * features[i], flat, dropout) for i in range(levels - 1))
        supervised = supervised_levels(levels) if deep_supervision else 1
        head = _HEAD[architecture.dimensions]
        self.heads = nn.ModuleList(head(features[i], architecture.outputs) for i in range(supervised))
        self.apply(_initialise)
        self.recompute, self.drops = False, dropout > 0

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return logits, or in training mode with deep supervision the logits of several scales."""
        skips: list[Tensor] = []
        for level in self.encoder:
            x = self._through(level, x)
            skips.append(x)
        logits: list[Tensor] = []
        for i in reversed(range(len(self.decoder))):
            x = self._through(partial(self._rise, i), x, skips[i])
            if i == 0 or (self.training and i < len(self.heads)):
                logits.append(self.heads[i](x))
        return logits[0] if len(logits) == 1 else tuple(reversed(logits))

    def _rise(self, index: int, x: Tensor, skip: Tensor) -> Tensor:
        """Take the step up to level `index`, and go through the decoder there."""
        risen: Tensor = self.decoder[index](torch.cat((skip, _fit(self.climbs[index](x), skip)), 1))
        return risen

    def _through(self, level: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        if not (self.recompute and self.training):
            return level(*inputs)
        again: Tensor = checkpoint(level, *inputs, use_reentrant=False, preserve_rng_state=self.drops)
        return again


def supervised_levels(levels: int) -> int:
    """Return how many outputs a U-Net of so many levels has with deep supervision.

    The two coarsest levels of the decoder have none, but the second finest always does where there is one.
    """
    return max(min(2, levels - 1), levels - 3)


def _level(
    architecture: Architecture, index: int, incoming: int, stride: Sequence[int], dropout: float
) -> nn.Sequential:
    """Two convolutions, each normalised and rectified; the first one takes the step to the level."""
    flat = (1,) * architecture.dimensions
    outgoing, kernel = architecture.features[index], architecture.kernels[index]
    first = _convolve(incoming, outgoing, kernel, stride, dropout)
    blocks = (first, _convolve(outgoing, outgoing, kernel, flat, dropout))
    # Numbered as if activations were layers of their own, which they once were: packages know these names.
    size = len(first) + 1
    return nn.Sequential(OrderedDict((str(i * size + j), layer) for i in (0, 1) for j, layer in enumerate(blocks[i])))


def _convolve(
    incoming: int, outgoing: int, kernel: Sequence[int], stride: Sequence[int], dropout: float
) -> list[nn.Module]:
    dimensions = len(kernel)
    padding = tuple(k // 2 for k in kernel)
    # No bias: the normalisation that follows would take it out again.
    convolution = _CONVOLUTION[dimensions](incoming, outgoing, tuple(kernel), tuple(stride), padding, bias=False)  # type: ignore[arg-type]
    drop = [FeatureDropout(dropout)] if dropout else []
    return [convolution, *drop, NormAct(outgoing)]


def _climb(architecture: Architecture, index: int) -> nn.Module:
    """Take the step from level index+1 back up to level index: each voxel becomes a block of its stride's size."""
    step = tuple(architecture.strides[index + 1])
    coarse, fine = architecture.features[index + 1], architecture.features[index]
    return _TRANSPOSED[architecture.dimensions](coarse, fine, step, step, bias=False)  # type: ignore[arg-type]


def _fit(x: Tensor, like: Tensor) -> Tensor:
    """Cut off what climbing added beyond the skip's edge, where its size was no multiple of the stride."""
    for axis, size in enumerate(like.shape[2:], start=2):
        if x.shape[axis] > size:  # else the gradient would be copied, out of its memory order, for nothing
            x = x.narrow(axis, 0, size)
    return x


def _initialise(module: nn.Module) -> None:
    """Draw weights that keep the variance through leaky ReLUs. Source: He et al. 2015, arXiv:1502.01852."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
