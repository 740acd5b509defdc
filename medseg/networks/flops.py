"""How many operations the convolutions of our U-Net take: what a GPU's speed is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from medseg.networks.unet import supervised_levels
from medseg.values.plan import Architecture


@dataclass(frozen=True, slots=True)
class Flops:
    """Additions and multiplications of all convolutions: in one forward pass, and in forward and backward together.

    Nothing else is counted: norms, activations and the loss move memory rather than compute.
    """

    forward: int
    training: int


def count_flops(
    architecture: Architecture, patch: Sequence[int], batch: int = 1, deep_supervision: bool = False
) -> Flops:
    """Count for a batch of patches; `patch` has one number per axis that the network sees, of any size.

    A convolution's outputs cost a multiplication and an addition per weight that they see, zeros of the padding
    included. Its backward pass costs the same twice, for its weights and for its input; the images need no gradient.
    """
    sizes = _sizes(architecture, patch)
    first, *others = [*_levels(architecture, sizes), *_heads(architecture, sizes, deep_supervision)]
    forward = batch * (first + sum(others))
    return Flops(forward, batch * (2 * first + 3 * sum(others)))


def _sizes(architecture: Architecture, patch: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the space of each level, finest first."""
    sizes, space = [], tuple(patch)
    for stride, kernel in zip(architecture.strides, architecture.kernels, strict=True):
        space = tuple((n + 2 * (k // 2) - k) // s + 1 for n, s, k in zip(space, stride, kernel, strict=True))
        sizes.append(space)
    return sizes


def _levels(architecture: Architecture, sizes: Sequence[Sequence[int]]) -> list[int]:
    """Return the operations of each convolution down and up, the very first one first."""
    features, kernels, strides = architecture.features, architecture.kernels, architecture.strides
    counts, incoming = [], architecture.channels
    for width, size, kernel in zip(features, sizes, kernels, strict=True):
        counts += [2 * prod(size) * prod(kernel) * width * channels for channels in (incoming, width)]
        incoming = width
    for i, (width, size, kernel) in enumerate(zip(features[:-1], sizes, kernels, strict=False)):
        counts += [2 * prod(size) * prod(kernel) * width * channels for channels in (2 * width, width)]
        counts.append(2 * prod(sizes[i + 1]) * prod(strides[i + 1]) * width * features[i + 1])
    return counts


def _heads(architecture: Architecture, sizes: Sequence[Sequence[int]], deep_supervision: bool) -> list[int]:
    heads = supervised_levels(len(architecture.features)) if deep_supervision else 1
    return [2 * prod(sizes[i]) * architecture.features[i] * architecture.outputs for i in range(heads)]
