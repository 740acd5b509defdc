"""Rotations as matrices and as quaternions (w, x, y, z), the way a qform holds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.values.volume import FloatArray

_LEAST_SQUARE = float(np.finfo(np.float64).eps)


def rotation_of(quaternion: Sequence[float]) -> FloatArray:
    """Return the matrix `(3, 3)` of a quaternion of any length; one of length 0 turns nothing.

    Source: the same steps in the same order as nibabel's `quat2mat` (MIT), so the same bits; importing nibabel costs
    more than the headers of a hundred scans.
    """
    w, x, y, z = (float(part) for part in quaternion)
    square = w * w + x * x + y * y + z * z
    if square < _LEAST_SQUARE:
        return np.eye(3)
    scale = 2.0 / square
    xs, ys, zs = x * scale, y * scale, z * scale
    wx, wy, wz = w * xs, w * ys, w * zs
    xx, xy, xz = x * xs, x * ys, x * zs
    yy, yz, zz = y * ys, y * zs, z * zs
    rows = [
        [1.0 - (yy + zz), xy - wz, xz + wy],
        [xy + wz, 1.0 - (xx + zz), yz - wx],
        [xz - wy, yz + wx, 1.0 - (xx + yy)],
    ]
    return np.array(rows)


def quaternion_of(rotation: FloatArray) -> list[float]:
    """Return the quaternion, w not below 0, of the rotation nearest to a matrix `(3, 3)`.

    Source: Bar-Itzhack 2000, doi:10.2514/2.4654, as in nibabel's `mat2quat` (MIT).
    """
    (xx, yx, zx), (xy, yy, zy), (xz, yz, zz) = rotation
    lower = [
        [xx - yy - zz, 0, 0, 0],
        [yx + xy, yy - xx - zz, 0, 0],
        [zx + xz, zy + yz, zz - xx - yy, 0],
        [yz - zy, zx - xz, xy - yx, xx + yy + zz],
    ]
    lengths, vectors = np.linalg.eigh(np.array(lower) / 3.0)
    nearest = vectors[[3, 0, 1, 2], np.argmax(lengths)]
    return [float(part) for part in (-nearest if nearest[0] < 0 else nearest)]
