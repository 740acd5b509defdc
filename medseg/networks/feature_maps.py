"""Feature maps of one sample in parts of a few planes, normalised only when they are read.

A part is `(planes, Y, Z, C)`. What is normalised is never written back: whoever reads planes gets them normalised,
into memory that is still in the cache of the processor when the next convolution wants it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.networks.norm import EPS, SLOPE, NormAct

Shape = tuple[int, int, int]
_TOGETHER = 4


class Source(Protocol):
    """Planes that a convolution reads one after the other, `unit` or a multiple of it at a time."""

    shape: Shape
    channels: int
    unit: int

    def fill(self, start: int, stop: int, out: Tensor) -> None:
        """Write the planes from `start` up to `stop` into `out` `(planes, Y, Z, C)`."""
        ...

    def forget(self, stop: int) -> None:
        """Let go of the planes before `stop`, which nobody reads again."""
        ...


class Turned:
    """Planes along X of an array `(C, X, Y, Z)`, seen flipped along `axes`, of which X is 0."""

    def __init__(self, array: Tensor, axes: Sequence[int]) -> None:
        self.array, self._reversed = array, 0 in axes
        self._axes = [axis + 1 for axis in axes]

    def read(self, start: int, stop: int) -> Tensor:
        """Return the planes from `start` up to `stop`: a copy where anything is flipped."""
        planes = self._there(start, stop)
        return planes.flip(self._axes) if self._axes else planes

    def write(self, start: int, planes: Tensor) -> None:
        """Write planes `(C, planes, Y, Z)` from `start` on."""
        self._there(start, start + planes.shape[1]).copy_(planes.flip(self._axes) if self._axes else planes)

    def _there(self, start: int, stop: int) -> Tensor:
        length = self.array.shape[1]
        return self.array[:, length - stop : length - start] if self._reversed else self.array[:, start:stop]


class Given:
    """The channels `(C, X, Y, Z)` of an image, flipped along `axes`, of which X is 0."""

    def __init__(self, image: Tensor, axes: Sequence[int] = ()) -> None:
        self._image, self.channels, self.unit = Turned(image, axes), len(image), 1
        self.shape: Shape = (image.shape[1], image.shape[2], image.shape[3])

    def fill(self, start: int, stop: int, out: Tensor) -> None:
        """Copy planes of the image."""
        out.copy_(self._image.read(start, stop).permute(1, 2, 3, 0))

    def forget(self, stop: int) -> None:
        """Do nothing: the image is somebody else's."""


