"""Planes of stored numbers become an image or a mask, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medseg.files.foreign.claim import note_of
from medseg.files.nifti.affine import Position
from medseg.files.reading import Reading, Repair, override
from medseg.files.scan_values import Scan
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.volume import Array, Volume

Grid = tuple[int, int, int]
Planes = Iterator[tuple[int, Array]]
_TOGETHER = 16
_WHOLE_NUMBER_TOLERANCE = 1e-5


def image_of(path: Path, planes: Planes, grid: Grid, position: Position, reading: Reading) -> Scan:
    """Return the image of planes (z, `(Y, X)` of any real type) as float32 `(1, X, Y, Z)`.

    Refuses voxels that are not finite unless `fill_nonfinite` gives them the lowest finite value.
    """
    voxels = np.empty((1, *grid), np.float32)
    bad, lowest = 0, np.inf
    for z, slab in _slabs(planes):
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = slab.astype(np.float32)
        finite = np.isfinite(numbers)
        bad += finite.size - int(np.count_nonzero(finite))
        lowest = min(lowest, float(numbers.min(where=finite, initial=np.inf)))
        voxels[0, :, :, z : z + len(slab)] = numbers.transpose(2, 1, 0)
    findings, repairs = position.findings, position.applied.repair
    if bad:
        findings = (*findings, _filled(path, bad, voxels.size, np.isfinite(lowest), reading))
        repairs = (*repairs, "fill_nonfinite")
        for row in voxels[0]:
            row[~np.isfinite(row)] = lowest
    return Scan(Volume(voxels, position.affine), findings, _applied(position, repairs))


def _filled(path: Path, bad: int, size: int, any_finite: bool, reading: Reading) -> Finding:
    rule, setting = "all voxels are finite 32-bit numbers", override("fill_nonfinite")
    value = f"{bad} of {size} NaN or infinite"
    if not any_finite:
        raise Refusal(str(path), rule, value, "leave out the image")
    if "fill_nonfinite" not in reading.repair:
        remedy = f"repair the image, or give them its lowest value with {setting}"
        raise Refusal(str(path), rule, value, remedy, override=setting)
    return note_of(rule, value, "they were given the lowest finite value", setting)


def mask_of(path: Path, planes: Planes, grid: Grid, position: Position, reading: Reading) -> Scan:
    """Return the mask of planes (z, `(Y, X)` of any real type) as uint8 `(1, X, Y, Z)`.

    Whole numbers stored as floats are taken (to 1e-5). Refuses other numbers unless `round_mask` takes them to the
    nearest whole one, and always what then is none of 0..255.
    """
    labels = np.empty((1, *grid), np.uint8)
    between: list[Array] = []
    for z, slab in _slabs(planes):
        near, apart = _whole(path, slab)
        between.append(apart)
        labels[0, :, :, z : z + len(slab)] = near.transpose(2, 1, 0)
    wrong = np.concatenate(between)
    findings, repairs = position.findings, position.applied.repair
    if wrong.size:
        findings = (*findings, _rounded(path, wrong, labels.size, reading))
        repairs = (*repairs, "round_mask")
    return Scan(Volume(labels, position.affine), findings, _applied(position, repairs))


def _whole(path: Path, slab: Array) -> tuple[Array, Array]:
    """Return the nearest labels of a slab and the numbers in it that are none."""
    if slab.dtype == np.uint8:
        return slab, np.empty(0, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.rint(slab)
        outside = ~((near >= 0) & (near <= 255))
        if outside.any():
            raise _no_labels(path, slab[outside], "write it again with labels of that range")
        apart = slab[np.abs(slab - near) > _WHOLE_NUMBER_TOLERANCE] if slab.dtype.kind == "f" else slab[:0, 0, 0]
    return near.astype(np.uint8), apart.astype(np.float64)


def _rounded(path: Path, wrong: Array, size: int, reading: Reading) -> Finding:
    setting = override("round_mask")
    if "round_mask" not in reading.repair:
        remedy = f"write it again without interpolation, or round it with {setting}"
        raise _no_labels(path, wrong, remedy, setting)
    value = f"{wrong.size} of {size} voxels between them"
    return note_of("a mask holds whole numbers from 0 to 255", value, "they went to the nearest whole number", setting)


def _no_labels(path: Path, wrong: Array, remedy: str, setting: str | None = None) -> Refusal:
    shown = ", ".join(f"{value:g}" for value in np.unique(wrong)[:5])
    value = f"{shown} ({wrong.size} voxels)"
    return Refusal(str(path), "a mask holds whole numbers from 0 to 255", value, remedy, override=setting)


def _applied(position: Position, repairs: tuple[Repair, ...]) -> Reading:
    return Reading(assume_orientation=position.applied.assume_orientation, repair=tuple(dict.fromkeys(repairs)))


def _slabs(planes: Planes) -> Iterator[tuple[int, Array]]:
    """Yield consecutive planes of one data type together, as (z of the first, `(n, Y, X)`): writing them is quicker."""
    held: list[Array] = []
    first = 0
    for z, plane in planes:
        if held and (z != first + len(held) or len(held) == _TOGETHER or plane.dtype != held[0].dtype):
            yield first, np.stack(held)
            held = []
        if not held:
            first = z
        held.append(plane)
    if held:
        yield first, np.stack(held)
