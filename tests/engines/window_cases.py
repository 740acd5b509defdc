"""Networks whose answers are known, rooms, and a literal sliding window, for tests of inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from math import ceil, floor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medseg.engines.inference.foreseeing import layout_of, needs_of
from medseg.engines.inference.frame import Forward, Frame, Room
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.stream import stream_slabs

Array = np.ndarray[Any, np.dtype[np.float32]]
Shape = tuple[int, int, int]
CPU = torch.device("cpu")
ROOM = Room(CPU, 1 << 30)
NUMBERS_PER_VOXEL = 256


class Constant(nn.Module):
    """Say the same everywhere; check that it sees windows of the right size."""

    def __init__(self, space: tuple[int, ...], levels: Sequence[float] = (0.3, -1.2, 2.0)) -> None:
        super().__init__()
        self.space, self.levels = space, levels

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[2:]) != self.space:
            raise ValueError(f"window {tuple(x.shape)} is not {self.space}")
        levels = torch.tensor(self.levels).view(1, -1, *[1] * len(self.space))
        return levels.expand(len(x), len(self.levels), *self.space).clone()


class PerVoxel(nn.Module):
    """Two logits from each voxel alone: no window can matter."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x[:, :1], -2 * x[:, :1]), 1)


class Blur(nn.Module):
    """Two logits from the neighbours along every axis, the same from both sides or not."""

    def __init__(self, dimensions: int, symmetric: bool = False, seed: int = 3) -> None:
        super().__init__()
        weight = torch.randn(2, 1, *[3] * dimensions, generator=torch.Generator().manual_seed(seed))
        if symmetric:
            for axis in range(2, weight.ndim):
                weight = weight + weight.flip(axis)
        self.weight = nn.Parameter(weight / 9)

    def forward(self, x: Tensor) -> Tensor:
        convolve = nn.functional.conv2d if x.ndim == 4 else nn.functional.conv3d
        return convolve(x, self.weight, padding=1)


class Counting:
    """Ask a network and note how many windows came each time; more than `most` at once end as `error`."""

    def __init__(self, network: Forward, most: int = 1 << 30, error: Exception | None = None) -> None:
        self.network, self.most, self.error = network, most, error
        self.sizes: list[int] = []

    def __call__(self, x: Tensor) -> Tensor:
        if len(x) > self.most and self.error is not None:
            raise self.error
        self.sizes.append(len(x))
        return self.network(x)


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def frame(patch: Sequence[int], plane: int | None = None, activation: Any = "softmax", **others: Any) -> Frame:
    """Return a frame; across a plane, windows are one voxel thick."""
    x, y, z = (1 if axis == plane else size for axis, size in enumerate(patch))
    return Frame((x, y, z), plane, activation, **others)


def seen(given: Frame) -> tuple[int, ...]:
    """Return the space of the windows that a network sees."""
    return tuple(size for axis, size in enumerate(given.patch) if axis != given.plane)


def network_of(given: Frame, **others: Any) -> Blur:
    return Blur(3 if given.plane is None else 2, **others)


def whole(
    members: Sequence[Forward], image: Array, given: Frame, chosen: InferenceSettings, room: Room = ROOM
) -> tuple[Array, Array | None]:
    """Return the scores (K, X, Y, Z) and doubt (X, Y, Z) of all slabs, joined as they come."""
    slabs = list(stream_slabs(members, image, given, chosen, room))
    axis = slabs[0].axis
    scores = torch.cat([slab.scores for slab in slabs], axis + 1).numpy()
    doubts = [slab.doubt for slab in slabs if slab.doubt is not None]
    assert len(doubts) in (0, len(slabs))
    return scores, torch.cat(doubts, axis).numpy() if doubts else None


def room_for(windows: int, image: Array, given: Frame, chosen: InferenceSettings) -> Room:
    """Return a room for so many windows at once, of one member with two outputs."""
    needs = needs_of(layout_of(given, image.shape[1:], chosen), len(image), 2, False)
    one = needs.window + 4 * NUMBERS_PER_VOXEL * int(np.prod(given.patch))
    return Room(CPU, needs.slab + needs.rows + windows * one)


def literal(answer: Callable[[Tensor], Tensor], image: Array, given: Frame, chosen: InferenceSettings) -> Array:
    """Add weight times value of one window after the other in float64, and divide by the sum of the weights.

    answer: a window (1, C, *space) to the values (1, outputs, *space) that are blended.
    """
    patch, shape = given.patch, image.shape[1:]
    lacking = [max(0, size - length) for size, length in zip(patch, shape, strict=True)]
    padding = [(lack // 2, lack - lack // 2) for lack in lacking]
    padded = np.pad(image, [(0, 0), *padding])
    places = [_starts(n, w, chosen.overlap) for n, w in zip(padded.shape[1:], patch, strict=True)]
    profiles = [_profile(size, chosen.blend) for size in patch]
    weight = profiles[0][:, None, None] * profiles[1][:, None] * profiles[2]
    total: Any = None
    weights = np.zeros(padded.shape[1:])
    for corner in product(*places):
        box = tuple(slice(start, start + size) for start, size in zip(corner, patch, strict=True))
        x = torch.from_numpy(padded[(slice(None), *box)].copy())[None]
        values = answer(x if given.plane is None else x.squeeze(given.plane + 2))
        values = values if given.plane is None else values.unsqueeze(given.plane + 2)
        total = np.zeros((values.shape[1], *weights.shape)) if total is None else total
        total[(slice(None), *box)] += weight * values[0].detach().double().numpy()
        weights[box] += weight
    inside = tuple(slice(low, low + length) for (low, _), length in zip(padding, shape, strict=True))
    return np.asarray((total / weights)[(slice(None), *inside)])


def _starts(length: int, size: int, overlap: float) -> list[int]:
    if length == size:
        return [0]
    step = max(1, floor(size * (1 - overlap) + 1e-9))
    gaps = ceil(Fraction(length - size, step))
    return [round(Fraction(number * (length - size), gaps)) for number in range(gaps + 1)]


def _profile(size: int, blend: str) -> Any:
    away = np.arange(size) - (size - 1) / 2
    return np.exp(-0.5 * (away / (size / 8)) ** 2) if blend == "gaussian" else np.ones(size)
