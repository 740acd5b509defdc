"""Linear interpolation along each axis by itself, a few planes at a time so that a CPU keeps them in its cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medseg.engines.sampling.cutting.sources import moved
from medseg.values.volume import FloatArray

_SLAB = 1 << 19  # voxels of the box, all channels together, that a CPU works on at once
_BLOCK = 32  # columns of a product: its matrix has two numbers per column, the fewer columns the fewer zeros


class _Ends(NamedTuple):
    """Between which voxels of an axis each place lies, and their weights, 0 for those outside."""

    first: Tensor
    second: Tensor
    weights: tuple[Tensor, Tensor]


def interpolate(channels: Tensor, places: Sequence[FloatArray], image: Tensor) -> None:
    """Fill `image` (C, *patch) from a box (C, X, Y, Z) at all combinations of `places` along its axes, in voxels.

    What lies outside of the box counts as 0.
    """
    device, (_, length, height, width) = channels.device, channels.shape
    down = _ends(places[1], height, device)
    blocks = [_block(places[2], block, width, device) for block in _blocks(len(places[2]))]
    step = image.shape[1] if device.type == "cuda" else max(1, _SLAB // (len(channels) * height * width))
    for first in range(0, image.shape[1], step):
        planes = slice(first, first + step)
        near = _near(places[0][planes], length)
        across = _ends(places[0][planes] - near.start, near.stop - near.start, device)
        part = _between(_between(channels[:, near].contiguous(), 1, across), 2, down).flatten(1, 2)
        target = image[:, planes].flatten(1, 2)
        for block, used, weights in blocks:
            target[..., block] = part[..., used] @ weights


def _near(places: FloatArray, count: int) -> slice:
    """Return which of `count` voxels of an axis lie next to any of the places; one at least."""
    first = min(max(0, int(np.floor(places.min()))), count - 1)
    return slice(first, max(first + 1, min(count, int(np.floor(places.max())) + 2)))


def _ends(places: FloatArray, count: int, device: torch.device) -> _Ends:
    below = np.floor(places).astype(np.int64)
    rest = places - below
    ends, weights = (below, below + 1), (1.0 - rest, rest)
    inside = [(end >= 0) & (end < count) for end in ends]
    first, second = (moved(end.clip(0, count - 1), device) for end in ends)
    kept = [moved((w * i).astype(np.float32), device) for w, i in zip(weights, inside, strict=True)]
    return _Ends(first, second, (kept[0], kept[1]))


def _between(box: Tensor, axis: int, ends: _Ends) -> Tensor:
    """Interpolate along one axis of (C, X, Y, Z); whole planes or rows are taken, which is fast."""
    one, two = (weight.view(-1, *(1,) * (box.ndim - 1 - axis)) for weight in ends.weights)
    return box.index_select(axis, ends.first).mul_(one).addcmul_(box.index_select(axis, ends.second), two)


def _blocks(length: int) -> list[slice]:
    return [slice(first, min(first + _BLOCK, length)) for first in range(0, length, _BLOCK)]


def _block(places: FloatArray, block: slice, count: int, device: torch.device) -> tuple[slice, slice, Tensor]:
    """Return a block of columns, the voxels (of `count`) that lie next to their places, and the weights of these."""
    used = _near(places[block], count)
    distance = np.abs(np.arange(count)[used, None] - places[block])
    return block, used, moved(np.maximum(1.0 - distance, 0.0).astype(np.float32), device)
