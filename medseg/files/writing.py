"""Volumes go out as NIfTI, NRRD or MetaImage, whole or not at all; the same content gives the same bytes."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medseg.files.appearing import appearing_at_once
from medseg.files.foreign.segments import segment_lines
from medseg.files.nifti.writing import write_image, write_mask
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray, Volume

_LEVEL = 3
_NRRD_TYPES = {"u1": "uchar", "f4": "float"}
_META_TYPES = {"u1": "MET_UCHAR", "f4": "MET_FLOAT"}
_SIZE_DIGITS = 20


def write_volume(path: Path, volume: Volume, labels: Mapping[str, int] | None = None) -> None:
    """Write a volume by the ending of its name: .nii, .nii.gz, .nrrd or .mha, packed without loss.

    uint8 of one channel is written as a mask, anything else as an image of float32; several channels become a last
    axis of kind list (.nrrd) or the components of a voxel (.mha). The affine comes back exactly as it was from both.
    `labels` (name -> number) go into the header of a mask in .nrrd, where 3D Slicer looks for them; the others have no
    room for names.
    Refuses voxels that are not finite, other endings, and a path that cannot be written.
    """
    low = path.name.lower()
    is_mask = volume.voxels.dtype == np.uint8 and len(volume.voxels) == 1
    if low.endswith((".nii", ".nii.gz")):
        (write_mask if is_mask else write_image)(path, volume)
    elif low.endswith((".nrrd", ".mha")):
        voxels = volume.voxels if is_mask else np.asarray(volume.voxels, "<f4")
        if not np.isfinite(voxels).all():
            rule, remedy = "all voxels are finite 32-bit numbers", "look where they come from"
            raise Refusal(str(path), rule, "NaN or infinity", remedy)
        if low.endswith(".nrrd"):
            _write_nrrd(path, voxels, volume.affine, labels if is_mask and labels else {})
        else:
            _write_meta(path, voxels, volume.affine)
    else:
        raise Refusal(str(path), "a volume ends with .nii, .nii.gz, .nrrd or .mha", path.name, "rename it")


def _write_nrrd(path: Path, voxels: Array, affine: FloatArray, labels: Mapping[str, int]) -> None:
    """Source: teem.sourceforge.net/nrrd/format.html; the space is that of ITK, left-posterior-superior."""
    lines = (*_nrrd_fields(voxels, affine), *segment_lines(labels, voxels.shape[1:]))
    with appearing_at_once(path) as file:
        file.write(("\n".join(lines) + "\n\n").encode("utf-8", "replace"))
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed:
            for channel in voxels:
                for z in range(channel.shape[2]):
                    packed.write(channel[:, :, z].tobytes(order="F"))


def _nrrd_fields(voxels: Array, affine: FloatArray) -> tuple[str, ...]:
    several = len(voxels) > 1
    axes, origin = _left_posterior_superior(affine)
    sizes = [*voxels.shape[1:], len(voxels)] if several else list(voxels.shape[1:])
    directions = [f"({','.join(axis)})" for axis in axes] + ["none"] * several
    return (
        "NRRD0004",
        f"type: {_NRRD_TYPES[voxels.dtype.str[1:]]}",
        f"dimension: {len(sizes)}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(directions)}",
        f"kinds: {' '.join(['domain'] * 3 + ['list'] * several)}",
        "endian: little",
        "encoding: gzip",
        f"space origin: ({','.join(origin)})",
    )


def _write_meta(path: Path, voxels: Array, affine: FloatArray) -> None:
    """Source: the MetaIO documentation of ITK."""
    with appearing_at_once(path) as file:
        file.write(_meta_header(voxels, affine, 0))
        begin = file.tell()
        _deflate(file, _interleaved(voxels))
        size = file.tell() - begin
        file.seek(0)
        file.write(_meta_header(voxels, affine, size))


def _meta_header(voxels: Array, affine: FloatArray, size: int) -> bytes:
    axes, origin = _left_posterior_superior(affine, unit=True)
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    lines = (
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {size:0{_SIZE_DIGITS}d}",
        f"TransformMatrix = {' '.join(number for axis in axes for number in axis)}",
        f"Offset = {' '.join(origin)}",
        "CenterOfRotation = 0 0 0",
        f"ElementSpacing = {' '.join(map(_exact, edges))}",
        f"DimSize = {' '.join(map(str, voxels.shape[1:]))}",
        *([f"ElementNumberOfChannels = {len(voxels)}"] if len(voxels) > 1 else []),
        f"ElementType = {_META_TYPES[voxels.dtype.str[1:]]}",
        "ElementDataFile = LOCAL",
    )
    return ("\n".join(lines) + "\n").encode("ascii")


def _interleaved(voxels: Array) -> Iterator[bytes]:
    """Yield the bytes of each plane, the channels of a voxel side by side, X fastest."""
    for z in range(voxels.shape[3]):
        yield np.ascontiguousarray(voxels[:, :, :, z].transpose(2, 1, 0)).tobytes()


def _deflate(file: BinaryIO, blocks: Iterator[bytes]) -> None:
    packer = zlib.compressobj(_LEVEL)
    for block in blocks:
        file.write(packer.compress(block))
    file.write(packer.flush())


def _left_posterior_superior(affine: FloatArray, unit: bool = False) -> tuple[list[list[str]], list[str]]:
    """Return the axes of an affine (divided by their length if `unit`) and its origin in LPS, as exact text."""
    turned = np.diag([-1.0, -1.0, 1.0]) @ affine[:3].astype(np.float64) + 0.0
    axes = turned[:, :3] / np.linalg.norm(turned[:, :3], axis=0) if unit else turned[:, :3]
    return [[_exact(number) for number in axis] for axis in axes.T], [_exact(number) for number in turned[:, 3]]


def _exact(number: float) -> str:
    return repr(float(number))
