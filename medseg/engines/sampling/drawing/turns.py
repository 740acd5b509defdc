"""The matrix of a drawn patch: rotation, zoom and flips."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from medseg.engines.sampling.settings import AugmentSettings, FlipSettings, RotationSettings, ScalingSettings
from medseg.values.volume import FloatArray

ANISOTROPIC = 3.0  # no turning in a plane whose steps differ by more than this (the threshold of nnU-Net)


def turned(
    numbers: FloatArray, size: NDArray[np.integer], spacing_mm: Sequence[float], augment: AugmentSettings
) -> FloatArray:
    """Compose the matrix (3, 3) from twelve random numbers; an axis of length 1 stays as it is.

    The rotation is one in mm, so that angles stay angles; zoom and flips are along the axes of the patch.
    """
    extended = size > 1
    matrix = _rotation(numbers[:4], extended, np.asarray(spacing_mm), augment.rotation)
    zooms = _zooms(numbers[4:9].tolist(), augment.scaling)
    scales = np.where(extended, 1.0 / np.asarray(zooms), 1.0)
    return np.asarray(matrix * (scales * _signs(numbers[9:], extended, augment.flip)))


def _zooms(numbers: Sequence[float], scaling: ScalingSettings) -> list[float]:
    chance, single, *places = numbers
    if chance >= scaling.probability:
        return [1.0, 1.0, 1.0]
    if single >= scaling.per_axis_probability:
        places = places[:1] * 3
    return [scaling.strength(place) for place in places]


def _signs(numbers: FloatArray, extended: NDArray[np.bool_], flip: FlipSettings) -> FloatArray:
    allowed = np.array([axis in flip.axes for axis in "xyz"]) & extended
    return np.where((numbers < flip.probability) & allowed, -1.0, 1.0)


def _rotation(
    numbers: FloatArray, extended: NDArray[np.bool_], spacing_mm: FloatArray, rotation: RotationSettings
) -> FloatArray:
    matrix = np.eye(3)
    if numbers[0] >= rotation.probability:
        return matrix
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        steps = spacing_mm[[first, second]]
        if extended[first] and extended[second] and steps.max() <= ANISOTROPIC * steps.min():
            degrees = (2.0 * float(numbers[1 + axis]) - 1.0) * rotation.degrees[axis]
            matrix = _turn(first, second, radians(degrees)) @ matrix
    return np.asarray(matrix * spacing_mm / spacing_mm[:, None])


def _turn(first: int, second: int, angle: float) -> FloatArray:
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = cos(angle)
    matrix[first, second], matrix[second, first] = -sin(angle), sin(angle)
    return matrix
