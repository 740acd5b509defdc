"""The weighted mean of overlapping windows, of which only what is not complete yet is kept.

Windows are blended along the fastest axis first. What has had its last window there is blended along the next axis,
and what has had its last row there goes into the slab: so each number of a slab is touched once per row of windows, and
beside the slab there are only a row of windows and one window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from medseg.engines.inference.foreseeing import longest_part
from medseg.engines.inference.ground import HOST, Ground
from medseg.engines.inference.layout import Axis, Layout, Shape, Window
from medseg.engines.inference.pieces import Piece, pieces_of, shares_of

Make = Callable[[tuple[int, ...]], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Values `(outputs, *box)` of the box of a volume that begins at the voxel `start`."""

    values: Tensor
    start: Shape

    def part(self, axis: int, start: int, stop: int) -> Block:
        """Return the part from `start` up to `stop` along an axis: a view."""
        x, y, z = (start if other == axis else begin for other, begin in enumerate(self.start))
        return Block(self.values.narrow(axis + 1, start - self.start[axis], stop - start), (x, y, z))

    def under(self, block: Block) -> Tensor:
        """Return the values where another block lies, which must be inside: a view."""
        edges = zip(block.start, self.start, block.values.shape[1:], strict=True)
        return self.values[(slice(None), *(slice(other - own, other - own + n) for other, own, n in edges))]


class Layer:
    """Running means of windows along one axis, piece by piece; `make` gives room for them.

    `whole` are the axes that are blended already, with the voxels of the volume along them. With `longest`, pieces are
    no longer than that and wait until they are complete, also where one window alone covers them.
    """

    def __init__(self, number: int, axis: Axis, whole: dict[int, int], make: Make, longest: int | None = None) -> None:
        self._axis, self._whole, self._make, self._waits = number, whole, make, longest is not None
        self._shares = {HOST: [torch.from_numpy(share) for share in shares_of(axis)]}
        self._begins = [axis.inside(place).start for place in range(len(axis.starts))]
        self._covered: list[list[Piece]] = [[] for _ in axis.starts]
        for piece in pieces_of(axis, longest):
            for place in range(piece.first, piece.last + 1):
                self._covered[place].append(piece)
        self._live: dict[Piece, Block] = {}

    def add(self, place: int, block: Block) -> list[Block]:
        """Take a block of window number `place`; return views of what no other window covers, which is complete."""
        passed = []
        for piece in self._covered[place]:
            part = block.part(self._axis, piece.start, piece.stop)
            if piece.first == piece.last and not self._waits:
                passed.append(part)
                continue
            if piece not in self._live:
                self._live[piece] = self._begin(part)
            self._mean(self._live[piece].under(part), part.values, piece, place)
        return passed

    def complete(self, place: int) -> Iterator[Block]:
        """Yield in order, and forget, the pieces that waited for window number `place`."""
        for piece in self._covered[place]:
            if piece.last == place and piece in self._live:
                yield self._live.pop(piece)

    def ends(self, place: int) -> bool:
        """Return whether this window is the last one along the axis."""
        return place == len(self._covered) - 1

    def _begin(self, part: Block) -> Block:
        outputs, *lengths = part.values.shape
        shape = [self._whole.get(axis, length) for axis, length in enumerate(lengths)]
        x, y, z = (0 if axis in self._whole else begin for axis, begin in enumerate(part.start))
        return Block(self._make((outputs, *shape)), (x, y, z))

    def _mean(self, mean: Tensor, values: Tensor, piece: Piece, place: int) -> None:
        if piece.first == place:
            mean.copy_(values)
            return
        begin = self._begins[place]
        share = self._shares_on(mean.device)[place][piece.start - begin : piece.stop - begin]
        mean.lerp_(values.to(mean.device), share.view(-1, *[1] * (2 - self._axis)))

    def _shares_on(self, device: torch.device) -> list[Tensor]:
        """Return the shares on a device, where they are brought once: the host waits for each copy to it."""
        if device not in self._shares:
            self._shares[device] = [share.to(device) for share in self._shares[HOST]]
        return self._shares[device]


class Canvas:
    """The live part of a blended volume: windows in, in the order of the layout, complete planes across `axis` out."""

    def __init__(self, layout: Layout, outputs: int, ground: Ground) -> None:
        slab, row, column = layout.order
        axes, lengths = layout.axes, [axis.length for axis in layout.axes]
        plane = 4 * outputs * lengths[row] * lengths[column]
        self.axis, self._order, self._ground = slab, layout.order, ground
        self._columns = Layer(column, axes[column], {}, ground.rows)
        self._rows = Layer(row, axes[row], {column: lengths[column]}, ground.rows)
        whole, longest = {row: lengths[row], column: lengths[column]}, longest_part(plane)
        self._slab = Layer(slab, axes[slab], whole, ground.slab, longest)

    def paint(self, window: Window, values: Tensor) -> None:
        """Blend in the values `(outputs, *size)` float32 of one whole window."""
        _, row, column = (window.places[axis] for axis in self._order)
        x, y, z = (inner.start for inner in window.inner)
        block = Block(values[(slice(None), *window.within)], (x, y, z))
        for part in self._columns.add(column, block):
            self._add_to_row(window, part)
        for part in self._columns.complete(column):
            self._add_to_row(window, part)
        if self._columns.ends(column):
            for part in self._rows.complete(row):
                self._add_to_slab(window, part)

    def complete(self, window: Window) -> Iterator[Block]:
        """Yield, and forget, the planes that are complete after this window, in order, thin along the slab axis."""
        slab, row, column = (window.places[axis] for axis in self._order)
        if self._columns.ends(column) and self._rows.ends(row):
            yield from self._slab.complete(slab)

    def _add_to_row(self, window: Window, part: Block) -> None:
        for done in self._rows.add(window.places[self._order[1]], part):
            self._add_to_slab(window, done)

    def _add_to_slab(self, window: Window, part: Block) -> None:
        self._slab.add(window.places[self._order[0]], part)
        self._ground.rest()
