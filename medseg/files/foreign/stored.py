"""Are all the bytes there that a foreign header claims? Found out without holding them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medseg.files.foreign.claim import FETCH, Claim
from medseg.values.error import Refusal

_PIECE = 1 << 20
LARGEST_DEFLATE_RATIO = 1032
_LARGEST_IMAGE_RATIO = 500
LARGEST_MASK_TIMES = 8
_SPARSE_BYTES = 64 << 20
_GZIP_OR_ZLIB = 47
_DISK_BLOCK = 512


def check_size(claim: Claim) -> None:
    """Refuse, by its size on disk alone, a file that cannot hold what its header claims."""
    stored = claim.data.stat().st_size - claim.offset
    if not claim.packed:
        if stored != claim.total_bytes:
            raise _wrong_size(claim, str(stored))
        return
    if claim.packed_bytes is not None and claim.packed_bytes != stored:
        value = f"{stored} of {claim.packed_bytes} packed bytes"
        raise Refusal(str(claim.data), "is as long as its header claims", value, FETCH)
    if stored * LARGEST_DEFLATE_RATIO < claim.total_bytes:
        raise _wrong_size(claim, f"at most {max(stored, 0) * LARGEST_DEFLATE_RATIO}")


def check_density(path: Path, claimed_bytes: int, *data: Path) -> None:
    """Refuse an image that claims more than 500 times its bytes on disk: noise does not shrink so far."""
    on_disk = sum(_bytes_on_disk(file, claimed_bytes > _SPARSE_BYTES) for file in data)
    if claimed_bytes > _LARGEST_IMAGE_RATIO * on_disk:
        value = f"{claimed_bytes} bytes from {on_disk} on disk"
        rule = f"no image shrinks more than {_LARGEST_IMAGE_RATIO} times"
        raise Refusal(str(path), rule, value, "store it uncompressed if it is real")


def _bytes_on_disk(path: Path, may_be_sparse: bool) -> int:
    """Return the size of a file, of one that may have holes what it takes on disk."""
    status = path.stat()
    if may_be_sparse and hasattr(status, "st_blocks"):
        return min(status.st_size, status.st_blocks * _DISK_BLOCK)
    return status.st_size


def check_limit(path: Path, voxels: int, limit_voxels: int | None) -> None:
    """Refuse a mask that claims far more voxels than its image has."""
    if limit_voxels is not None and voxels > LARGEST_MASK_TIMES * limit_voxels:
        rule = f"a mask has at most {LARGEST_MASK_TIMES} times the voxels of its image"
        raise Refusal(str(path), rule, f"{voxels} for {limit_voxels}", "put it on the grid of the image")


def tally_of(claim: Claim) -> int:
    """Return the sum of all stored bytes, unpacked: what a reader that dropped or made up any would hardly arrive at.

    Refuses what `pieces_of` refuses.
    """
    return sum(int(np.frombuffer(piece, np.uint8).sum(dtype=np.uint64)) for piece in pieces_of(claim))


def pieces_of(claim: Claim) -> Iterator[bytes]:
    """Yield the stored bytes, unpacked, up to 1 MiB at a time.

    Refuses, at its end at the latest, a packed stream that is damaged, cut, of another length than claimed, or followed
    by anything.
    """
    position = 0
    try:
        with claim.data.open("rb") as file:
            file.seek(claim.offset)
            for piece in _unpacked(claim, file) if claim.packed else iter(lambda: file.read(_PIECE), b""):
                position += len(piece)
                if position > claim.total_bytes:
                    raise _wrong_size(claim, f"at least {position}")
                yield piece
    except zlib.error as error:
        raise Refusal(str(claim.data), "the packed stream is whole", error, FETCH) from error
    if position != claim.total_bytes:
        raise _wrong_size(claim, str(position))


def _unpacked(claim: Claim, file: BinaryIO) -> Iterator[bytes]:
    """Yield pieces of a packed stream, which must end where the file does."""
    unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
    while not unpacker.eof and (piece := unpacker.unconsumed_tail or file.read(_PIECE)):
        yield unpacker.decompress(piece, _PIECE)
    if not unpacker.eof:
        raise Refusal(str(claim.data), "the packed stream is whole", "an end before its own", FETCH)
    if unpacker.unused_data or file.read(1):
        raise Refusal(str(claim.data), "the packed stream ends with the file", "bytes behind it", FETCH)


def _wrong_size(claim: Claim, real: str) -> Refusal:
    value = f"{real} of {claim.total_bytes} bytes"
    return Refusal(str(claim.data), "is as long as its header claims", value, FETCH)
