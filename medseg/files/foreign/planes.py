"""The planes of one volume of an NRRD or MetaImage file, proven whole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from medseg.files.foreign.claim import Claim
from medseg.files.foreign.native import Request, read_planes
from medseg.files.foreign.stored import pieces_of, tally_of
from medseg.files.foreign.voxels import Planes
from medseg.values.volume import Array

_LAST_AXIS = 3


def planes_of(claim: Claim, volume: int, widest: int) -> Planes:
    """Return (z, `(Y, X)` of stored numbers) of one volume, z ascending.

    SimpleITK reads them in a child process once all bytes are proven to be there. It holds a whole file as stored:
    where that is more than `widest` bytes per voxel of the result (doubles, wide masks, many volumes) the planes are
    taken one by one from the bytes themselves, so that a scan never needs more than twice its result. Damage that
    shows only while planes are taken is refused then.
    """
    if claim.volumes * claim.dtype.itemsize > widest:
        return enumerate(_stored_planes(claim, volume))
    request = Request(
        path=claim.path,
        io=claim.io,
        grid=claim.grid,
        volumes=claim.volumes,
        stored_bytes=claim.total_bytes,
        dtype=claim.dtype,
        tally=tally_of(claim),
        volume=volume,
    )
    return enumerate(read_planes(request))


def _stored_planes(claim: Claim, volume: int) -> Iterator[Array]:
    """Yield the planes of one volume from a stream that is read to its end, wherever the axis of the volumes stands."""
    columns, rows, planes = claim.grid
    shape = [rows, columns]
    several = claim.volume_axis is not None and claim.volume_axis < _LAST_AXIS
    if several:
        shape.insert(2 - (claim.volume_axis or 0), claim.volumes)
    size = int(np.prod(shape)) * claim.dtype.itemsize
    blocks = _blocks(claim, size)
    first = 0 if several else volume * planes
    for block in islice(blocks, first, first + planes):
        numbers = np.frombuffer(block, claim.dtype).reshape(shape)
        yield numbers.take(volume, axis=2 - (claim.volume_axis or 0)) if several else numbers
    for _ in blocks:
        pass  # what follows is another volume, or damage


def _blocks(claim: Claim, size: int) -> Iterator[bytes]:
    """Yield the stored bytes in blocks of one size."""
    held = bytearray()
    for piece in pieces_of(claim):
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
