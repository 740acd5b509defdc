"""What a prediction is made of: who answers, how a network looks at a volume, and slabs of the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

Activation = Literal["softmax", "sigmoid"]
Forward = Callable[[Tensor], Tensor]
"""From windows `(B, C, *space)` float32 on the device to logits `(B, K, *space)` of any float type there.

The answer is a new tensor, which its taker may change.
"""


@runtime_checkable
class Flipping(Protocol):
    """A `Forward` that answers for mirror images without making them."""

    def __call__(self, windows: Tensor, /) -> Tensor:
        """Answer as every `Forward` does."""
        ...

    def flipped(self, windows: Tensor, axes: Sequence[int]) -> Tensor:
        """Return float32 logits for the windows flipped along batch `axes`, turned back."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """How networks look at a prepared volume: windows of `patch` voxels, slices across `plane` in 2D (patch 1 there).

    `mirror_axes` are the spatial axes that training flipped: those that mirroring may flip.
    """

    patch: tuple[int, int, int]
    plane: int | None
    activation: Activation
    mirror_axes: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Room:
    """Where windows are computed, and how many bytes of host memory a prediction may take beside image and result."""

    device: torch.device
    bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """A finished part of a prediction: the planes from `start` on along `axis`, the whole volume along the others.

    scores: probabilities (K, X, Y, Z) float32 on the host, thin along `axis`.  doubt: (X, Y, Z) float32, how far the
    members (flips, models of several folds) disagree: the entropy of their mean minus the mean of their entropies, in
    nats, at least 0; None where there is only one member.
    """

    axis: int
    start: int
    scores: Tensor
    doubt: Tensor | None = None

    @property
    def stop(self) -> int:
        """The plane after the last one."""
        return self.start + self.scores.shape[self.axis + 1]

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """Where it lies in the volume (X, Y, Z)."""
        x, y, z = (slice(self.start, self.stop) if axis == self.axis else slice(None) for axis in range(3))
        return x, y, z
