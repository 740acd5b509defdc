"""Load a case: all channels, and the mask, on the canonical grid of the first channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.files.nifti import read_image, read_mask
from medseg.files.records import CaseRecord, FileRecord
from medseg.ops.orientation import to_canonical
from medseg.ops.resampling import resample_to_grid
from medseg.values.error import Refusal
from medseg.values.volume import FloatArray, Volume

_SAME_VOXELS = 1e-3
_MASK_VOXELS = 0.1


def load_channels(record: CaseRecord, root: Path) -> Volume:
    """Load the channels of a case, in the order of the record, as float32 (C, X, Y, Z) on canonical (RAS+) axes.

    The grid is that of the first channel; a channel whose grid differs by more than a thousandth of a voxel anywhere
    is resampled to it. A case without channels is refused.
    """
    if not record.channels:
        raise Refusal(record.case, "a case has at least one channel", "none", "check the layout of data.root")
    first, *others = record.channels.values()
    grid = _load(first, root)
    voxels = np.empty((1 + len(others), *grid.shape), np.float32)
    voxels[0] = grid.voxels[0]
    for index, file in enumerate(others, start=1):
        volume = _load(file, root)
        same = grid_distance(volume, grid.shape, grid.affine) <= _SAME_VOXELS
        voxels[index] = (volume if same else resample_to_grid(volume, grid.shape, grid.affine)).voxels[0]
    return Volume(voxels, grid.affine)


def load_mask(record: CaseRecord, root: Path) -> Volume:
    """Load the mask of a case as uint8 label numbers (1, X, Y, Z) on the grid that `load_channels` uses.

    Headers may differ by a tenth of a voxel; a mask on another grid, or no mask at all, is refused.
    """
    if record.mask is None or record.shape is None or record.affine is None:
        raise Refusal(record.case, "the case has a mask and a known grid", record.mask, "add the mask or leave it out")
    stored = Volume(np.broadcast_to(np.uint8(0), (1, *record.shape)), np.asarray(record.affine, np.float64))
    grid = to_canonical(stored)
    mask = to_canonical(read_mask(root / record.mask.path))
    distance = grid_distance(mask, grid.shape, grid.affine)
    if distance > _MASK_VOXELS:
        found = f"shape {mask.shape} for {grid.shape}, {distance:.3g} voxels apart"
        raise Refusal(record.case, "mask and first channel share a grid", found, "resample the mask")
    return Volume(np.ascontiguousarray(mask.voxels), grid.affine)


def grid_distance(volume: Volume, shape: tuple[int, int, int], affine: FloatArray) -> float:
    """Return how far apart, in voxels of `affine`, the corners of two grids lie; infinite for different shapes."""
    if volume.shape != shape:
        return float("inf")
    corners = np.array([[x, y, z, 1] for x in (0, shape[0] - 1) for y in (0, shape[1] - 1) for z in (0, shape[2] - 1)])
    moved = corners @ (np.linalg.inv(affine) @ volume.affine).T
    return float(np.abs(moved - corners).max())


def _load(file: FileRecord, root: Path) -> Volume:
    return to_canonical(read_image(root / file.path, file.component))
