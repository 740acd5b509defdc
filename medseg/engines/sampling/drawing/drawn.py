"""What is drawn of a patch: plain numbers that can be looked at, written as JSON, and cut again to the same bytes."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Intensity:
    """Changes of one channel; the defaults change nothing.

    noise, rician: standard deviation.  blur: standard deviation in voxels.  low_resolution: share of samples kept per
    axis.  bias: coefficients of the logarithm of the bias field, one for each of `bias_field.TERMS`, or none.
    """

    noise: float = 0.0
    blur: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0
    low_resolution: float = 1.0
    gamma_inverted: float = 1.0
    gamma: float = 1.0
    rician: float = 0.0
    bias: tuple[float, ...] = ()


NEUTRAL = Intensity()


@dataclass(frozen=True, slots=True)
class Elastic:
    """A smooth displacement: cubic B-splines over a coarse grid of control points around the middle of the patch.

    points: how many there are per axis, 1 along an axis of length 1.  spacing: their distance, in voxels of the patch.
    shifts: displacement (3, *points) of each one in voxels of the patch, in memory order.
    """

    points: tuple[int, int, int]
    spacing: Point
    shifts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """One patch. Its voxel `o` shows the case at `centre + matrix @ (o - (patch - 1) / 2)`, in voxel coordinates.

    `case` counts in the order of the cases given. `number` seeds the noise. `seed_voxel` is the labelled voxel that
    the patch was placed on, None for a patch placed anywhere. `blank` are the channels that are 0 everywhere: those
    that the case lacks, and those that were dropped. With `elastic`, its displacement at `o` is added to `o`.
    """

    case: int
    centre: Point
    matrix: tuple[Point, Point, Point]
    intensity: tuple[Intensity, ...]
    number: int
    seed_voxel: tuple[int, int, int] | None
    blank: tuple[int, ...] = ()
    elastic: Elastic | None = None
