"""What a NIfTI header claims, checked before a single voxel is read."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.values.error import Refusal
from medseg.values.volume import FloatArray

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

HEADER_BYTES = 540
_DAMAGED = "fetch or convert the file again"


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """Where the voxels of a file lie and what they mean: `grid` voxels in each of `volumes` volumes.

    `offset` counts the bytes in front of the first voxel; a voxel is `slope * stored + intercept`.
    """

    grid: tuple[int, int, int]
    volumes: int
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    affine: FloatArray

    @property
    def volume_bytes(self) -> int:
        """Size of one volume as stored."""
        return prod(self.grid) * self.dtype.itemsize

    @property
    def total_bytes(self) -> int:
        """Size of the whole (unpacked) file that holds the voxels."""
        return self.offset + self.volumes * self.volume_bytes


def parse_header(name: str, block: bytes, voxels_apart: bool) -> Header:
    """Parse the first bytes of a NIfTI-1 or NIfTI-2 file, of either byte order.

    `voxels_apart` says that the voxels lie in an .img file beside the header.
    Refuses (`Refusal` on `name`) whatever cannot be a three-dimensional real image on a known grid.
    """
    header = _raw_header(name, block)
    grid, volumes = _grid(name, header)
    slope, intercept = _scaling(name, header)
    return Header(
        grid=grid,
        volumes=volumes,
        dtype=_dtype(name, header),
        offset=_offset(name, header, voxels_apart),
        slope=slope,
        intercept=intercept,
        affine=_affine(name, header),
    )


def _raw_header(name: str, block: bytes) -> Nifti1Header:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    for kind, magic in ((Nifti1Header, block[344:347]), (Nifti2Header, block[4:7])):
        size = kind.template_dtype.itemsize
        for endianness, order in (("<", "little"), (">", "big")):
            claimed = int.from_bytes(block[:4], order)  # type: ignore[arg-type]
            if claimed == size <= len(block) and magic in (b"n+1", b"ni1", b"n+2", b"ni2"):
                return kind(block[:size], endianness=endianness, check=False)
    raise Refusal(name, "is a NIfTI-1 or NIfTI-2 file", f"first bytes {block[:8].hex() or 'none'}", _DAMAGED)


def _grid(name: str, header: Nifti1Header) -> tuple[tuple[int, int, int], int]:
    dimensions = int(header["dim"][0])
    shape = [int(size) for size in header.get_data_shape()] if 1 <= dimensions <= 7 else []
    if not shape or min(shape) < 1:
        raise Refusal(name, "every dimension has at least one voxel", header["dim"].tolist(), _DAMAGED)
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) not in (3, 4):
        raise Refusal(name, "has three dimensions, or four for several volumes", tuple(shape), "split or stack it")
    return (shape[0], shape[1], shape[2]), prod(shape[3:])


def _dtype(name: str, header: Nifti1Header) -> np.dtype[Any]:
    from nibabel.spatialimages import HeaderDataError

    try:
        dtype: np.dtype[Any] = header.get_data_dtype()
    except (KeyError, HeaderDataError):
        code = int(header["datatype"])
        raise Refusal(name, "has a known data type", f"code {code}", _DAMAGED) from None
    if dtype.kind not in "iuf" or not 1 <= dtype.itemsize <= 8:
        kind = "colours" if dtype.names else dtype.name
        raise Refusal(name, "voxels are single real numbers of up to 64 bits", kind, "store a grey image")
    return dtype


def _offset(name: str, header: Nifti1Header, voxels_apart: bool) -> int:
    offset = float(header["vox_offset"])
    least = 0 if voxels_apart else header.template_dtype.itemsize + 4
    if not np.isfinite(offset) or offset < least or offset != int(offset):
        raise Refusal(name, f"voxels begin at byte {least} or later (vox_offset)", offset, _DAMAGED)
    return int(offset)


def _scaling(name: str, header: Nifti1Header) -> tuple[float, float]:
    """Slopes of 0, NaN or infinity mean no scaling, as in the common readers."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    if not np.isfinite(intercept):
        raise Refusal(name, "the intercept (scl_inter) is finite", intercept, _DAMAGED)
    return slope, intercept


def _affine(name: str, header: Nifti1Header) -> FloatArray:
    """Return sform, else qform, else the bare spacing, in nibabel's order."""
    unit = int(header["xyzt_units"]) % 8
    if unit not in (0, 2):
        raise Refusal(name, "lengths are in millimetres (xyzt_units 2)", f"code {unit}", "rewrite the header in mm")
    if int(header["sform_code"]) == 0:
        _check_spacing(name, header)
    try:
        affine = np.asarray(header.get_best_affine(), np.float64)
    except ValueError as error:
        raise Refusal(name, "the quaternion of the qform is a rotation", error, "mend the header") from None
    if not np.isfinite(affine).all():
        raise Refusal(name, "the affine is finite", _rows(affine), "mend the header")
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if edges.min() < 1e-6 or abs(np.linalg.det(affine[:3, :3] / edges)) < 1e-6 or edges.prod() < 1e-9:
        raise Refusal(name, "the affine can be inverted", _rows(affine), "mend the header")
    return affine


def _check_spacing(name: str, header: Nifti1Header) -> None:
    spacing = [float(edge) for edge in header["pixdim"][1:4]]
    if not all(np.isfinite(edge) and edge > 0 for edge in spacing):
        raise Refusal(name, "voxel edges are finite and above 0 mm (pixdim)", spacing, "mend the header")


def _rows(affine: FloatArray) -> list[list[float]]:
    return [[float(f"{number:.6g}") for number in row] for row in affine.tolist()]
