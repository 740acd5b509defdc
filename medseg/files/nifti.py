"""NIfTI images and masks: read whole or refused, written at once or not at all."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from medseg.files.nifti_door import door, read_header, read_volume_bytes
from medseg.files.nifti_header import Header
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray, Volume

_CHUNK = 1 << 20
_WHOLE_NUMBER_TOLERANCE = 1e-5
_GZIP_LEVEL = 3
_LONGEST_AXIS = 32767


def read_image(path: Path, component: int = 0) -> Volume:
    """Read one volume of an image as float32 `(1, X, Y, Z)` on the file's own grid, slope and intercept applied.

    `component` picks one volume of a 4-D file. Refuses damaged files and voxels that are not finite.
    """
    with door(path):
        header = read_header(path)
        if not 0 <= component < header.volumes:
            raise Refusal(
                str(path), f"has a volume number {component}", f"{header.volumes} volumes", "name another one"
            )
        stored = np.frombuffer(read_volume_bytes(path, header, component), header.dtype)
        voxels = np.empty(stored.size, np.float32)
        for part in _parts(stored.size):
            with np.errstate(over="ignore", invalid="ignore"):
                voxels[part] = _values(stored[part], header)
        bad = sum(int(np.count_nonzero(~np.isfinite(voxels[part]))) for part in _parts(voxels.size))
        if bad:
            value = f"{bad} of {voxels.size} NaN or infinite"
            raise Refusal(str(path), "all voxels are finite 32-bit numbers", value, "repair or leave out the image")
        return _volume(voxels, header)


def read_mask(path: Path) -> Volume:
    """Read a mask as uint8 `(1, X, Y, Z)` on the file's own grid.

    Whole numbers stored as floats are taken (to 1e-5, the rounding of a stored slope). Refuses damaged files,
    several volumes, and values that are no whole numbers in 0..255.
    """
    with door(path):
        header = read_header(path)
        if header.volumes != 1:
            raise Refusal(str(path), "a mask is one volume", f"{header.volumes} volumes", "join them into one")
        stored = np.frombuffer(read_volume_bytes(path, header, 0), header.dtype)
        labels = np.empty(stored.size, np.uint8)
        bad: list[Array] = []
        for part in _parts(stored.size):
            values = _values(stored[part], header)
            wrong = _not_a_label(values)
            bad.append(values[wrong])
            labels[part] = np.where(wrong, 0, np.rint(values)).astype(np.uint8)
        _refuse_values(path, np.concatenate(bad))
        return _volume(labels, header)


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


def _parts(size: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, size, _CHUNK))


def _values(stored: Array, header: Header) -> Array:
    if (header.slope, header.intercept) == (1.0, 0.0):
        return stored
    return stored.astype(np.float64) * header.slope + header.intercept


def _not_a_label(values: Array) -> Array:
    if values.dtype == np.uint8:
        return np.zeros(values.shape, np.bool_)
    number = values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(number - np.rint(number)) <= _WHOLE_NUMBER_TOLERANCE
    return np.asarray(~(near & (np.rint(number) >= 0) & (np.rint(number) <= 255)))


def _refuse_values(path: Path, bad: Array) -> None:
    if bad.size:
        shown = ", ".join(f"{value:g}" for value in np.unique(bad)[:5])
        value = f"{shown} ({bad.size} voxels)"
        raise Refusal(
            str(path), "a mask holds whole numbers from 0 to 255", value, "write it again without interpolation"
        )


def _volume(flat: Array, header: Header) -> Volume:
    return Volume(np.ascontiguousarray(flat.reshape(header.grid, order="F"))[None], header.affine)


def _write(path: Path, voxels: Array, affine: FloatArray) -> None:
    if max(voxels.shape) > _LONGEST_AXIS:
        raise Refusal(str(path), f"an axis has at most {_LONGEST_AXIS} voxels", voxels.shape, "cut the image")
    if not path.name.endswith((".nii", ".nii.gz")):
        raise Refusal(str(path), "a NIfTI file ends with .nii or .nii.gz", path.name, "rename it")
    stored = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    block = _header_block(stored, affine)
    with _appearing_at_once(path) as file, _packed(path, file) as stream:
        stream.write(block)
        for channel in stored:
            for z in range(channel.shape[2]):
                stream.write(channel[:, :, z].tobytes(order="F"))


def _header_block(voxels: Array, affine: FloatArray) -> bytes:
    from nibabel.nifti1 import Nifti1Header

    channels, *grid = voxels.shape
    header = Nifti1Header(endianness="<")
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape((*grid, channels) if channels > 1 else tuple(grid))
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1)
    if not np.allclose(header.get_qform(), affine, rtol=1e-4, atol=1e-3):
        header["qform_code"] = 0  # a quaternion cannot hold shears: only the sform is right
    header.set_xyzt_units("mm")
    header.set_slope_inter(1.0, 0.0)
    header["vox_offset"] = 352
    return bytes(header.binaryblock) + bytes(4)


@contextmanager
def _packed(path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    if path.name.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=file, mtime=0) as packed:
            yield cast(BinaryIO, packed)
    else:
        yield file


@contextmanager
def _appearing_at_once(path: Path) -> Iterator[BinaryIO]:
    """Yield a file beside `path` that takes its place when all of it is on disk."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        value = error.strerror or str(error)
        raise Refusal(str(path), "the file can be written", value, "free space or choose another folder") from error
