"""What the door hands out: a header's claims before any voxel is read, and a scan once all of it was."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.files.reading import AS_IT_IS, Reading
from medseg.values.finding import Finding
from medseg.values.volume import FloatArray, Volume


@dataclass(frozen=True, slots=True, eq=False)
class Heading:
    """What a scan's header claims, checked against the size of its files: nothing has been allocated yet.

    `grid` voxels in each of `volumes` volumes on the stored axes, `affine` (4, 4) from stored indices to RAS+ mm.
    `findings` (warn and note only) say what is odd about it and how it was read.
    """

    grid: tuple[int, int, int]
    volumes: int
    affine: FloatArray
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A scan read to its end.

    `applied` is the part of the reading that made a difference: reading with it again gives the same volume.
    `partial` marks a mask (DICOM-SEG) that covers only part of its image, on the same lattice.
    """

    volume: Volume
    findings: tuple[Finding, ...] = ()
    applied: Reading = AS_IT_IS
    partial: bool = False
