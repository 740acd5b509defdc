"""What a NIfTI header claims, checked before a single voxel is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from math import prod
from typing import Any, Literal

import numpy as np

from medseg.files.nifti.affine import Grid, position_of
from medseg.files.nifti.layouts import DATA_TYPES, NIFTI_1, NIFTI_2
from medseg.files.reading import Reading
from medseg.values.error import Refusal
from medseg.values.finding import Finding
from medseg.values.volume import FloatArray

Order = Literal["<", ">"]
NIFTI_1_BYTES = 348
NIFTI_2_BYTES = 540
_DAMAGED = "fetch or convert the file again"
_ANALYZE = "convert it with a program that knows left from right in it"
_LINE_ENDS = (b"\r\n\x1a\n", bytes(4))


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """Where the voxels of a file lie and what they mean: `grid` voxels in each of `volumes` volumes.

    `offset` counts the bytes in front of the first voxel; a voxel is `slope * stored + intercept`.
    `findings` (warn and note) say what is odd, `applied` what part of the reading made a difference.
    """

    grid: Grid
    volumes: int
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    affine: FloatArray
    findings: tuple[Finding, ...]
    applied: Reading

    @property
    def voxels(self) -> int:
        """Number of voxels of one volume."""
        return prod(self.grid)

    @property
    def volume_bytes(self) -> int:
        """Size of one volume as stored."""
        return self.voxels * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        """Size of the whole (unpacked) file that holds the voxels."""
        return self.offset + self.volumes * self.volume_bytes

    @property
    def scaled(self) -> bool:
        """Whether slope and intercept change anything."""
        return (self.slope, self.intercept) != (1.0, 0.0)


def header_bytes(start: bytes) -> int:
    """Return the size of the header whose first bytes are `start`: that of NIfTI-1 unless it says otherwise."""
    sizes = (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big"))
    return NIFTI_2_BYTES if NIFTI_2_BYTES in sizes else NIFTI_1_BYTES


@lru_cache(maxsize=256)  # a file is looked at first and read later, by the same bytes
def parse_header(name: str, block: bytes, apart: bool, reading: Reading) -> Header:
    """Parse the first bytes of a NIfTI-1 or NIfTI-2 file, of either byte order.

    `apart` says that the voxels lie in an .img file beside the header.
    Refuses (`Refusal` on `name`) whatever cannot be a three-dimensional real image on a known grid.
    """
    fields, order = _fields(name, block)
    _check_magic(name, fields, apart)
    grid, volumes = _grid(name, fields)
    dtype = _dtype(name, int(fields["datatype"])).newbyteorder(order)
    offset = _offset(name, fields, 0 if apart else len(block) + 4)
    slope, intercept = _scaling(name, fields)
    position = position_of(name, fields, grid, reading)
    findings = (*_oddities(fields, dtype), *position.findings)
    return Header(grid, volumes, dtype, offset, slope, intercept, position.affine, findings, position.applied)


def _fields(name: str, block: bytes) -> tuple[Any, Order]:
    """Return the named fields of a header, and its byte order."""
    wanted = header_bytes(block)
    little, big = (int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big"))
    if len(block) == wanted and wanted in (little, big):
        order: Order = "<" if wanted == little else ">"
        return np.frombuffer(block, _layout(wanted, order))[0], order
    raise Refusal(name, "is a NIfTI-1 or NIfTI-2 file", f"first bytes {block[:8].hex() or 'none'}", _DAMAGED)


@cache
def _layout(size: int, order: Order) -> np.dtype[Any]:
    return (NIFTI_1 if size == NIFTI_1_BYTES else NIFTI_2).newbyteorder(order)


def _check_magic(name: str, fields: Any, apart: bool) -> None:
    magic, version = bytes(fields["magic"]), "2" if "eol_check" in fields.dtype.names else "1"
    if magic not in (f"n+{version}".encode(), f"ni{version}".encode()):
        analyze = version == "1" and not magic.strip(b"\0 ")
        value = "ANALYZE 7.5 (no magic)" if analyze else f"magic {magic!r}"
        raise Refusal(name, "is a NIfTI-1 or NIfTI-2 file", value, _ANALYZE if analyze else _DAMAGED)
    if (magic[:2] == b"ni") != apart:
        rule = f"the magic is {'ni' if apart else 'n+'}{version}, as the name says"
        remedy = "name it .nii" if apart else "name it .hdr and put its .img beside it"
        raise Refusal(name, rule, magic.decode(), remedy)
    if version == "2" and fields["eol_check"].tobytes() not in _LINE_ENDS:
        value = fields["eol_check"].tobytes().hex()
        raise Refusal(name, "no text transfer changed the file (eol_check)", value, _DAMAGED)


def _grid(name: str, fields: Any) -> tuple[Grid, int]:
    """Return the grid and the number of volumes; vector components (fifth axis, no time) count as volumes."""
    dimensions = int(fields["dim"][0])
    shape = [int(size) for size in fields["dim"][1 : dimensions + 1]] if 1 <= dimensions <= 7 else []
    if not shape or min(shape) < 1:
        raise Refusal(name, "every dimension has at least one voxel", fields["dim"].tolist(), _DAMAGED)
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) == 5 and shape[3] == 1:
        del shape[3]
    if len(shape) not in (3, 4):
        raise Refusal(name, "has three dimensions, or four for several volumes", tuple(shape), "split or stack it")
    return (shape[0], shape[1], shape[2]), prod(shape[3:])


def _dtype(name: str, code: int) -> np.dtype[Any]:
    dtype = DATA_TYPES.get(code)
    if dtype is None:
        raise Refusal(name, "has a known data type", f"code {code}", _DAMAGED)
    if dtype.kind not in "iuf" or not 1 <= dtype.itemsize <= 8:
        kind = "colours" if dtype.names else dtype.name if dtype.kind in "fc" else f"code {code}"
        raise Refusal(name, "voxels are single real numbers of up to 64 bits", kind, "store a grey image")
    return dtype


def _offset(name: str, fields: Any, least: int) -> int:
    offset = fields["vox_offset"].item()
    if not least <= offset < float("inf") or offset != int(offset):
        raise Refusal(name, f"voxels begin at byte {least} or later (vox_offset)", offset, _DAMAGED)
    return int(offset)


def _scaling(name: str, fields: Any) -> tuple[float, float]:
    """Slopes of 0, NaN or infinity mean no scaling, as in the common readers."""
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    if not np.isfinite(intercept):
        raise Refusal(name, "the intercept (scl_inter) is finite", intercept, _DAMAGED)
    return slope, intercept


def _oddities(fields: Any, dtype: np.dtype[Any]) -> tuple[Finding, ...]:
    """Return what is odd about sizes and scaling, and how it was read."""
    found = []
    slope, intercept, bits = float(fields["scl_slope"]), float(fields["scl_inter"]), int(fields["bitpix"])
    if bits != 8 * dtype.itemsize:
        value = f"{bits} for {dtype.name}"
        found.append(("bitpix is the size of the data type", value, "the data type counted"))
    if np.isinf(slope) or (not (np.isfinite(slope) and slope) and np.isfinite(intercept) and intercept):
        value = f"slope {slope:g}, intercept {intercept:g}"
        found.append(("the slope (scl_slope) is a number other than 0", value, "no scaling was applied"))
    return tuple(Finding(severity="note", rule=rule, value=value, remedy=remedy) for rule, value, remedy in found)
