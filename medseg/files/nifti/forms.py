"""The two affines that a NIfTI header can hold, sform and qform, each judged on its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from medseg.files.nifti.rotations import quaternion_of, rotation_of
from medseg.values.volume import FloatArray

SOUND_EDGES = "voxel edges are finite and above 0 mm (pixdim)"
_QUATERNION_TOLERANCE = 1e-5
_QUATERNION_ROUNDING = 5e-7
_NO_REAL_PART = 1e-3
_EDGES_MM = (1e-6, 1e9)
_LEAST_DETERMINANT = 1e-12
_LEAST_ANGLE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """An affine `(4, 4)` from voxel indices to RAS+ mm; `fault` is the rule it breaks and the value, None if sound.

    `imaginary` is the part of a qform's quaternion that is stored.
    """

    name: Literal["sform", "qform"]
    affine: FloatArray = field(default_factory=lambda: np.eye(4))
    fault: tuple[str, object] | None = None
    imaginary: tuple[float, ...] = ()


def sform_of(fields: Any) -> Form | None:
    """Return the sform, None where its code says that there is none."""
    if int(fields["sform_code"]) <= 0:
        return None
    affine = np.eye(4)
    with np.errstate(invalid="ignore"):  # a signalling NaN is a fault like any other NaN, and no warning
        for row, key in enumerate(("srow_x", "srow_y", "srow_z")):
            affine[row] = fields[key]
    return Form("sform", affine, _fault(affine))


def qform_of(fields: Any) -> Form | None:
    """Return the qform, None where its code says that there is none.

    Source: nifti1.h, method 2. A handedness (`pixdim[0]`) of 0 counts as 1; readers do not agree on others than 1
    and -1, so they are a fault.
    """
    if int(fields["qform_code"]) <= 0:
        return None
    edges = edges_of(fields)
    handedness = float(fields["pixdim"][0])
    imaginary = tuple(float(fields[key]) for key in ("quatern_b", "quatern_c", "quatern_d"))
    square = 1.0 - sum(part * part for part in imaginary)
    if not are_edges(edges):
        return Form("qform", fault=(SOUND_EDGES, rounded(edges)))
    if not square >= -_QUATERNION_TOLERANCE:
        return Form("qform", fault=("the quaternion of the qform is a rotation", rounded(imaginary)))
    if handedness not in (-1.0, 0.0, 1.0):
        return Form("qform", fault=("the handedness (pixdim[0]) is 1 or -1", handedness))
    real = square**0.5 if square > 3 * np.finfo(fields["quatern_b"].dtype).eps else 0.0
    edges[2] = -edges[2] if handedness < 0 else edges[2]
    affine = np.eye(4)
    affine[:3, :3] = rotation_of([real, *imaginary]) * edges
    affine[:3, 3] = [float(fields[key]) for key in ("qoffset_x", "qoffset_y", "qoffset_z")]
    return Form("qform", affine, _fault(affine), imaginary)


def as_precise_as(qform: Form, sform: Form) -> FloatArray:
    """Return the qform's affine, with the rotation of the sform where the two have the same stored quaternion.

    Only the imaginary part is stored, so near a half turn rounding costs the real part several digits: over 500
    voxels that can be half a voxel, between two affines that were written as one.
    """
    axes = sform.affine[:3, :3] / np.linalg.norm(sform.affine[:3, :3], axis=0)
    real, *imaginary = quaternion_of(axes * [1.0, 1.0, np.sign(np.linalg.det(axes))])
    signs = (1.0, -1.0) if abs(real) < _NO_REAL_PART else (1.0,)
    apart = min(float(np.abs(np.subtract(qform.imaginary, np.multiply(sign, imaginary))).max()) for sign in signs)
    if apart > _QUATERNION_ROUNDING:
        return qform.affine
    affine = qform.affine.copy()
    edges = np.linalg.norm(affine[:3, :3], axis=0) * [1.0, 1.0, np.sign(np.linalg.det(affine[:3, :3]))]
    affine[:3, :3] = rotation_of([real, *imaginary]) * edges
    return affine


def edges_of(fields: Any) -> list[float]:
    """Return the edges of a voxel in mm as `pixdim` names them, sound or not."""
    return [float(edge) for edge in fields["pixdim"][1:4]]


def are_edges(edges: list[float]) -> bool:
    """Tell whether these can be the edges of a voxel in mm."""
    return all(_EDGES_MM[0] <= edge <= _EDGES_MM[1] for edge in edges)


def rows(affine: FloatArray) -> list[list[float]]:
    """Return the upper three rows of an affine, short enough for a message."""
    return [rounded(row) for row in affine[:3]]


def rounded(numbers: Any) -> list[float]:
    """Return numbers to six digits, for a message."""
    return [float(f"{float(number):.6g}") + 0.0 for number in numbers]


def _fault(affine: FloatArray) -> tuple[str, object] | None:
    if not np.isfinite(affine).all():
        return "the affine is finite", rows(affine)
    axes = affine[:3, :3]
    with np.errstate(all="ignore"):
        edges = np.sqrt((axes * axes).sum(axis=0))
        volume = abs(float(np.linalg.det(axes)))
        least = max(_LEAST_DETERMINANT, _LEAST_ANGLE * float(edges.prod()))
    sound = edges.min() >= _EDGES_MM[0] and edges.max() <= _EDGES_MM[1] and volume >= least
    return None if sound else ("the affine can be inverted", rows(affine))