class Spare:
    """Memory of parts that nobody needs any more, for new ones of the same size.

    Left to the memory allocator, parts lie among short-lived tensors, and holes cost as much again. New memory is
    taken for several parts at once, for the same reason.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[Tensor]] = defaultdict(list)

    def copy(self, values: Tensor) -> Tensor:
        """Return a copy of `values`."""
        free = self._free[values.numel()]
        if not free:
            free.extend(torch.empty(_TOGETHER * values.numel()).chunk(_TOGETHER))
        return free.pop().view(values.shape).copy_(values)

    def give(self, part: Tensor) -> None:
        """Take back what `copy` returned."""
        self._free[part.numel()].append(part.view(-1))


class Maps:
    """What a convolution has made, and the norm and leaky ReLU that belong to it."""

    def __init__(self, shape: Shape, channels: int, spare: Spare) -> None:
        self.shape, self.channels, self.unit, self._spare = shape, channels, 1, spare
        self._parts: deque[tuple[int, Tensor]] = deque()
        self._made = 0
        self._pivot = torch.zeros(channels)
        self._sum, self._squares = (torch.zeros(channels, dtype=torch.float64) for _ in range(2))
        self._scale, self._shift = torch.ones(channels), torch.zeros(channels)

    @property
    def bias(self) -> Tensor | None:
        """What the convolution adds, None for the first planes: minus a value near the mean of each channel.

        Sums of squares about it lose no digits where values lie far from zero.
        """
        return -self._pivot if self._made else None

    def add(self, values: Tensor) -> None:
        """Take a copy of the next planes `(planes, Y, Z, C)`, made with `bias`; may change them."""
        rows = values.flatten(0, 2)
        if self._made == 0:
            self._pivot = rows.mean(0)
            rows -= self._pivot
        self._parts.append((self._made, self._spare.copy(values)))
        self._made += len(values)
        self._sum += rows.sum(0).double()
        self._squares += rows.square_().sum(0).double()

    def normalise(self, norm: NormAct) -> None:
        """Learn how to normalise, once all planes are there."""
        count = self.shape[0] * self.shape[1] * self.shape[2]
        mean = self._sum / count
        variance = (self._squares / count - mean**2).clamp_(min=0)
        scale = norm.weight.double() * (variance + EPS).rsqrt()
        self._scale, self._shift = scale.float(), (norm.bias.double() - mean * scale).float()

    def fill(self, start: int, stop: int, out: Tensor) -> None:
        """Write planes, normalised and rectified."""
        for first, part in self._parts:
            low, high = max(start, first), min(stop, first + len(part))
            if low < high:
                place = out[low - start : high - start]
                torch.addcmul(self._shift, part[low - first : high - first], self._scale, out=place)
                functional.leaky_relu_(place, SLOPE)

    def forget(self, stop: int) -> None:
        """Let go of the parts that end before `stop`."""
        while self._parts and self._parts[0][0] + len(self._parts[0][1]) <= stop:
            self._spare.give(self._parts.popleft()[1])


class Kept:
    """Feature maps that somebody else will read again."""

    def __init__(self, maps: Maps) -> None:
        self.shape, self.channels, self.unit = maps.shape, maps.channels, 1
        self.fill = maps.fill

    def forget(self, stop: int) -> None:
        """Do nothing."""


class Risen:
    """Feature maps of the coarser level, brought up by a transposed convolution whose kernel is its stride.

    shape: that of the finer level; what climbing adds beyond it is cut off.
    """

    def __init__(self, maps: Maps, climb: nn.ConvTranspose3d, shape: Shape) -> None:
        self._maps, self.shape, self.channels = maps, shape, climb.out_channels
        self._step: Shape = (climb.stride[0], climb.stride[1], climb.stride[2])
        self.unit = self._step[0]
        self._weight = climb.weight.permute(0, 2, 3, 4, 1).flatten(1).contiguous()

    def fill(self, start: int, stop: int, out: Tensor) -> None:
        """Write planes; `start` is a multiple of the stride."""
        first, last = start // self._step[0], -(-stop // self._step[0])
        coarse = torch.empty((last - first, *self._maps.shape[1:], self._maps.channels))
        self._maps.fill(first, last, coarse)
        blocks = (coarse.flatten(0, 2) @ self._weight).view(*coarse.shape[:3], *self._step, self.channels)
        whole = tuple(size * step for size, step in zip(coarse.shape[:3], self._step, strict=True))
        ordered = blocks.permute(0, 3, 1, 4, 2, 5, 6)
        if whole == tuple(out.shape[:3]):
            _blocks_of(out, self._step).copy_(ordered)
        else:
            out.copy_(ordered.reshape(*whole, self.channels)[: stop - start, : self.shape[1], : self.shape[2]])

    def forget(self, stop: int) -> None:
        """Let go of the coarse planes before `stop`."""
        self._maps.forget(stop // self._step[0])


def _blocks_of(planes: Tensor, step: Sequence[int]) -> Tensor:
    """View planes `(x, y, z, C)` as `(x / i, i, y / j, j, z / k, k, C)`."""
    x, y, z, channels = planes.shape
    (i, j, k), strides = step, planes.stride()
    shape = (x // i, i, y // j, j, z // k, k, channels)
    edges = [(i * strides[0], strides[0]), (j * strides[1], strides[1]), (k * strides[2], strides[2])]
    return planes.as_strided(shape, (*(one for edge in edges for one in edge), strides[3]), planes.storage_offset())
