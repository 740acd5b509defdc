"""Triton kernels of instance norm and leaky ReLU, and of their gradient.

A tensor is seen as samples x space x channels, whatever its memory order: `by_sample`, `by_voxel` and `by_channel` are
the steps to the next of each. A program reads one chunk of the space of one sample, for some neighbouring channels, in
tiles of ROWS (space) and COLUMNS (channels). Sums of chunks are stored and added in a fixed order, without atomic
operations: the same input gives the same bytes. Names are those of `norm_fused`; all arithmetic is in float32.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def spread(
    x, parts, voxels, channels, chunk, by_sample, by_voxel, by_channel, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Store the mean of each chunk and the sum of squares around it, by Welford's method: parts (2, B, chunks, C)."""
    part, sample, stripe = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    columns = stripe * COLUMNS + tl.arange(0, COLUMNS)
    rows, inside, left = tl.arange(0, ROWS), columns < channels, voxels - part * chunk
    corner = sample.to(tl.int64) * by_sample + (part * chunk).to(tl.int64) * by_voxel
    source = x + corner + columns.to(tl.int64) * by_channel
    count = tl.zeros((ROWS,), tl.float32)
    mean = tl.zeros((ROWS, COLUMNS), tl.float32)
    square = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, chunk, ROWS):
        valid = start + rows < left
        there = valid[:, None] & inside[None, :]
        value = tl.load(source[None, :] + ((start + rows) * by_voxel)[:, None], there, 0.0).to(tl.float32)
        count += valid.to(tl.float32)
        away = tl.where(there, value - mean, 0.0)
        mean += away * (1.0 / tl.maximum(count, 1.0))[:, None]
        square += away * (value - mean)
    total = tl.sum(count, 0)
    centre = tl.sum(mean * count[:, None], 0) / tl.maximum(total, 1.0)
    off = mean - centre[None, :]
    square = tl.sum(square + count[:, None] * off * off, 0)
    chunks, samples = tl.num_programs(0), tl.num_programs(1)
    target = parts + (sample * chunks + part) * channels + columns
    tl.store(target, centre, inside)
    tl.store(target + samples * chunks * channels, square, inside)


@triton.jit
def merge(parts, means, rstds, voxels, channels, chunk, chunks, eps, PARTS: tl.constexpr, COLUMNS: tl.constexpr):
    """Merge the statistics of all chunks, `PARTS` at once: means and rstds (B, C)."""
    sample, stripe = tl.program_id(0), tl.program_id(1)
    columns = stripe * COLUMNS + tl.arange(0, COLUMNS)
    rows, inside = tl.arange(0, PARTS), columns < channels
    source = parts + sample * chunks * channels + columns
    squares = source + tl.num_programs(0) * chunks * channels
    total = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, chunks, PARTS):
        part = start + rows
        there = (part < chunks)[:, None] & inside[None, :]
        count = tl.minimum(tl.maximum(voxels - part * chunk, 0), chunk).to(tl.float32)
        total += tl.sum(tl.load(source[None, :] + (part * channels)[:, None], there, 0.0) * count[:, None], 0)
    mean = total / voxels
    square = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, chunks, PARTS):
        part = start + rows
        there = (part < chunks)[:, None] & inside[None, :]
        count = tl.minimum(tl.maximum(voxels - part * chunk, 0), chunk).to(tl.float32)
        off = tl.load(source[None, :] + (part * channels)[:, None], there, 0.0) - mean[None, :]
        around = tl.load(squares[None, :] + (part * channels)[:, None], there, 0.0)
        square += tl.sum(tl.where(there, around + count[:, None] * off * off, 0.0), 0)
    target = sample * channels + columns
    tl.store(means + target, mean, inside)
    tl.store(rstds + target, 1.0 / tl.sqrt(square / voxels + eps), inside)


