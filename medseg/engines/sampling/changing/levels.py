"""Changes of intensity levels: every voxel by itself, and by the mean, spread and ends of its channel."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

_TINY = 1e-7


def scale(images: Tensor, factor: Tensor) -> None:
    """Multiply channels (R, *space), in place; factor: (R, 1, ...), one per channel."""
    images.mul_(factor)


def stretch(images: Tensor, factor: Tensor) -> None:
    """Stretch channels (R, *space) about their means, within the range they had, in place; factor: (R, 1, ...)."""
    space = tuple(range(1, images.ndim))
    mean = images.mean(space, keepdim=True)
    low, high = images.amin(space, keepdim=True), images.amax(space, keepdim=True)
    torch.addcmul(mean * (1.0 - factor), images, factor, out=images)
    torch.clamp(images, low, high, out=images)


def power(images: Tensor, exponent: Tensor, inverted: bool = False) -> None:
    """Raise channels (R, *space), counted from their darkest voxel, to a power, in place; exponent: (R, 1, ...).

    Mean and standard deviation stay as they were, so the scale does not matter. `inverted` does it to the negative
    image, counted from the brightest voxel. A constant channel comes back as it was.
    """
    space = tuple(range(1, images.ndim))
    sign = -1.0 if inverted else 1.0
    low = images.amax(space, keepdim=True) if inverted else images.amin(space, keepdim=True)
    images.sub_(low)
    if inverted:
        images.neg_()
    mean, spread = _mean_and_spread(images)
    images.pow_(exponent)
    raised, raised_spread = _mean_and_spread(images)
    gain = sign * spread / raised_spread.clamp_min(_TINY)
    torch.addcmul(low + sign * mean - raised * gain, images, gain, out=images)


def _mean_and_spread(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of channels, (R, 1, ...) each."""
    space = tuple(range(1, images.ndim))
    mean = images.mean(space, keepdim=True)
    squares = torch.linalg.vector_norm(images, dim=space, keepdim=True).square_().div_(prod(images.shape[1:]))
    return mean, squares.sub_(mean * mean).clamp_min_(0.0).sqrt_()
