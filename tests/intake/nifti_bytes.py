"""NIfTI files as bytes: sound ones by nibabel, then spoilt field by field or byte by byte."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np

from tests.intake.kinds import AFFINE, IMAGE, Array, Made

Spoil = Callable[[bytes], bytes]


def nifti_bytes(voxels: Array, affine: Array = AFFINE, two: bool = False, order: str = "<", **fields: Any) -> bytes:
    """Return an unpacked single-file NIfTI; `fields` are put into its header afterwards, as damage would be."""
    kind = nibabel.Nifti2Image if two else nibabel.Nifti1Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype(voxels.dtype.newbyteorder(order))
    header.set_xyzt_units("mm")
    content = kind(voxels, affine, header).to_bytes()
    return with_fields(content, two, order, **fields) if fields else content


def with_fields(content: bytes, two: bool = False, order: str = "<", **fields: Any) -> bytes:
    """Return the file with other values in fields of its header."""
    kind = nibabel.Nifti2Header if two else nibabel.Nifti1Header
    size = kind.template_dtype.itemsize
    header = kind(content[:size], endianness=order, check=False)
    for name, value in fields.items():
        header[name] = value
    return bytes(header.binaryblock) + content[size:]


def nifti(
    folder: Path,
    voxels: Array = IMAGE,
    name: str = "scan.nii.gz",
    spoil: Spoil | None = None,
    expect: Array | None = None,
    **more: Any,
) -> Made:
    """Write a NIfTI; `spoil` changes its bytes as they lie on disk, `expect` are its voxels where they differ."""
    content = nifti_bytes(voxels, **more)
    stored = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    path = folder / name
    path.write_bytes(spoil(stored) if spoil else stored)
    return Made(path, voxels if expect is None else expect, more.get("affine", AFFINE))


def pair(folder: Path, opened: str, packed: bool = False, without: str = "") -> Made:
    """Write a header and an image apart, and hand out the one of the two that is `opened`."""
    content = nifti_bytes(IMAGE)
    header = with_fields(content, magic=b"ni1", vox_offset=0)[:348] + bytes(4)
    for ending, part in ((".hdr", header), (".img", content[352:])):
        if ending != without:
            path = folder / f"scan{ending}{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(part, mtime=0) if packed else part)
    return Made(folder / f"scan{opened}{'.gz' if packed else ''}", IMAGE, AFFINE)


def flipped(position: int, bit: int = 0) -> Spoil:
    """Flip one bit of one byte, counted from the end if negative."""

    def spoil(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[position] ^= 1 << bit
        return bytes(changed)

    return spoil


def cut(share: float) -> Spoil:
    """Keep only the first part."""
    return lambda data: data[: int(len(data) * share)]


def sparse(path: Path, content: bytes, size: int) -> Path:
    """Write a file of `size` bytes of which only the beginning takes room on disk."""
    with path.open("wb") as file:
        file.write(content)
        file.truncate(size)
    return path


def zeros_packed(head: bytes, zeros: int, wrapper: Literal["gzip", "zlib", "none"] = "gzip") -> bytes:
    """Deflate `head` and then `zeros` zero bytes (a multiple of 16 MiB), thousandfold smaller, without holding them."""
    piece = bytes(1 << 24)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    middle = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    count = zeros // len(piece)
    body = start + middle * count + packer.flush()
    if wrapper == "none":
        return body
    sums = zlib.crc32 if wrapper == "gzip" else zlib.adler32
    check = sums(head)
    for _ in range(count):
        check = sums(piece, check)
    if wrapper == "zlib":
        return b"\x78\xda" + body + check.to_bytes(4, "big")
    length = (len(head) + zeros) & 0xFFFFFFFF
    return b"\x1f\x8b\x08" + bytes(5) + b"\x02\xff" + body + check.to_bytes(4, "little") + length.to_bytes(4, "little")


def claiming(shape: tuple[int, ...], dtype: str = "<i2", **fields: Any) -> bytes:
    """Return the header (352 bytes) of a sound file of that shape."""
    dims = [len(shape), *shape, *[1] * (7 - len(shape))]
    tiny: Array = np.zeros((1, 1, 1), dtype)
    return nifti_bytes(tiny, dim=dims, **fields)[:352]
