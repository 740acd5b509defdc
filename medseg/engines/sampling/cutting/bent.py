"""Patches that are turned or bent: every voxel is looked up at its own position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medseg.engines.sampling.axes import along_axes
from medseg.engines.sampling.cutting.elastic import largest_shift, patch_weights
from medseg.engines.sampling.cutting.sources import Source, box_of, moved, region
from medseg.engines.sampling.drawing.drawn import Draw, Elastic
from medseg.values.volume import Array, FloatArray

_SLAB = 1 << 19  # voxels that a CPU looks up at once, whatever its threads: their positions stay in its cache


def bent(case: Source, draw: Draw, image: Tensor, classes: Tensor, plane: int | None) -> None:
    """Fill a patch by interpolation, read from the box that it can reach; a slice stays in its plane."""
    size = np.asarray(classes.shape)
    start, stop = _reached(draw, size, np.asarray(case.classes.shape), plane)
    if np.any(start < 0) or np.any(start >= stop):
        image.zero_()
        classes.zero_()
        return
    channels, kinds = (region(source, box_of(start, stop), image.device) for source in (case.image, case.classes))
    padded = functional.pad(kinds, (1, 1) * 3)
    for planes, places in _positions(draw, size, start, image.device):
        classes[planes] = _nearest(padded, places)
        if plane is None:
            _linear(channels, places, image[:, planes])
        else:
            others = [place.squeeze(plane) for axis, place in enumerate(places) if axis != plane]
            _linear(channels.squeeze(plane + 1), others, image[:, planes].squeeze(plane + 1))


def _reached(draw: Draw, size: Array, shape: Array, plane: int | None) -> tuple[Array, Array]:
    """Return where the box that a patch can reach starts and stops inside of the case."""
    centre, matrix = np.asarray(draw.centre), np.asarray(draw.matrix)
    bend = np.zeros(3) if draw.elastic is None else largest_shift(draw.elastic)
    reach = np.abs(matrix) @ ((size - 1) / 2 + bend)
    start = np.maximum(np.floor(centre - reach).astype(int) - 1, 0)
    stop = np.minimum(np.ceil(centre + reach).astype(int) + 2, shape)
    if plane is not None:
        start[plane] = round(float(centre[plane]))
        stop[plane] = min(start[plane] + 1, stop[plane])
    return start, stop


def _positions(draw: Draw, size: Array, start: Array, device: torch.device) -> Iterator[tuple[slice, list[Tensor]]]:
    """Yield planes of the patch, and for each axis the positions of their voxels in the box, in voxels."""
    matrix, offset = np.asarray(draw.matrix), np.asarray(draw.centre) - start
    x, *others = (torch.arange(n, device=device) - (n - 1) / 2 for n in size.tolist())
    bend = None if draw.elastic is None else _bend(draw.elastic, matrix, size, device)
    step = len(x) if device.type == "cuda" else max(1, _SLAB // int(size[1] * size[2]))
    for first in range(0, len(x), step):
        planes = slice(first, min(first + step, len(x)))
        places = [_place(matrix[axis], float(offset[axis]), [x[planes], *others]) for axis in range(3)]
        if bend is not None:
            points, (across, *along) = bend
            shifts = along_axes(points, [across[:, planes], *along])
            places = [place.add_(shift) for place, shift in zip(places, shifts, strict=True)]
        yield planes, places


def _place(row: FloatArray, offset: float, lines: Sequence[Tensor]) -> Tensor:
    """Return `offset + row @ o` for all voxels `o`: one pass over them."""
    x, y, z = (line * float(factor) for line, factor in zip(lines, row, strict=True))
    return ((x + offset)[:, None] + y)[:, :, None] + z


def _bend(elastic: Elastic, matrix: FloatArray, size: Array, device: torch.device) -> tuple[Tensor, list[Tensor]]:
    """Return the control points (3, *points), turned with the patch, and their weights (3, length, points) per axis."""
    turned = (matrix @ np.asarray(elastic.shifts).reshape(3, -1)).reshape(3, *elastic.points)
    weights = [moved(weight.astype(np.float32), device) for weight in patch_weights(elastic, size.tolist())]
    return moved(turned.astype(np.float32), device), [weight.expand(3, -1, -1) for weight in weights]


def _linear(channels: Tensor, places: Sequence[Tensor], image: Tensor) -> None:
    """Fill (C, *space) from a box (C, *box), zeros outside of it; positions are in voxels of the box."""
    grid = torch.empty((*places[0].shape, len(places)), device=channels.device)
    for axis, (place, length) in enumerate(zip(places, channels.shape[1:], strict=True)):
        # grid_sample counts the last axis first, and from -1 to 1 between the outer edges of the outer voxels
        edge = torch.tensor(1.0 / length - 1.0)
        torch.add(edge, place, alpha=2.0 / length, out=grid[..., len(places) - 1 - axis])
    parts = _parts(image)
    sampled = functional.grid_sample(
        channels.expand(parts, *channels.shape),
        grid.view(parts, -1, *grid.shape[1:]),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    image.view(len(image), parts, -1, *image.shape[2:]).copy_(sampled.transpose(0, 1))


def _parts(image: Tensor) -> int:
    """Return how many equal parts to look up side by side: a thread of the CPU works on one part at a time."""
    threads = 1 if image.device.type == "cuda" else torch.get_num_threads()
    return max(parts for parts in range(1, threads + 1) if image.shape[1] % parts == 0)


def _nearest(padded: Tensor, places: Sequence[Tensor]) -> Tensor:
    """Take the nearest voxel of a box with a margin of one voxel of background, which stands for all outside."""
    number = torch.int32 if padded.numel() < 2**31 else torch.int64
    x, y, z = (
        place.round().clamp_(-1, length - 2).add_(1).to(number)
        for place, length in zip(places, padded.shape, strict=True)
    )
    index = x.mul_(padded.shape[1]).add_(y).mul_(padded.shape[2]).add_(z)
    return padded.view(-1).index_select(0, index.view(-1)).view(index.shape)
