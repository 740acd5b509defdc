"""DICOM images: a folder of slices or a file of frames becomes one volume, or is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from medseg.files.foreign import voxels
from medseg.files.foreign.claim import note_of
from medseg.files.foreign.dicom import segmentation
from medseg.files.foreign.dicom.file import DicomFile, Frame
from medseg.files.foreign.dicom.folder import left_out, open_files
from medseg.files.foreign.dicom.lattice import lattice_of
from medseg.files.foreign.native import Request, read_planes
from medseg.files.foreign.stored import check_density, check_limit
from medseg.files.nifti.affine import Position
from medseg.files.reading import Reading
from medseg.files.scan_values import Heading, Scan
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.volume import Array

_LONGEST_NUMBER = 12
_OWN_FOLDER = "put each series in a folder of its own"


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The files of one volume; the frame (file number, frame number) of each z, and where the volume lies."""

    path: Path
    files: tuple[DicomFile, ...]
    order: tuple[tuple[int, int], ...]
    position: Position

    @property
    def grid(self) -> tuple[int, int, int]:
        """Voxels along rows, along columns and across the planes."""
        return self.files[0].columns, self.files[0].rows, len(self.order)


def read_heading(path: Path, reading: Reading) -> Heading:
    """Read and check the headers of all slices; of a DICOM-SEG, the lattice that its frames lie on."""
    files, notes = open_files(path)
    if all(file.is_segmentation for file in files):
        return segmentation.read_heading(path, _only_one(path, files), notes)
    series = _series(path, files, notes)
    return Heading(series.grid, 1, series.position.affine, series.position.findings)


def scan_image(path: Path, component: int, reading: Reading) -> Scan:
    """Read a series as float32 `(1, X, Y, Z)`: X along rows, Y along columns, Z along their normal, rescale applied."""
    if component != 0:
        raise Refusal(str(path), f"has a volume number {component}", "1 volumes", "name another one")
    series = read_series(path)
    check_density(path, sum(file.stored_bytes for file in series.files), *(file.path for file in series.files))
    return voxels.image_of(path, _planes(series), series.grid, series.position, reading)


def scan_mask(path: Path, reading: Reading, limit_voxels: int | None) -> Scan:
    """Read a DICOM-SEG as a mask of its segment numbers, or a series whose voxels are labels."""
    files, notes = open_files(path)
    segmentations = [file for file in files if file.is_segmentation]
    if segmentations:
        return segmentation.scan_mask(path, _only_one(path, segmentations), reading, notes, limit_voxels)
    series = _series(path, files, notes)
    check_limit(path, prod(series.grid), limit_voxels)
    return voxels.mask_of(path, _planes(series), series.grid, series.position, reading)


def read_series(path: Path) -> Series:
    """Read and order the headers of a series, a folder or a file of frames; refuses what is no regular volume."""
    return _series(path, *open_files(path))


def _series(path: Path, files: Sequence[DicomFile], notes: tuple[Finding, ...]) -> Series:
    """Put the slices of one series in order; refuses several series, sizes or ways of scaling."""
    images = [file for file in files if not file.is_segmentation]
    if not images:
        raise Refusal(str(path), "is an image", "a segmentation (DICOM-SEG)", "name it as a mask")
    segmentations = [file.path.name for file in files if file.is_segmentation]
    _check_one_series(path, images)
    frames = [frame for file in images for frame in file.frames]
    _check_alike(path, images, frames)
    places = [(number, index) for number, file in enumerate(images) for index in range(len(file.frames))]
    order, affine = lattice_of(path, frames)
    findings = (*notes, *left_out(segmentations, "the images of the folder are no segmentations"), *_oddities(images))
    return Series(path, tuple(images), tuple(places[at] for at in order), Position(affine, findings))


