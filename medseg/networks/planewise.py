"""The forward pass of a 3D U-Net on a CPU, a few planes at a time: the same answers for half the memory, and sooner.

A layer reads planes, normalises them, convolves them, by twos where it can, and sums up what the next norm needs, all
while they are in the processor's cache. Planes that nobody reads again are forgotten at once, so a level costs about
one set of feature maps and its skip connection, where whole layers one after the other hold four.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.networks.feature_maps import Given, Kept, Maps, Risen, Source, Spare, Turned
from medseg.networks.norm import NormAct
from medseg.networks.paired import PairedConvolution, product
from medseg.networks.unet import UNet

# Bytes of the planes that a convolution makes at once: they, and those they are made of, fit into a large cache, and
# stay below what `large_arrays_returned` gives back to the system, which would be asked for again each time.
# Weights for pairs of planes that are larger belong to coarse levels, where there is little to gain.
_BYTES = 2 << 20


class PlanewiseUNet:
    """Answer for windows `(B, C, X, Y, Z)` float32 on a CPU as `network` does in eval mode: logits `(B, K, X, Y, Z)`.

    The sums behind convolutions and norms are taken in another order: answers differ from the network's by rounding.
    They do not depend on what else is in the batch. The network's weights must stay as they are.
    """

    def __init__(self, network: UNet) -> None:
        self._network, spare = network, Spare()
        self._encoder = [_Level(level, spare) for level in network.encoder]
        self._decoder = [_Level(level, spare) for level in network.decoder]

    def __call__(self, windows: Tensor) -> Tensor:
        """Return the logits of each window."""
        return self.flipped(windows, ())

    @torch.inference_mode()
    def flipped(self, windows: Tensor, axes: Sequence[int]) -> Tensor:
        """Return the logits for the windows flipped along batch `axes`, turned back."""
        head, turned = self._network.heads[0], tuple(axis - 2 for axis in axes)
        weight = head.weight
        if not isinstance(weight, Tensor):
            raise TypeError("the head of a U-Net has a weight")
        logits = windows.new_empty((len(windows), len(weight), *windows.shape[2:]))
        for window, out in zip(windows, logits, strict=True):
            features = self._features(Given(window, turned))
            _decide(features, weight.flatten(1), head.bias, Turned(out, turned))  # type: ignore[arg-type]
        return logits

    def _features(self, image: Given) -> Maps:
        source: Source = image
        skips: list[Maps] = []
        for level in self._encoder:
            skips.append(level.maps([source]))
            source = Kept(skips[-1])
        maps = skips.pop()
        for level, climb in reversed(list(zip(self._decoder, self._network.climbs, strict=True))):
            skip = skips.pop()
            maps = level.maps([skip, Risen(maps, climb, skip.shape)])  # type: ignore[arg-type]
        return maps


class _Level:
    """The two convolutions of a level, and their norms."""

    def __init__(self, level: nn.Module, spare: Spare) -> None:
        layers = list(level.children())
        norms = [layer for layer in layers if isinstance(layer, NormAct)]
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv3d)]
        self._layers = [_Layer(*both, spare) for both in zip(convolutions, norms, strict=True)]

    def maps(self, sources: Sequence[Source]) -> Maps:
        """Return what the level makes of the channels of all sources together."""
        first, second = self._layers
        return second.maps([first.maps(sources)])


class _Layer:
    """A convolution with zeros around the volume, and the norm of what it makes."""

    def __init__(self, convolution: nn.Conv3d, norm: NormAct, spare: Spare) -> None:
        self._convolution, self._norm, self._spare = convolution, norm, spare
        size = PairedConvolution.weight_bytes(convolution)
        self._paired = PairedConvolution(convolution) if size is not None and size <= _BYTES else None

    def maps(self, sources: Sequence[Source]) -> Maps:
        """Convolve the channels of all sources together, some planes at a time."""
        convolution = self._convolution
        x, y, z = (-(-size // step) for size, step in zip(sources[0].shape, convolution.stride, strict=True))
        made = Maps((x, y, z), convolution.out_channels, self._spare)
        # Parts of one size: what one layer lets go of is the memory that the next one takes. Pairs are not parted.
        step = max(1, _BYTES // (8 * made.channels * y * z)) * 2
        pile = _Pile(convolution, sources, min(step, x))
        for start in range(0, x, step):
            made.add(self._product(pile.planes(start, min(step, x - start)), made.bias))
        made.normalise(self._norm)
        return made

    def _product(self, planes: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve planes `(planes, Y, Z, C)`, which have their margin along X already."""
        if self._paired is not None and len(planes) % 2 == 0:
            return self._paired(planes, bias)
        layer = self._convolution
        padding = (0, *(edge // 2 for edge in layer.kernel_size[1:]))
        result = product(planes.permute(3, 0, 1, 2)[None], layer.weight, bias, layer.stride, padding)
        return result[0].permute(1, 2, 3, 0).contiguous()


class _Pile:
    """The planes at hand: new ones on top, zeros beyond both ends; a full pile begins anew with what is needed."""

    def __init__(self, convolution: nn.Conv3d, sources: Sequence[Source], most: int) -> None:
        self._sources, self._length = sources, sources[0].shape[0]
        self._margin, self._stride = convolution.kernel_size[0] // 2, convolution.stride[0]
        self._unit = max(source.unit for source in sources)
        size = (*sources[0].shape[1:], sum(source.channels for source in sources))
        self._room = torch.empty(((most + 1) * self._stride + 3 * self._margin + self._unit, *size))
        self._room[: self._margin] = 0
        self._first, self._last = -self._margin, 0  # the planes that lie in the room, from its beginning

    def planes(self, output: int, count: int) -> Tensor:
        """Return the planes `(planes, Y, Z, C)` that `count` outputs from number `output` are made of: a view."""
        low = output * self._stride - self._margin
        high = low + (count - 1) * self._stride + 2 * self._margin + 1
        stop = min(-(-high // self._unit) * self._unit, self._length)
        if max(stop, high) - self._first > len(self._room):
            self._begin(low)
        if stop > self._last:
            self._take(stop)
        self._room[self._last - self._first : high - self._first] = 0
        return self._room[low - self._first : high - self._first]

    def _begin(self, low: int) -> None:
        """Let the pile begin with plane `low`."""
        rise, kept = low - self._first, self._room[low - self._first : self._last - self._first]
        self._room[: len(kept)] = kept if len(kept) <= rise else kept.clone()
        self._first = low

    def _take(self, stop: int) -> None:
        """Put the planes up to `stop` on top."""
        place, channel = self._room[self._last - self._first : stop - self._first], 0
        for source in self._sources:
            source.fill(self._last, stop, place[..., channel : channel + source.channels])
            source.forget(stop)
            channel += source.channels
        self._last = stop


def _decide(maps: Maps, weight: Tensor, bias: Tensor, out: Turned) -> None:
    """Write the logits of the finest feature maps, which are forgotten."""
    step = max(1, _BYTES // (4 * maps.channels * prod(maps.shape[1:])))
    for start in range(0, maps.shape[0], step):
        stop = min(start + step, maps.shape[0])
        planes = torch.empty((stop - start, *maps.shape[1:], maps.channels))
        maps.fill(start, stop, planes)
        maps.forget(stop)
        out.write(start, functional.linear(planes, weight, bias).permute(3, 0, 1, 2))
