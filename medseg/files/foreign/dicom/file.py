"""What one DICOM file claims: its frames, where each lies, and pixels that must all be there."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from medseg.files.foreign.dicom.elements import EXPLICIT_BIG, FETCH, Elements, Parsed, parse, text_of
from medseg.values.error import Refusal

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_INTEGER_PIXELS = 0x7FE00010
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_POSITIONS, _ORIENTATIONS, _MEASURES, _RESCALES = 0x00209113, 0x00209116, 0x00289110, 0x00289145


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice as stored. Positions and cosines in DICOM's patient space (LPS, mm); None where nothing is said.

    `spacing` is that between rows, then between columns. A voxel is `slope * stored + intercept`; `scaled` says that
    the file names them. `segment` is the number of the segment that a frame of a segmentation shows.
    """

    label: str
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    slope: float
    intercept: float
    scaled: bool
    segment: int | None
    step_mm: float | None
    thickness_mm: float | None


@dataclass(frozen=True, slots=True)
class DicomFile:
    """The facts of one file that has pixels."""

    parsed: Parsed
    rows: int
    columns: int
    allocated: int
    frames: tuple[Frame, ...]

    @property
    def path(self) -> Path:
        """The file."""
        return self.parsed.path

    @property
    def series(self) -> str:
        """The UID of its series."""
        return text_of(self.parsed.elements, 0x0020000E)

    @property
    def is_segmentation(self) -> bool:
        """Whether it is a DICOM-SEG object."""
        return text_of(self.parsed.elements, 0x00080016) in SEGMENTATIONS

    @property
    def stored_bytes(self) -> int:
        """Size of its pixels, unpacked."""
        return (self.rows * self.columns * len(self.frames) * self.allocated + 7) // 8

    def text(self, tag: int) -> str:
        """Return a value as text, "" where there is none."""
        return text_of(self.parsed.elements, tag)


def read_file(path: Path) -> DicomFile | None:
    """Read what a DICOM file claims, None where it has no pixels (a directory, a report, a plan).

    Refuses a file that is cut, whose pixel data has another length than claimed, or that is no grey image.
    """
    parsed = parse(path)
    if parsed.pixels is None:
        return None
    name, elements = str(path), parsed.elements
    if parsed.pixels[0] != _INTEGER_PIXELS:
        raise Refusal(name, "pixels are stored as whole numbers", "floating-point pixel data", "convert it to NIfTI")
    _refuse_colours(name, parsed)
    rows, columns, allocated = (short_of(parsed, tag) for tag in (0x00280010, 0x00280011, 0x00280100))
    if min(rows, columns) < 1 or allocated not in (1, 8, 16, 32):
        value = f"{rows} rows, {columns} columns of {allocated} bits"
        raise Refusal(name, "has rows and columns of 8, 16 or 32 bits", value, FETCH)
    count = text_of(elements, 0x00280008) or "1"
    if not count.isdecimal() or not 1 <= int(count) <= 1_000_000:
        raise Refusal(name, "every dimension has at least one voxel", f"{count[:20]} frames", FETCH)
    groups = _groups(name, elements, int(count))
    frames = tuple(_frame(name, path.name, parsed, index, group, int(count)) for index, group in enumerate(groups))
    file = DicomFile(parsed, rows, columns, allocated, frames)
    _check_pixels(file)
    return file


def _refuse_colours(name: str, parsed: Parsed) -> None:
    samples, photometric = short_of(parsed, 0x00280002, 1), text_of(parsed.elements, 0x00280004)
    palette = photometric == "PALETTE COLOR" and text_of(parsed.elements, 0x00080016) in SEGMENTATIONS
    if samples != 1 or (photometric not in ("MONOCHROME1", "MONOCHROME2") and not palette):
        value = f"{samples} samples, {photometric[:30] or 'nothing'}"
        raise Refusal(name, "voxels are single real numbers (MONOCHROME)", value, "store a grey image")
    if parsed.elements.get(0x00283000):
        raise Refusal(name, "voxels are scaled by slope and intercept", "a lookup table", "convert it to NIfTI")