def _check_one_series(path: Path, images: Sequence[DicomFile]) -> None:
    series: dict[str, list[DicomFile]] = {}
    for file in images:
        series.setdefault(file.series, []).append(file)
    if len(series) > 1:
        shown = [f"{len(files)} files like {files[0].path.name}" for files in list(series.values())[:5]]
        raise Refusal(str(path), "a folder holds one series", f"{len(series)}: {', '.join(shown)}", _OWN_FOLDER)


def _check_alike(path: Path, images: Sequence[DicomFile], frames: Sequence[Frame]) -> None:
    sizes = {(file.columns, file.rows): file.path.name for file in reversed(images)}
    if len(sizes) > 1:
        value = ", ".join(
            f"{size[0]} x {size[1]} in {name}" for size, name in sorted(sizes.items(), key=lambda one: one[1])[:3]
        )
        raise Refusal(str(path), "all slices have the same size", value, _OWN_FOLDER)
    if any(file.allocated == 1 for file in images):
        raise Refusal(str(path), "has rows and columns of 8, 16 or 32 bits", "1 bit", "name it as a mask")
    if len({frame.scaled for frame in frames}) > 1:
        without = next(frame.label for frame in frames if not frame.scaled)
        rule = "all slices name a rescale slope and intercept, or none does"
        raise Refusal(str(path), rule, f"none in {without}", "export the series again")


def _oddities(images: Sequence[DicomFile]) -> tuple[Finding, ...]:
    """Say what is right but worth knowing: units of a PET, losses, inverted display, numbers that are missing."""
    found = []
    units = {file.text(0x00541001) for file in images if file.text(0x00080060) == "PT"} - {"", "GML"}
    if units:
        value = ", ".join(sorted(units))[:40]
        found.append(note_of("a PET is in units of SUV (GML)", value, "its numbers were taken as they are"))
    if any(file.text(0x00282110) == "01" for file in images):
        found.append(note_of("pixels were stored without loss", "lossy compression", "its numbers are approximate"))
    if any(file.text(0x00280004) == "MONOCHROME1" for file in images):
        found.append(note_of("large numbers are shown bright", "MONOCHROME1", "its numbers were taken as they are"))
    named = [file.text(0x00200013) for file in images]
    numbers = {int(text) for text in named if text.isdecimal() and len(text) <= _LONGEST_NUMBER}
    if len(numbers) == len(images) > 1 and max(numbers) - min(numbers) >= len(numbers):
        value = f"{len(numbers)} from {min(numbers)} to {max(numbers)}"
        found.append(note_of("instance numbers follow each other", value, "see that no slice is missing at an end"))
    return tuple(found)


def _only_one(path: Path, files: Sequence[DicomFile]) -> DicomFile:
    if len(files) != 1:
        value = f"{len(files)}, like {files[0].path.name} and {files[1].path.name}"
        raise Refusal(str(path), "a folder holds one segmentation", value, "name the file, or leave one in the folder")
    return files[0]


def _planes(series: Series) -> voxels.Planes:
    """Yield the scaled planes, a file at a time: z ascending where every file is one slice."""
    height = {place: z for z, place in enumerate(series.order)}
    numbers = dict.fromkeys(number for number, _ in series.order)
    for number in numbers:
        yield from _planes_of(
            series.files[number], [height[number, i] for i in range(len(series.files[number].frames))]
        )


def _planes_of(file: DicomFile, heights: Sequence[int]) -> Iterator[tuple[int, Array]]:
    """Yield the planes of one file. Slope and intercept are hidden from the reader and applied here, exactly."""
    request = Request(
        path=file.path,
        io="GDCMImageIO",
        grid=(file.columns, file.rows, len(file.frames)),
        volumes=1,
        stored_bytes=file.stored_bytes,
        patches=file.parsed.neutral,
    )
    for frame, z, plane in zip(file.frames, heights, read_planes(request), strict=True):
        changed = frame.slope != 1.0 or frame.intercept != 0.0
        yield z, plane.astype(np.float64) * frame.slope + frame.intercept if changed else plane
