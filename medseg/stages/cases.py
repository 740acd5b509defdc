"""Load a case: all channels, and the mask, on the canonical grid of the first channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.files.records import CaseRecord, FileRecord
from medseg.files.scans import read_image
from medseg.ops.grids import Grid, canonical_grid, grid_of, same_grid
from medseg.ops.orientation import to_canonical
from medseg.ops.resampling import resample_to_grid
from medseg.stages.intake.masks import mask_on_grid
from medseg.values.error import Refusal
from medseg.values.volume import Volume


def load_channels(record: CaseRecord, root: Path) -> Volume:
    """Load the channels of a case, in the order of `record.channel_names`, as float32 (C, X, Y, Z) on canonical axes.

    The grid is that of the first channel the case has; a channel whose grid differs by more than a thousandth of a
    voxel anywhere is resampled to it. A missing channel is 0 everywhere. A case without channels is refused.
    """
    if not record.channels:
        raise Refusal(record.case, "a case has at least one channel", "none", "check the layout of data.root")
    names = record.channel_names
    first, *others = (name for name in names if name in record.channels)
    volume = _load(record.channels[first], root)
    grid = grid_of(volume)
    voxels = np.zeros((len(names), *grid.shape), np.float32)
    voxels[names.index(first)] = volume.voxels[0]
    for name in others:
        voxels[names.index(name)] = _on_grid(_load(record.channels[name], root), grid).voxels[0]
    return Volume(voxels, grid.affine)


def load_mask(record: CaseRecord, root: Path) -> Volume:
    """Load the mask of a case as uint8 label numbers (1, X, Y, Z) on the grid that `load_channels` uses.

    What the index did to it is done again: see `FileRecord`. Refuses a case without mask or known grid.
    """
    if record.mask is None:
        raise Refusal(record.case, "the case has a mask", "none", "add the mask or leave it out")
    grid = canonical_grid_of(record)
    labels = mask_on_grid(root / record.mask.path, grid, record.mask.reading).labels
    if record.mask.dropped:
        labels[np.isin(labels, record.mask.dropped)] = 0
    return Volume(labels[None], grid.affine)


def canonical_grid_of(record: CaseRecord) -> Grid:
    """Return the canonical grid of a case's first channel; refuses a record without one."""
    if record.shape is None or record.affine is None:
        raise Refusal(record.case, "the index knows the grid of the case", None, "run index again")
    return canonical_grid(record.shape, np.asarray(record.affine, np.float64))


def _on_grid(volume: Volume, grid: Grid) -> Volume:
    if same_grid(grid_of(volume), grid):
        return volume
    return resample_to_grid(volume, grid.shape, grid.affine)


def _load(file: FileRecord, root: Path) -> Volume:
    return to_canonical(read_image(root / file.path, file.component, file.reading))
