"""A healthy head: scalp, skull, fluid, folded grey matter, white matter and ventricles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.ops.phantom_shapes import ellipsoid, paint, smooth_noise, soft
from medseg.values.volume import FloatArray

HEAD_RADII_MM = (73.0, 87.0, 71.0)
"""Half of a head of size 1, right, forward and up."""

INTENSITIES = {
    "fat": (1.65, 1.75),
    "bone": (0.22, 0.25),
    "fluid": (0.3, 0.32),
    "grey": (1.12, 0.8),
    "white": (0.95, 1.1),
    "deep": (1.08, 0.88),
}
"""Mean intensity of each tissue in FLAIR and T1; white matter is about 1."""

_VENTRICLES = (
    ((8.5, -2.0, 11.0), (5.0, 24.0, 6.5)),
    ((11.0, 20.0, 8.0), (5.0, 10.0, 6.5)),
    ((18.0, -30.0, 4.0), (5.5, 15.0, 6.0)),
)
_DEEP_GREY = ((21.0, 2.0, 1.0), (7.5, 17.0, 10.0))


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where the voxels lie in the head: `points` `(3, X, Y, Z)` mm right, forward and up of its centre."""

    points: FloatArray
    spacing_mm: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along X, Y and Z."""
        _, x, y, z = self.points.shape
        return x, y, z

    @property
    def voxel_mm(self) -> float:
        """Mean edge of a voxel in mm."""
        return float(np.prod(self.spacing_mm) ** (1 / 3))


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A healthy head: signed distances in mm (negative inside), each `(X, Y, Z)`."""

    scalp: FloatArray
    skull: FloatArray
    cavity: FloatArray
    grey: FloatArray
    white: FloatArray
    deep: FloatArray
    ventricles: FloatArray

    @property
    def parenchyma(self) -> FloatArray:
        """Distance to the smooth hull of the brain without the ventricles."""
        distance: FloatArray = np.maximum(self.cavity + np.float32(2.0), -self.ventricles)
        return distance


def draw_head(grid: Grid, scale: float, generator: np.random.Generator) -> Head:
    """Draw the surfaces of one healthy head of size `scale`."""
    radii = np.asarray(HEAD_RADII_MM) * scale * generator.uniform(0.97, 1.03, 3)
    lumps = smooth_noise(generator, grid.shape, grid.spacing_mm, 18.0)
    scalp = ellipsoid(grid.points, (0, 0, 0), radii.tolist()) + lumps * np.float32(0.8)
    skull = scalp + np.float32(generator.uniform(4.5, 6.5))
    cavity = skull + np.float32(generator.uniform(4.5, 6.0))
    grey, white = _fold(grid, cavity, scale, generator)
    ventricles = _ventricles(grid, scale, generator)
    deep = ellipsoid(_mirrored(grid.points), *_scaled(_DEEP_GREY, scale))
    return Head(scalp, skull, cavity, grey, white, deep, ventricles)


def paint_head(grid: Grid, head: Head, generator: np.random.Generator) -> FloatArray:
    """Lay the tissues over air, outermost first: `(2, X, Y, Z)` float32, FLAIR and T1."""
    image = np.zeros((2, *grid.shape), np.float32)
    layers = (
        ("fat", head.scalp),
        ("bone", head.skull),
        ("fluid", head.cavity),
        ("grey", head.grey),
        ("white", head.white),
        ("deep", head.deep),
        ("fluid", head.ventricles),
    )
    drawn = {tissue: np.asarray(values) * generator.uniform(0.95, 1.05, 2) for tissue, values in INTENSITIES.items()}
    for tissue, distance in layers:
        paint(image, soft(distance, grid.voxel_mm), drawn[tissue].tolist())
    return image


def _fold(
    grid: Grid, cavity: FloatArray, scale: float, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw the two borders of the grey ribbon: furrows run where a smooth field crosses zero."""
    furrow = np.exp(-((smooth_noise(generator, grid.shape, grid.spacing_mm, 6.0) / np.float32(0.38)) ** 2))
    grey = cavity + np.float32(2.0) + np.float32(8.0) * furrow
    white = cavity + np.float32(7.0) + np.float32(13.0) * furrow
    fissure = _fissure(grid.points, scale)
    return np.maximum(grey, -fissure), np.maximum(white, np.float32(3.5) - fissure)


def _fissure(points: FloatArray, scale: float) -> FloatArray:
    """Return the distance to the gap between the hemispheres, which spares the middle of the brain."""
    middle = ellipsoid(points, (0, 0, 0), (50 * scale, 48 * scale, 26 * scale))
    distance: FloatArray = np.maximum(np.abs(points[0]) - np.float32(1.0), -middle)
    return distance


def _ventricles(grid: Grid, scale: float, generator: np.random.Generator) -> FloatArray:
    """Join both lateral ventricles, of unlike width, and the third one."""
    right, left = generator.uniform(0.8, 1.35, 2)
    nearest = ellipsoid(grid.points, (0, -4 * scale, -5 * scale), (2.5, 10 * scale, 8 * scale))
    for width, side in ((right, 1.0), (left, -1.0)):
        points = grid.points * np.asarray((side, 1, 1), np.float32).reshape(3, 1, 1, 1)
        for centre, radii in _VENTRICLES:
            place, size = _scaled((centre, radii), scale)
            nearest = np.minimum(nearest, ellipsoid(points, place, [radius * width for radius in size]))
    return nearest


def _mirrored(points: FloatArray) -> FloatArray:
    mirrored = points.copy()
    np.abs(mirrored[0], out=mirrored[0])
    return mirrored


def _scaled(shape: tuple[tuple[float, ...], tuple[float, ...]], scale: float) -> tuple[list[float], list[float]]:
    centre, radii = shape
    return [value * scale for value in centre], [value * scale for value in radii]
