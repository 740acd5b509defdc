"""Linear operations that work on each axis by itself: a matrix per axis does blurring, coarsening and bending."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medseg.engines.sampling.cutting.sources import moved

_BLOCK = 32  # rows of a matrix that are used together: the fewer, the fewer of the zeros beside its diagonal


def along_axes(rows: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Multiply each axis of `rows` (R, *space) with its matrix (R, new, old): (R, *new space), freshly made.

    Every product turns the last axis into the first one, without moving memory about; after as many products as there
    are axes they are in their old order.
    """
    for matrix in reversed(matrices):
        flat = rows.reshape(len(rows), -1, rows.shape[-1])
        rows = torch.bmm(matrix, flat.transpose(1, 2)).view(len(rows), matrix.shape[1], *rows.shape[1:-1])
    return rows


def filter_axes(rows: Tensor, matrices: Sequence[NDArray[np.float32]]) -> None:
    """Multiply each axis of `rows` (R, *space) with its square matrix (R, length, length), in place.

    The matrices reach a few voxels only, so the CPU leaves out most of their zeros.
    """
    source = rows
    for number, matrix in enumerate(reversed(matrices), start=1):
        length = len(matrix[0])
        flat = source.reshape(len(rows), -1, length).transpose(1, 2)
        shape = (len(rows), length, *source.shape[1:-1])
        target = rows if number == len(matrices) else torch.empty(shape, device=rows.device)
        product, weights = target.view(len(rows), length, -1), moved(matrix, rows.device)
        for block, used in _blocks(matrix, length if rows.device.type == "cuda" else _BLOCK):
            torch.bmm(weights[:, block, used], flat[:, used], out=product[:, block])
        source = target


def _blocks(matrix: NDArray[np.float32], size: int) -> list[tuple[slice, slice]]:
    """Return blocks of rows, and between which columns these are not 0 in any of the matrices (R, length, length)."""
    blocks = []
    for first in range(0, matrix.shape[1], size):
        block = slice(first, min(first + size, matrix.shape[1]))
        used = np.flatnonzero(matrix[:, block].any((0, 1)))
        blocks.append((block, slice(int(used[0]), int(used[-1]) + 1)))
    return blocks
