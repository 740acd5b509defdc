"""Bring a mask onto the grid of its image: as it is, as a part of it, or by nearest neighbours where asked for."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from medseg.files.reading import AS_IT_IS, Reading, override
from medseg.files.scan_names import DICOM_ENDINGS, ending_of
from medseg.files.scans import read_heading, scan_mask
from medseg.ops.grids import Grid, canonical_grid, distance_voxels, grid_of, offset_in, same_grid
from medseg.ops.orientation import to_canonical
from medseg.ops.resampling import resample_labels_to_grid
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.volume import Array, Volume

RULE = "the mask lies on the grid of the first channel (after turning both to RAS+)"


@dataclass(frozen=True, slots=True, eq=False)
class PlacedMask:
    """Label numbers (X, Y, Z), uint8, on a canonical grid; what was noticed, and what of the reading counted."""

    labels: Array
    findings: tuple[Finding, ...]
    applied: Reading


def mask_on_grid(
    path: Path, grid: Grid, reading: Reading = AS_IT_IS, image: str = "the image", as_stored: bool = False
) -> PlacedMask:
    """Read a mask and bring it onto the canonical `grid`, that of the file `image`.

    The same grid in another axis order is the same grid; differences below a thousandth of a voxel are harmonised. A
    DICOM segmentation may cover part of the grid. Another grid is refused before a voxel is read, unless `reading` has
    the repair `resample_mask`. The labels are C-contiguous, unless they may lie in memory `as_stored`.
    """
    heading = read_heading(path, reading)
    claimed = canonical_grid(heading.grid, heading.affine)
    may_be_part = path.is_dir() or ending_of(path.name).lower() in DICOM_ENDINGS
    resampled = "resample_mask" in reading.repair and not same_grid(claimed, grid)
    if not (same_grid(claimed, grid) or may_be_part or resampled):
        raise _elsewhere(path, claimed, grid, image)
    scan = scan_mask(path, reading, prod(grid.shape), as_stored)
    volume = to_canonical(scan.volume)
    if same_grid(grid_of(volume), grid):
        labels = volume.voxels[0] if as_stored else np.ascontiguousarray(volume.voxels[0])
        return PlacedMask(labels, scan.findings, scan.applied)
    if scan.partial and (start := offset_in(grid_of(volume), grid)) is not None:
        return PlacedMask(_padded(volume, start, grid), scan.findings, scan.applied)
    if not resampled:
        raise _elsewhere(path, grid_of(volume), grid, image)
    return _resampled(volume, grid, scan.findings, scan.applied, reading)


def _resampled(
    volume: Volume, grid: Grid, findings: tuple[Finding, ...], applied: Reading, reading: Reading
) -> PlacedMask:
    labels = resample_labels_to_grid(volume.voxels[0], volume.affine, grid.shape, grid.affine)
    note = Finding(
        severity="note",
        rule=RULE,
        value=f"another grid: shape {volume.shape} for {grid.shape}; every voxel took the nearest label",
        remedy="nothing, it was asked for",
        override=override("resample_mask"),
    )
    merged = (*applied.repair, "resample_mask")
    kept = reading.only(*merged, orientation=applied.assume_orientation is not None)
    return PlacedMask(labels, (*findings, note), kept)


def _padded(volume: Volume, start: tuple[int, int, int], grid: Grid) -> Array:
    labels = np.zeros(grid.shape, np.uint8)
    box = tuple(slice(first, first + size) for first, size in zip(start, volume.shape, strict=True))
    labels[box] = volume.voxels[0]
    return labels


def _elsewhere(path: Path, mask: Grid, grid: Grid, image: str) -> Refusal:
    gap = distance_voxels(mask, grid)
    differs = f"shape {mask.shape} for {grid.shape}" if np.isinf(gap) else f"corners {gap:.3g} voxels away from those"
    asked = override("resample_mask")
    remedy = f"resample the mask to the image, or set {asked}"
    return Refusal(str(path), RULE, f"{differs} of {image}", remedy, override=asked)
