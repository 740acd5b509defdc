"""Scans for the tests of the guard: a lopsided pattern in every channel, a little different in each scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.ops.guard import Signature, signature_of
from medseg.ops.orientation import orientation_of, to_canonical
from medseg.values.volume import FloatArray, Volume

SHAPE = (24, 32, 18)
_BLOBS = {
    "t1": ((0.2, 0.3, 0.3, 0.25, 2.0), (0.7, 0.8, 0.6, 0.15, 3.0), (0.6, 0.2, 0.8, 0.2, -1.5)),
    "t2": ((0.8, 0.4, 0.7, 0.25, 2.0), (0.3, 0.7, 0.2, 0.2, -2.0), (0.1, 0.1, 0.9, 0.15, 2.0)),
}
_EVEN = ((0.5, 0.5, 0.5, 0.25, 3.0),)


def pattern(blobs: Sequence[Sequence[float]], number: int, shape: tuple[int, int, int] = SHAPE) -> FloatArray:
    """Paint soft blobs (place in shares of the axes, width, height), moved a little from scan to scan."""
    rng = np.random.default_rng(number)
    axes = [(np.arange(size) + 0.5) / size for size in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    image = rng.normal(10.0, 0.15, shape)
    for x, y, z, width, height in blobs:
        centre = np.asarray((x, y, z)) + rng.normal(0, 0.02, 3)
        distance = ((grid - centre[:, None, None, None]) ** 2).sum(axis=0)
        image += height * rng.uniform(0.9, 1.1) * np.exp(-distance / (2 * width**2))
    return image * rng.uniform(0.8, 1.25)


def scan(number: int, names: Sequence[str] = ("t1",), even: bool = False) -> Volume:
    """Make a scan (C, X, Y, Z) of voxels of 1 mm, of slightly different size; `even` ones are the same mirrored."""
    x, y, z = (
        size + int(more) for size, more in zip(SHAPE, np.random.default_rng(number).integers(0, 4, 3), strict=True)
    )
    blobs = [_EVEN if even else _BLOBS[name] for name in names]
    channels = [pattern(one, 10 * number + place, (x, y, z)) for place, one in enumerate(blobs)]
    return Volume(np.stack(channels).astype(np.float32), np.eye(4))


def signature(volume: Volume, names: Sequence[str] = ("t1",), missing: Sequence[int] = ()) -> Signature:
    """Take the signature of a whole scan."""
    image = to_canonical(volume)
    box = tuple(slice(0, size) for size in image.shape)
    return signature_of(image, np.ones(image.shape, np.bool_), box, names, missing, orientation_of(volume.affine))


def signatures(numbers: Sequence[int], names: Sequence[str] = ("t1",), even: bool = False) -> list[Signature]:
    """Take the signatures of some scans."""
    return [signature(scan(number, names, even), names) for number in numbers]
