"""Instance norm and leaky ReLU on CUDA by our Triton kernels: a tensor is read twice forward and twice backward."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from medseg.networks import norm_kernels

_TILE = 2048  # numbers of a tile: two loads of 16 bytes for each of 128 threads, in half precision
_COLUMNS = 64
_PROGRAMS = 1024  # as many as a large GPU holds at once; the same everywhere, for the same rounding
_PARTS = 64


@dataclass(frozen=True, slots=True)
class Division:
    """How `(B, C, *space)` is divided: the grid of programs, and what every kernel is told of it.

    numbers: voxels, channels, voxels of a chunk, and the steps to the next sample, voxel and channel in memory.
    """

    grid: tuple[int, int, int]
    numbers: tuple[int, ...]
    rows: int
    columns: int

    @property
    def tile(self) -> dict[str, int]:
        """The size of a tile as kernels take it."""
        return {"ROWS": self.rows, "COLUMNS": self.columns}


def divide(x: Tensor) -> Division:
    """Divide a tensor that is contiguous or channels-last."""
    samples, channels = x.shape[:2]
    voxels = x[0, 0].numel()
    last = not x.is_contiguous()
    columns = min(_COLUMNS, triton.next_power_of_2(channels)) if last else 1
    rows = _TILE // columns
    stripes = triton.cdiv(channels, columns)
    chunk = rows * triton.cdiv(triton.cdiv(voxels, max(1, _PROGRAMS // (samples * stripes))), rows)
    steps = (channels * voxels, channels, 1) if last else (channels * voxels, 1, voxels)
    return Division((triton.cdiv(voxels, chunk), samples, stripes), (voxels, channels, chunk, *steps), rows, columns)


def forward(x: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return y like x, and the mean and 1 / sqrt(variance + eps) of each sample and channel, `(B, C)` float32."""
    division, y = divide(x), torch.empty_like(x)
    chunks, samples, stripes = division.grid
    parts = torch.empty((2, samples, chunks, x.shape[1]), dtype=torch.float32, device=x.device)
    mean, rstd = (torch.empty(x.shape[:2], dtype=torch.float32, device=x.device) for _ in range(2))
    with _on(x):
        norm_kernels.spread[division.grid](x, parts, *division.numbers, **division.tile)
        sizes = {"PARTS": _PARTS, "COLUMNS": division.columns}
        norm_kernels.merge[(samples, stripes)](parts, mean, rstd, *division.numbers[:3], chunks, eps, **sizes)
        norm_kernels.apply[division.grid](x, y, mean, rstd, weight, bias, slope, *division.numbers, **division.tile)
    return y, mean, rstd


def backward(
    dy: Tensor, x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, rstd: Tensor, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias, given that of y in the memory order of x; y itself is not read."""
    division, dx = divide(x), torch.empty_like(x)
    chunks, samples, _ = division.grid
    parts = torch.empty((2, samples, chunks, x.shape[1]), dtype=torch.float32, device=x.device)
    known = (mean, rstd, weight, bias, slope)
    with _on(x):
        norm_kernels.sums[division.grid](dy, x, parts, *known, *division.numbers, **division.tile)
        sums = parts.sum(2)
        norm_kernels.slopes[division.grid](dy, x, dx, sums, *known, *division.numbers, **division.tile)
    dbias, dweight = sums.sum(1)
    return dx, dweight.to(weight.dtype), dbias.to(bias.dtype)


def _on(x: Tensor) -> AbstractContextManager[object]:
    """Launch on the device of a tensor, where Triton would take the current one."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()  # Triton's interpreter works on the CPU
