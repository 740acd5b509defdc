"""Read the channels of a new scan, in the order of a model, onto one grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.files.layouts.find import ChannelFile, FoundCase
from medseg.files.reading import AS_IT_IS, Reading
from medseg.files.scan_values import Heading, Scan
from medseg.files.scans import read_heading, scan_image
from medseg.ops.grids import Grid, canonical_grid, grid_of, same_grid
from medseg.ops.orientation import to_canonical
from medseg.ops.placement import StoredGrid, stored_grid
from medseg.ops.resampling import resample_to_grid
from medseg.stages.intake.checks import check_place, check_volumes, check_voxels
from medseg.values.error import Refusal
from medseg.values.finding import Finding, one_line
from medseg.values.volume import FloatArray, Volume


@dataclass(frozen=True, slots=True)
class Expected:
    """What a model wants of a scan: channels in order, whether some may lack (then they are 0), and how to read."""

    names: tuple[str, ...]
    may_lack: bool = False
    reading: Reading = AS_IT_IS
    resample_channels: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A scan as it was read: float32 (C, X, Y, Z) on canonical axes, and the grid that its first channel is stored on.

    `missing` are the indices of channels that it lacks, which are 0 everywhere. `notes` say what was odd about it.
    """

    image: Volume
    stored: StoredGrid
    missing: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def take_scan(case: FoundCase, folder: Path, expected: Expected, pool: ThreadPoolExecutor | None = None) -> Taken:
    """Read the channels of a case, whose paths lie below `folder`; the headers of all of them come first.

    With a pool several channels are read at once.

    The grid is that of the first channel that the case has, the others are resampled to it. Refuses a case that lacks a
    channel, files with another number of volumes than expected, channels that show other space than the first, voxels
    that are all the same, and what the readers refuse.
    """
    missing = _missing(case, expected)
    there = [name for name in expected.names if name in case.channels]
    grids = {name: _heading(case.channels[name], folder, expected) for name in there}
    notes = [f"there is no channel {expected.names[index]}: it is 0 everywhere" for index in missing]
    first = canonical_grid(grids[there[0]].grid, grids[there[0]].affine)
    voxels = np.zeros((len(expected.names), *first.shape), np.float32)
    stored: StoredGrid | None = None
    for name in there:
        heading = grids[name]
        check_place(
            case.channels[name], canonical_grid(heading.grid, heading.affine), first, expected.resample_channels
        )
    files = [case.channels[name] for name in there]
    for name, file, scan in zip(there, files, _scans(files, folder, expected, pool), strict=True):
        stored = stored or stored_grid(scan.volume)
        voxels[expected.names.index(name)] = _on_grid(to_canonical(scan.volume), first)
        notes += _odd(file, (*scan.findings, *_checked(file, scan.volume)))
    if stored is None:
        raise RuntimeError("a scan without channels was let through")
    return Taken(Volume(voxels, first.affine), stored, missing, tuple(notes))


def _scans(
    files: Sequence[ChannelFile], folder: Path, expected: Expected, pool: ThreadPoolExecutor | None
) -> Iterator[Scan]:
    """Yield the scans of files in their order."""

    def read(file: ChannelFile) -> Scan:
        return scan_image(folder / file.path, file.component, expected.reading, as_stored=True)

    return map(read, files) if pool is None or len(files) == 1 else pool.map(read, files)


def _missing(case: FoundCase, expected: Expected) -> tuple[int, ...]:
    """Return the indices of the channels that a case lacks; refuses them unless the model has learned to do without."""
    missing = [name for name in expected.names if name not in case.channels]
    if missing and (not expected.may_lack or len(missing) == len(expected.names)):
        others = [name for name in case.channels if name not in expected.names]
        value = f"none for {', '.join(missing)}" + (f", but {', '.join(others)}" if others else "")
        remedy = f"add the file, or say which it is, like data.channels='{{{missing[0]}: PATTERN}}'"
        folder = case.channels[others[0]].path.parent if others else Path()
        if folder.name:
            remedy += f"; if the scans in {folder} are several cases, name that folder as images"
        rule = f"has a file for each channel of the model: {', '.join(expected.names)}"
        raise Refusal(case.case, rule, value, remedy)
    return tuple(expected.names.index(name) for name in missing)


def _heading(file: ChannelFile, folder: Path, expected: Expected) -> Heading:
    heading = read_heading(folder / file.path, expected.reading)
    if file.volumes > 1 and heading.volumes == 1:
        rule = f"holds the {file.volumes} channels of the model as volumes: {', '.join(expected.names)}"
        remedy = "give each case a folder below images, name its files CASE_0000, CASE_0001 ..., or set data.channels"
        raise Refusal(file.path.as_posix(), rule, "1 volume", remedy)
    check_volumes(file, heading, expected.reading)
    return heading


def _on_grid(volume: Volume, grid: Grid) -> FloatArray:
    """Return the voxels (X, Y, Z) of a volume of one channel on a grid."""
    same = same_grid(grid_of(volume), grid)
    voxels: FloatArray = (volume if same else resample_to_grid(volume, grid.shape, grid.affine)).voxels[0]
    return voxels


def _checked(file: ChannelFile, volume: Volume) -> tuple[Finding, ...]:
    voxels = volume.voxels[0]
    return check_voxels(file, voxels, float(voxels.min()), float(voxels.max()))


def _odd(file: ChannelFile, findings: Sequence[Finding]) -> list[str]:
    return [one_line(finding, file.path.as_posix()) for finding in findings if finding.severity == "warn"]
