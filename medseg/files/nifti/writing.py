"""NIfTI files go out whole or not at all, and the same content gives the same bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from medseg.files.appearing import appearing_at_once
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray, Volume

_GZIP_LEVEL = 3
_LONGEST_AXIS = 32767


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What a header says: shape `(C, X, Y, Z)`, the stored data type, the affine, and what stored numbers are times."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    affine: FloatArray
    slope: float = 1.0


def write_image(path: Path, volume: Volume) -> None:
    """Write an image as float32 (.nii or .nii.gz); several channels become the fourth axis.

    The file appears whole or not at all, and the same content gives the same bytes.
    Refuses voxels that are not finite and a path that cannot be written.
    """
    voxels = np.asarray(volume.voxels, np.float32)
    if not np.isfinite(voxels).all():
        raise Refusal(str(path), "all voxels are finite 32-bit numbers", "NaN or infinity", "look where they come from")
    _write(path, voxels, volume.affine)


def write_mask(path: Path, volume: Volume) -> None:
    """Write a mask `(1, X, Y, Z)` of uint8 (.nii or .nii.gz), whole or not at all, with repeatable bytes."""
    if volume.voxels.dtype != np.uint8 or len(volume.voxels) != 1:
        value = f"{volume.voxels.dtype} of shape {volume.voxels.shape}"
        raise Refusal(str(path), "a mask is (1, X, Y, Z) of uint8", value, "convert it first")
    _write(path, volume.voxels, volume.affine)


def write_stored(path: Path, head: Head, parts: Iterable[Array]) -> None:
    """Write planes `(X, Y)` or blocks `(X, Y, some)` of the head's type, in order of z, then channel. One is held.

    The file appears whole or not at all, and the same content gives the same bytes.
    Refuses an axis or a number of channels beyond what NIfTI-1 can count, and other endings than .nii and .nii.gz.
    """
    if max(head.shape) > _LONGEST_AXIS:
        raise Refusal(str(path), f"an axis has at most {_LONGEST_AXIS} voxels", head.shape, "cut the image")
    if not path.name.endswith((".nii", ".nii.gz")):
        raise Refusal(str(path), "a NIfTI file ends with .nii or .nii.gz", path.name, "rename it")
    block = _header_block(head)
    with appearing_at_once(path) as file, _packed(path, file) as stream:
        stream.write(block)
        for part in parts:
            stream.write(part.tobytes(order="F"))


def _write(path: Path, voxels: Array, affine: FloatArray) -> None:
    stored = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    planes = (channel[:, :, z] for channel in stored for z in range(channel.shape[2]))
    write_stored(path, Head(voxels.shape, stored.dtype, affine), planes)


def _header_block(head: Head) -> bytes:
    from nibabel.nifti1 import Nifti1Header

    channels, *grid = head.shape
    header = Nifti1Header(endianness="<")
    header.set_data_dtype(head.dtype)
    header.set_data_shape((*grid, channels) if channels > 1 else tuple(grid))
    header.set_sform(head.affine, code=1)
    header.set_qform(head.affine, code=1)
    if not np.allclose(header.get_qform(), head.affine, rtol=1e-4, atol=1e-3):
        header["qform_code"] = 0  # a quaternion cannot hold shears: only the sform is right
    header.set_xyzt_units("mm")
    header.set_slope_inter(head.slope, 0.0)
    header["vox_offset"] = 352
    return bytes(header.binaryblock) + bytes(4)


@contextmanager
def _packed(path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    if path.name.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=file, mtime=0) as packed:
            yield cast(BinaryIO, packed)
    else:
        yield file
