"""Noise for channels: each has a generator of its own, so that its noise belongs to its number alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def add_noise(images: Tensor, deviation: Tensor, numbers: Sequence[int]) -> None:
    """Add Gaussian noise to channels (R, *space), in place; deviation: (R, 1, ...), one per channel."""
    (noise,) = _noises(images, numbers, 1)
    images.addcmul_(noise, deviation)


def add_rician(images: Tensor, deviation: Tensor, numbers: Sequence[int]) -> None:
    """Turn channels (R, *space) into magnitudes of signals with noise in both of their parts, in place.

    The signal is what lies above the darkest voxel of a channel. Source: Gudbjartsson and Patz 1995, "The Rician
    distribution of noisy MRI data".
    """
    low = images.amin(tuple(range(1, images.ndim)), keepdim=True)
    real, imaginary = _noises(images, numbers, 2)
    images.sub_(low).addcmul_(real, deviation)
    torch.hypot(images, imaginary.mul_(deviation), out=images)
    images.add_(low)


def _noises(images: Tensor, numbers: Sequence[int], count: int) -> Tensor:
    """Return `count` independent fields of standard normal noise for each channel: (count, R, *space)."""
    noise = images.new_empty((count, *images.shape))
    for row, number in enumerate(numbers):
        generator = torch.Generator(images.device).manual_seed(number)
        for field in noise:
            field[row].normal_(generator=generator)
    return noise
