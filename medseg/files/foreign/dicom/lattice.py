"""Do slices make a volume? Their positions must be one regular lattice along the normal of their planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.files.foreign.claim import affine_of, check_edges
from medseg.files.foreign.dicom.file import Frame
from medseg.values.error import Refusal
from medseg.values.volume import FloatArray

# A slice may lie 1 % of a step beside the lattice: a hundredth of a voxel, far below what any interpolation shows.
# Positions are often rounded to 0.01 mm, so thin slices may be that far off.
STEP_TOLERANCE = 0.01
ROUNDING_MM = 0.01
_SAME_DIRECTION = 1e-4
_SAME_SPACING = 1e-4
_ORTHONORMAL = 1e-3
_SAME_PLACE = 0.01
_NEARLY_WHOLE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The directions of rows and columns in LPS, the edges of a pixel along them in mm, and their normal."""

    row: FloatArray
    column: FloatArray
    edges_mm: tuple[float, float]

    @property
    def normal(self) -> FloatArray:
        """Unit vector across the planes; with row and column it makes a right-handed triple."""
        normal: FloatArray = np.cross(self.row, self.column)
        return normal


def plane_of(path: Path, frames: Sequence[Frame]) -> Plane:
    """Return the plane that all frames share; refuses frames without one, or with different ones."""
    first = frames[0]
    for frame in frames:
        _check_named(path, frame)
        _check_same(path, "orientation", first, frame, first.orientation, frame.orientation, _SAME_DIRECTION)
        _check_same(path, "pixel spacing", first, frame, first.spacing, frame.spacing, _SAME_SPACING)
    cosines, spacing = np.array(first.orientation), first.spacing or (0.0, 0.0)
    row, column = cosines[:3], cosines[3:]
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if not np.isfinite(cosines).all() or np.abs(lengths - 1).max() > _ORTHONORMAL or abs(row @ column) > _ORTHONORMAL:
        value = [float(f"{cosine:.6g}") for cosine in cosines]
        raise Refusal(str(path), "row and column directions are orthogonal unit vectors", value, "mend the headers")
    check_edges(str(path), (*spacing, 1.0))
    return Plane(row / lengths[0], column / lengths[1], (float(spacing[1]), float(spacing[0])))


def lattice_of(path: Path, frames: Sequence[Frame]) -> tuple[list[int], FloatArray]:
    """Return the order of the frames along their normal and the affine of the volume they make, to RAS+ mm.

    Refuses fewer than two slices, two in one place, missing ones, uneven steps, and planes that are shifted against
    each other (a tilted gantry).
    """
    plane = plane_of(path, frames)
    if len(frames) < 2:
        remedy = "name the folder that holds all slices of the series"
        raise Refusal(str(path), "a volume has at least two slices", "one", remedy)
    positions = np.array([frame.position for frame in frames], np.float64)
    order = [int(index) for index in np.argsort(positions @ plane.normal, kind="stable")]
    sorted_positions = positions[order]
    labels = [frames[index].label for index in order]
    _check_steps(path, sorted_positions @ plane.normal, labels)
    step = (sorted_positions[-1] - sorted_positions[0]) / (len(order) - 1)
    _check_shift(path, step, plane)
    _check_lattice(path, sorted_positions, step, labels)
    return order, affine_at(path, plane, step, sorted_positions[0])


def affine_at(path: Path, plane: Plane, step: FloatArray, origin: FloatArray) -> FloatArray:
    """Return the affine to RAS+ mm of a plane that is repeated by `step` from `origin` (both LPS, mm)."""
    axes = np.stack([plane.row * plane.edges_mm[0], plane.column * plane.edges_mm[1], step], axis=1)
    return affine_of(str(path), axes, origin, "LPS")


def _check_named(path: Path, frame: Frame) -> None:
    for what, value in (
        ("position", frame.position),
        ("orientation", frame.orientation),
        ("pixel spacing", frame.spacing),
    ):
        if value is None or not np.isfinite(value).all():
            found = "nothing" if value is None else str(value)
            raise Refusal(str(path), f"every slice names its {what}", f"{found} in {frame.label}", "export it again")


def _check_same(path: Path, what: str, first: Frame, frame: Frame, one: object, other: object, limit: float) -> None:
    if one != other and np.abs(np.subtract(one, other)).max() > limit * np.abs(one).max():  # type: ignore[call-overload]
        value = f"{one} in {first.label}, {other} in {frame.label}"
        remedy = "put each volume (and a localiser) in a folder of its own"
        raise Refusal(str(path), f"all slices have the same {what}", value, remedy)


def _check_steps(path: Path, heights: FloatArray, labels: Sequence[str]) -> None:
    """Refuse slices in one place, and steps that are a multiple of the usual one: slices are missing there."""
    steps = np.diff(heights)
    usual = float(np.median(steps))
    same = np.flatnonzero(steps <= max(_SAME_PLACE * usual, 1e-4))
    if same.size:
        at = int(same[0])
        value = f"{same.size + 1} at {heights[at]:.2f} mm or nearby, like {labels[at]} and {labels[at + 1]}"
        remedy = "put each volume (phase, echo, b-value, repetition) in a folder of its own"
        raise Refusal(str(path), "every slice has a place of its own", value, remedy)
    ratios = steps / usual
    wide = np.flatnonzero((ratios > 1.5) & (np.abs(ratios - np.rint(ratios)) < _NEARLY_WHOLE))
    if wide.size and np.abs(np.delete(ratios, wide) - 1).max(initial=0.0) < _NEARLY_WHOLE:
        gaps = [_gap(int(np.rint(ratios[at])) - 1, heights[at : at + 2], labels[at : at + 2]) for at in wide[:3]]
        count = int((np.rint(ratios[wide]) - 1).sum())
        value = f"{count} missing: {', '.join(gaps)}"
        raise Refusal(str(path), "no slice is missing", value, "fetch the whole series again")


def _gap(count: int, heights: FloatArray, labels: Sequence[str]) -> str:
    return f"{count} between {labels[0]} and {labels[1]} ({heights[0]:.2f} to {heights[1]:.2f} mm)"


def _check_shift(path: Path, step: FloatArray, plane: Plane) -> None:
    across = float(step @ plane.normal)
    shift = float(np.linalg.norm(step - across * plane.normal))
    if shift > STEP_TOLERANCE * across:
        degrees = float(np.degrees(np.arctan2(shift, across)))
        rule, value = "slices lie straight above each other", f"a tilt of {degrees:.2f} degrees (gantry)"
        raise Refusal(str(path), rule, value, "resample the series to an upright grid")


def _check_lattice(path: Path, positions: FloatArray, step: FloatArray, labels: Sequence[str]) -> None:
    regular = positions[0] + np.arange(len(positions))[:, None] * step
    apart = np.linalg.norm(positions - regular, axis=1)
    length = float(np.linalg.norm(step))
    if apart.max() > max(STEP_TOLERANCE * length, ROUNDING_MM):
        steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
        at = int(np.abs(steps - np.median(steps)).argmax())
        value = f"steps of {steps.min():.4g} to {steps.max():.4g} mm, the oddest behind {labels[at]}"
        rule = "slices are evenly spaced (to 1 % of a step)"
        raise Refusal(str(path), rule, value, "fetch the whole series again, or resample it to even steps")
