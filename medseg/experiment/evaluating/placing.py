"""Truth and prediction on one grid, also where a file covers a part of its scan only, as DICOM-SEG do."""

from __future__ import annotations

import numpy as np

from medseg.files.scan_values import Scan
from medseg.ops.grids import Grid, grid_of, offset_in, same_grid
from medseg.ops.orientation import to_canonical
from medseg.values.volume import Volume

_MOST_VOXELS = 1 << 29  # of a box around two parts; those that are further apart are no parts of one scan


def placed(truth: Scan, predicted: Scan | None, image: Grid | None) -> tuple[Volume, Volume | None]:
    """Return both masks on canonical axes, those that are parts of a scan filled up with background.

    A part of the truth is filled up to the grid of the `image`, else of the prediction; two parts to the box of both; a
    part of the prediction to the grid of the truth. What does not lie on the same lattice stays as it is: whether it
    can be scored is not decided here.
    """
    mine = to_canonical(truth.volume)
    other = None if predicted is None else to_canonical(predicted.volume)
    if truth.partial and image is not None:
        mine = _filled_up(mine, image)
    if predicted is None or other is None:
        return mine, None
    if truth.partial:
        mine = _filled_up(mine, _around(grid_of(mine), grid_of(other)) if predicted.partial else grid_of(other))
    if predicted.partial:
        other = _filled_up(other, grid_of(mine))
    return mine, other


def _filled_up(part: Volume, whole: Grid) -> Volume:
    """Put a part into a larger grid of the same lattice; where it is none, it comes back as it is."""
    start = None if same_grid(grid_of(part), whole) else offset_in(grid_of(part), whole)
    if start is None:
        return part
    voxels = np.zeros((1, *whole.shape), part.voxels.dtype)
    box = tuple(slice(first, first + size) for first, size in zip(start, part.shape, strict=True))
    voxels[(slice(None), *box)] = part.voxels
    return Volume(voxels, whole.affine)


def _around(first: Grid, second: Grid) -> Grid:
    """Return the smallest grid on the lattice of the first that holds both; the first, where they lie far apart."""
    moved = np.linalg.inv(first.affine) @ second.affine[:, 3]
    start = np.rint(moved[:3]).astype(int)
    low = np.minimum(start, 0)
    high = np.maximum(start + second.shape, first.shape)
    x, y, z = (int(size) for size in high - low)
    if x * y * z > _MOST_VOXELS:
        return first
    step = np.eye(4)
    step[:3, 3] = low
    return Grid((x, y, z), first.affine @ step)
