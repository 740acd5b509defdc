"""DICOM-SEG objects as masks: each frame shows one segment, and the label is its number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from medseg.files.foreign.claim import note_of
from medseg.files.foreign.dicom.elements import EXPLICIT_BIG, FETCH
from medseg.files.foreign.dicom.file import DicomFile, short_of
from medseg.files.foreign.dicom.lattice import ROUNDING_MM, STEP_TOLERANCE, affine_at, plane_of
from medseg.files.foreign.stored import LARGEST_DEFLATE_RATIO, check_limit
from medseg.files.reading import AS_IT_IS, Reading, override
from medseg.files.scan_values import Heading, Scan
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.volume import Array, FloatArray, Volume

_MOST_PLANES = 10_000
_INSTALL = "install the reader with pip install 'medseg[dicom]'"


@dataclass(frozen=True, slots=True, eq=False)
class _Lattice:
    """The plane (counted from the lowest) of each frame, the number of planes, and where they lie."""

    heights: tuple[int, ...]
    planes: int
    affine: FloatArray


def read_heading(path: Path, file: DicomFile, notes: tuple[Finding, ...]) -> Heading:
    """Return the grid that the frames of a segmentation span: from the first to the last that was stored."""
    lattice = _lattice(path, file)
    return Heading((file.columns, file.rows, lattice.planes), 1, lattice.affine, notes)


def scan_mask(
    path: Path, file: DicomFile, reading: Reading, notes: tuple[Finding, ...], limit_voxels: int | None
) -> Scan:
    """Read a segmentation as uint8 `(1, X, Y, Z)` of segment numbers; planes that were not stored are background.

    The mask is `partial`: its planes are some of its image's. Refuses segments that overlap, and fractions unless
    `round_mask` cuts them at one half. Source: DICOM PS3.3 C.8.20 (BINARY, FRACTIONAL, LABELMAP).
    """
    lattice = _lattice(path, file)
    check_limit(path, file.columns * file.rows * lattice.planes, limit_voxels)
    kind = file.text(0x00620001)
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise Refusal(str(path), "the segmentation is BINARY, FRACTIONAL or LABELMAP", kind or "nothing", FETCH)
    findings, applied = _fractions(path, kind, reading)
    labels = np.zeros((1, file.columns, file.rows, lattice.planes), np.uint8)
    shown: set[tuple[int, int]] = set()
    for number, pixels in enumerate(_frames(path, file)):
        segment = 0 if kind == "LABELMAP" else _segment(path, file, number)
        place = (lattice.heights[number], segment)
        if place in shown:
            value = f"two of segment {segment} in one plane"
            raise Refusal(str(path), "every frame has a place of its own", value, "export the segmentation again")
        shown.add(place)
        _paint(path, labels[0, :, :, place[0]], _values(path, file, kind, pixels), segment)
    return Scan(Volume(labels, lattice.affine), (*notes, *findings), applied, partial=True)


def _fractions(path: Path, kind: str, reading: Reading) -> tuple[tuple[Finding, ...], Reading]:
    if kind != "FRACTIONAL":
        return (), AS_IT_IS
    rule, setting = "a mask holds whole labels", override("round_mask")
    if "round_mask" not in reading.repair:
        remedy = f"export it as BINARY, or cut it at one half with {setting}"
        raise Refusal(str(path), rule, "fractions (FRACTIONAL)", remedy, override=setting)
    note = note_of(rule, "fractions (FRACTIONAL)", "they were cut at one half", setting)
    return (note,), reading.only("round_mask")


def _lattice(path: Path, file: DicomFile) -> _Lattice:
    """Find the plane of each frame; refuses frames that lie on no regular lattice."""
    plane = plane_of(path, file.frames)
    positions = np.array([frame.position for frame in file.frames], np.float64)
    start = positions[int((positions @ plane.normal).argmin())]
    across = (positions - start) @ plane.normal
    step = _step(path, file, across)
    heights = np.rint(across / step)
    beside = np.linalg.norm(positions - start - (heights * step)[:, None] * plane.normal, axis=1)
    if beside.max() > max(STEP_TOLERANCE * step, ROUNDING_MM):
        value = f"a frame {beside.max():.3g} mm beside steps of {step:.4g} mm"
        raise Refusal(str(path), "frames are evenly spaced (to 1 % of a step)", value, "export it on its image's grid")
    planes = int(heights.max()) + 1
    if planes > _MOST_PLANES:
        raise Refusal(str(path), f"spans at most {_MOST_PLANES} planes", planes, "export it on its image's grid")
    affine = affine_at(path, plane, step * plane.normal, start)
    return _Lattice(tuple(int(height) for height in heights), planes, affine)


def _step(path: Path, file: DicomFile, across: FloatArray) -> float:
    """Return the distance of neighbouring planes: as named, where all frames fit to it, else the smallest one found."""
    first = file.frames[0]
    named = [abs(step) for step in (first.step_mm, first.thickness_mm) if step and isfinite(step)]
    distances = np.diff(np.unique(across))
    distances = distances[distances > ROUNDING_MM]
    for step in named:
        if np.abs(across - np.rint(across / step) * step).max() <= max(STEP_TOLERANCE * step, ROUNDING_MM):
            return step
    if not distances.size:
        raise Refusal(str(path), "names the distance of its planes", "nothing", "export it with spacing between slices")
    return float(distances.min())


def _segment(path: Path, file: DicomFile, number: int) -> int:
    segment = file.frames[number].segment
    if segment is None or not 1 <= segment <= 255:
        value = "nothing" if segment is None else segment
        raise Refusal(str(path), "every frame names a segment from 1 to 255", value, "export the segmentation again")
    return segment


def _values(path: Path, file: DicomFile, kind: str, pixels: Array) -> Array:
    """Return the pixels of a frame as labels (LABELMAP) or as yes and no, `(Y, X)`."""
    if kind == "LABELMAP":
        if pixels.max() > 255:
            rule = "a mask holds whole numbers from 0 to 255"
            raise Refusal(str(path), rule, int(pixels.max()), "write it again with labels of that range")
        return pixels.astype(np.uint8)
    if kind == "BINARY":
        if pixels.max() > 1:
            raise Refusal(str(path), "pixels of a BINARY segmentation are 0 or 1", int(pixels.max()), FETCH)
        return pixels.astype(np.bool_)
    largest = short_of(file.parsed, 0x0062000E, 255)
    return np.asarray(2 * pixels.astype(np.int64) >= largest)


def _paint(path: Path, labels: Array, values: Array, segment: int) -> None:
    """Put a frame into its plane `(X, Y)`; refuses to paint over another segment."""
    if segment == 0:
        labels[:] = values.T
        return
    covered = labels[values.T]
    if covered.any():
        value = f"segments {int(covered.max())} and {segment} share {np.count_nonzero(covered)} voxels"
        raise Refusal(str(path), "segments do not overlap", value, "export one segmentation per set of labels")
    labels[values.T] = segment


def _frames(path: Path, file: DicomFile) -> Iterator[Array]:
    """Yield the stored pixels of each frame, `(Y, X)`."""
    if file.parsed.pixels is None or file.parsed.pixels[2] is None:
        yield from _unpacked_frames(path, file)
        return
    if file.allocated == 1 and file.parsed.syntax == EXPLICIT_BIG:
        raise Refusal(str(path), "single bits are stored in little-endian order", "big-endian", "export it again")
    order = ">" if file.parsed.syntax == EXPLICIT_BIG else "<"
    size = file.rows * file.columns * file.allocated
    with file.path.open("rb") as stream:
        for number in range(len(file.frames)):
            begin = number * size
            stream.seek(file.parsed.pixels[1] + begin // 8)
            block = stream.read((begin % 8 + size + 7) // 8)
            if file.allocated == 1:
                bits = np.unpackbits(np.frombuffer(block, np.uint8), bitorder="little")
                yield bits[begin % 8 : begin % 8 + size].reshape(file.rows, file.columns)
            else:
                dtype = np.dtype(f"{order}u{file.allocated // 8}")
                yield np.frombuffer(block, dtype).reshape(file.rows, file.columns)


def _unpacked_frames(path: Path, file: DicomFile) -> Iterator[Array]:
    """Yield the frames of compressed pixel data, which needs the extra `dicom`."""
    try:
        from pydicom.pixels.utils import iter_pixels
    except ImportError:
        raise Refusal(str(path), "compressed segmentations need pydicom", "no pydicom", _INSTALL) from None
    if file.stored_bytes > LARGEST_DEFLATE_RATIO * file.path.stat().st_size:
        value = f"{file.stored_bytes} bytes of pixels in {file.path.stat().st_size}"
        raise Refusal(str(path), "is as long as its header claims", value, FETCH)
    for frame in iter_pixels(file.path):
        yield frame.reshape(file.rows, file.columns)