@triton.jit
def apply(
    x, y, means, rstds, weights, biases, slope, voxels, channels, chunk, by_sample, by_voxel, by_channel,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write y."""
    part, sample, stripe = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    columns = stripe * COLUMNS + tl.arange(0, COLUMNS)
    rows, inside, left = tl.arange(0, ROWS), columns < channels, voxels - part * chunk
    corner = sample.to(tl.int64) * by_sample + (part * chunk).to(tl.int64) * by_voxel
    places = corner + columns.to(tl.int64) * by_channel
    mean = tl.load(means + sample * channels + columns, inside, 0.0)[None, :]
    scale = tl.load(rstds + sample * channels + columns, inside, 0.0) * tl.load(weights + columns, inside, 0.0)
    bias = tl.load(biases + columns, inside, 0.0).to(tl.float32)[None, :]
    for start in range(0, chunk, ROWS):
        there = (start + rows < left)[:, None] & inside[None, :]
        at = places[None, :] + ((start + rows) * by_voxel)[:, None]
        a = (tl.load(x + at, there, 0.0).to(tl.float32) - mean) * scale[None, :] + bias
        tl.store(y + at, tl.where(a > 0, a, a * slope).to(y.dtype.element_ty), there)


@triton.jit
def sums(
    dy, x, parts, means, rstds, weights, biases, slope, voxels, channels, chunk, by_sample, by_voxel, by_channel,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Store the sums of g and of g h over each chunk: parts (2, B, chunks, C)."""
    part, sample, stripe = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    columns = stripe * COLUMNS + tl.arange(0, COLUMNS)
    rows, inside, left = tl.arange(0, ROWS), columns < channels, voxels - part * chunk
    corner = sample.to(tl.int64) * by_sample + (part * chunk).to(tl.int64) * by_voxel
    places = corner + columns.to(tl.int64) * by_channel
    mean = tl.load(means + sample * channels + columns, inside, 0.0)[None, :]
    rstd = tl.load(rstds + sample * channels + columns, inside, 0.0)
    scale = rstd * tl.load(weights + columns, inside, 0.0)
    bias = tl.load(biases + columns, inside, 0.0).to(tl.float32)[None, :]
    plain = tl.zeros((ROWS, COLUMNS), tl.float32)
    along = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, chunk, ROWS):
        there = (start + rows < left)[:, None] & inside[None, :]
        at = places[None, :] + ((start + rows) * by_voxel)[:, None]
        away = tl.load(x + at, there, 0.0).to(tl.float32) - mean
        g = tl.load(dy + at, there, 0.0).to(tl.float32)
        g = tl.where(away * scale[None, :] + bias > 0, g, g * slope)
        plain += g
        along += g * away
    chunks, samples = tl.num_programs(0), tl.num_programs(1)
    target = parts + (sample * chunks + part) * channels + columns
    tl.store(target, tl.sum(plain, 0), inside)
    tl.store(target + samples * chunks * channels, tl.sum(along, 0) * rstd, inside)


@triton.jit
def slopes(
    dy, x, dx, sums, means, rstds, weights, biases, slope, voxels, channels, chunk, by_sample, by_voxel, by_channel,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write dx, given the sums (2, B, C) of g and of g h over the space."""
    part, sample, stripe = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    columns = stripe * COLUMNS + tl.arange(0, COLUMNS)
    rows, inside, left = tl.arange(0, ROWS), columns < channels, voxels - part * chunk
    corner = sample.to(tl.int64) * by_sample + (part * chunk).to(tl.int64) * by_voxel
    places = corner + columns.to(tl.int64) * by_channel
    own = sample * channels + columns
    mean, rstd = tl.load(means + own, inside, 0.0)[None, :], tl.load(rstds + own, inside, 0.0)
    scale = (rstd * tl.load(weights + columns, inside, 0.0))[None, :]
    bias = tl.load(biases + columns, inside, 0.0).to(tl.float32)[None, :]
    plain = (tl.load(sums + own, inside, 0.0) / voxels)[None, :]
    along = (tl.load(sums + tl.num_programs(1) * channels + own, inside, 0.0) * rstd / voxels)[None, :]
    for start in range(0, chunk, ROWS):
        there = (start + rows < left)[:, None] & inside[None, :]
        at = places[None, :] + ((start + rows) * by_voxel)[:, None]
        away = tl.load(x + at, there, 0.0).to(tl.float32) - mean
        g = tl.load(dy + at, there, 0.0).to(tl.float32)
        g = tl.where(away * scale + bias > 0, g, g * slope)
        tl.store(dx + at, ((g - plain - away * along) * scale).to(dx.dtype.element_ty), there)
