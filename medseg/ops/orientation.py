"""Axis order and direction: from the stored axes to the closest RAS+ axes and back, without touching a value."""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations
from typing import overload

import numpy as np

from medseg.values.settings import Settings
from medseg.values.volume import Array, FloatArray, Volume

_TIE = 1e-9


class Orientation(Settings):
    """How stored axes become canonical ones.

    Canonical axis `i` is stored axis `permutation[i]`, reversed where `flips[i]`.
    """

    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @property
    def letters(self) -> str:
        """Name where each stored axis runs to: "RAS" for canonical axes, "LPS" for those of DICOM."""
        named = zip(self.permutation, self.flips, "RAS", "LPI", strict=True)
        return "".join(letter for _, letter in sorted((axis, back if flip else on) for axis, flip, on, back in named))


def orientation_of(affine: FloatArray) -> Orientation:
    """Choose, for the stored axes of `affine` (4, 4), the closest signed permutation of Right, Anterior, Superior.

    All six assignments are compared, so an oblique scan never gives two axes the same name. Equally close ones
    (45 degrees) are decided by the lowest axis numbers, whatever the rounding.
    """
    return _orientation_of(np.ascontiguousarray(affine[:3, :3], np.float64).tobytes())


@lru_cache(maxsize=1024)  # a scan is turned several times on its way, and most scans of a set are stored alike
def _orientation_of(axes: bytes) -> Orientation:
    affine = np.frombuffer(axes).reshape(3, 3)
    directions = affine / np.linalg.norm(affine, axis=0)
    closeness = np.abs(directions)
    best, chosen = -1.0, (0, 1, 2)
    for x, y, z in permutations(range(3)):
        cosines = closeness[[0, 1, 2], [x, y, z]]
        if cosines.min() > 0 and cosines.sum() > best + _TIE:
            best, chosen = float(cosines.sum()), (x, y, z)
    flips = directions[[0, 1, 2], chosen] < 0
    return Orientation(permutation=chosen, flips=(bool(flips[0]), bool(flips[1]), bool(flips[2])))


def orientate(array: Array, orientation: Orientation) -> Array:
    """Turn the last three axes of a stored `array` into canonical ones: a view, not a copy."""
    leading = array.ndim - 3
    order = (*range(leading), *(leading + axis for axis in orientation.permutation))
    return np.flip(array.transpose(order), _flipped(orientation, leading))


def to_canonical(volume: Volume) -> Volume:
    """Permute and flip a volume's axes to the closest RAS+; voxels are a view, every voxel keeps its world position."""
    orientation = orientation_of(volume.affine)
    matrix = _canonical_to_stored(orientation, volume.shape)
    return Volume(orientate(volume.voxels, orientation), volume.affine.astype(np.float64) @ matrix)


@overload
def from_canonical(item: Volume, orientation: Orientation) -> Volume: ...
@overload
def from_canonical(item: Array, orientation: Orientation) -> Array: ...
def from_canonical(item: Volume | Array, orientation: Orientation) -> Volume | Array:
    """Undo `to_canonical`: put the last three axes back in stored order and direction (a view).

    Of an array every value returns to its place; a volume's affine returns up to rounding.
    """
    if isinstance(item, Volume):
        voxels = _stored(item.voxels, orientation)
        stored_shape = (voxels.shape[1], voxels.shape[2], voxels.shape[3])
        matrix = _canonical_to_stored(orientation, stored_shape)
        return Volume(voxels, item.affine @ np.round(np.linalg.inv(matrix)))
    return _stored(item, orientation)


def _stored(array: Array, orientation: Orientation) -> Array:
    leading = array.ndim - 3
    back = np.argsort(orientation.permutation)
    order = (*range(leading), *(leading + int(axis) for axis in back))
    return np.flip(array, _flipped(orientation, leading)).transpose(order)


def _flipped(orientation: Orientation, leading: int) -> tuple[int, ...]:
    return tuple(leading + axis for axis, flipped in enumerate(orientation.flips) if flipped)


def _canonical_to_stored(orientation: Orientation, stored_shape: tuple[int, int, int]) -> FloatArray:
    """Make the matrix (4, 4) from canonical voxel indices to stored ones."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for axis, (stored, flipped) in enumerate(zip(orientation.permutation, orientation.flips, strict=True)):
        matrix[stored, axis] = -1 if flipped else 1
        matrix[stored, 3] = stored_shape[stored] - 1 if flipped else 0
    return matrix