def _check_pixels(file: DicomFile) -> None:
    _, _, length = file.parsed.pixels or (0, 0, 0)
    name, claimed = str(file.path), file.stored_bytes
    if length is None:
        if file.parsed.fragments < len(file.frames):
            value = f"{file.parsed.fragments} fragments for {len(file.frames)} frames"
            raise Refusal(name, "every frame has its pixels", value, FETCH)
    elif length not in (claimed, claimed + claimed % 2):
        raise Refusal(name, "is as long as its header claims", f"{length} of {claimed} bytes of pixels", FETCH)


def _groups(name: str, elements: Elements, count: int) -> list[tuple[Elements, ...]]:
    """Return, for each frame, the elements that speak of it: its own first, then the shared, then the file's."""
    shared = _sequence(elements, _SHARED)
    own = _sequence(elements, _PER_FRAME)
    if own and len(own) != count:
        raise Refusal(name, "every frame has its functional groups", f"{len(own)} for {count} frames", FETCH)
    if not own and count > 1:
        value = f"{count} frames without positions"
        raise Refusal(name, "every frame names its position", value, "export the series as one file per slice")
    return [(*own[index : index + 1], *shared[:1], elements) for index in range(count)]


def _frame(name: str, file: str, parsed: Parsed, index: int, group: tuple[Elements, ...], count: int) -> Frame:
    slope = _numbers(name, group, _RESCALES, 0x00281053, 1)
    intercept = _numbers(name, group, _RESCALES, 0x00281052, 1)
    factor, shift = slope[0] if slope else 1.0, intercept[0] if intercept else 0.0
    if not isfinite(factor) or not isfinite(shift) or factor == 0.0:
        raise Refusal(name, "rescale slope and intercept are finite, the slope not 0", f"{factor}, {shift}", FETCH)
    step = _numbers(name, group, _MEASURES, 0x00180088, 1)
    thickness = _numbers(name, group, _MEASURES, 0x00180050, 1)
    return Frame(
        label=f"{file} frame {index + 1}" if count > 1 else file,
        position=_numbers(name, group, _POSITIONS, 0x00200032, 3),
        orientation=_numbers(name, group, _ORIENTATIONS, 0x00200037, 6),
        spacing=_numbers(name, group, _MEASURES, 0x00280030, 2),
        slope=factor,
        intercept=shift,
        scaled=slope is not None or intercept is not None,
        segment=_segment(parsed, group),
        step_mm=step[0] if step else None,
        thickness_mm=thickness[0] if thickness else None,
    )


def _segment(parsed: Parsed, group: tuple[Elements, ...]) -> int | None:
    value = _find(group, 0x0062000A, 0x0062000B)
    order = ">" if parsed.syntax == EXPLICIT_BIG else "<"
    return int(struct.unpack(order + "H", value[:2])[0]) if len(value) >= 2 else None


def _numbers(name: str, group: tuple[Elements, ...], sequence: int, tag: int, count: int) -> tuple[float, ...] | None:
    """Return the decimal numbers of a frame, None where the file says nothing; refuses another count."""
    text = _find(group, sequence, tag).decode("latin-1").strip(" \0")
    if not text:
        return None
    try:
        found = tuple(float(word) for word in text.split("\\"))
    except ValueError:
        found = ()
    if len(found) != count:
        raise Refusal(name, f"element {tag >> 16:04x},{tag & 0xFFFF:04x} holds {count} numbers", text[:60], FETCH)
    return found


def _find(group: tuple[Elements, ...], sequence: int, tag: int) -> bytes:
    """Return the value of a tag: within the sequence of a functional group, else of the file itself."""
    for elements in group:
        for item in _sequence(elements, sequence)[:1]:
            value = item.get(tag)
            if isinstance(value, bytes):
                return value
    value = group[-1].get(tag)
    return value if isinstance(value, bytes) else b""


def _sequence(elements: Elements, tag: int) -> list[Elements]:
    found = elements.get(tag)
    return found if isinstance(found, list) else []


def short_of(parsed: Parsed, tag: int, default: int = 0) -> int:
    """Return an unsigned 16-bit value, `default` where there is none."""
    value = parsed.elements.get(tag)
    if not isinstance(value, bytes) or len(value) < 2:
        return default
    return int(struct.unpack((">" if parsed.syntax == EXPLICIT_BIG else "<") + "H", value[:2])[0])
