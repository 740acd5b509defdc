"""What is added to a healthy head: tumours, and bright spots that are none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from scipy.spatial.transform import Rotation

from medseg.ops.phantom_anatomy import Grid, Head
from medseg.ops.phantom_settings import PhantomSettings
from medseg.ops.phantom_shapes import ellipsoid, paint, polyline, smooth_noise, soft, turned
from medseg.values.volume import Array, BoolArray, FloatArray

CORE, OEDEMA = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """One lesion: signed distances in mm to its core and to its outer border, and both intensities (FLAIR, T1)."""

    core: FloatArray
    border: FloatArray
    core_values: tuple[float, float]
    oedema_values: tuple[float, float]


def draw_lesions(
    settings: PhantomSettings, grid: Grid, head: Head, generator: np.random.Generator
) -> tuple[Lesion, ...]:
    """Draw irregular lesions in grey and white matter that do not overlap; none is left out.

    They stay inside the hull of the brain and outside the ventricles; furrows under them are gone, as under a
    swelling. A lesion that finds no room is made smaller until it does.
    """
    lumps = np.clip(smooth_noise(generator, grid.shape, grid.spacing_mm, 5.0), -1.6, 1.6)
    fringe = np.clip(smooth_noise(generator, grid.shape, grid.spacing_mm, 6.0), -1.6, 1.6)
    room = -head.parenchyma
    lesions = []
    for _ in range(int(generator.integers(settings.lesions[0], settings.lesions[1] + 1))):
        radius = float(generator.uniform(*settings.core_radius_mm))
        width = float(generator.uniform(*settings.oedema_mm))
        centre, radius = _place(grid, room, radius, width, generator)
        core = _blob(grid, centre, radius, generator) + np.float32(0.2 * radius) * lumps
        border = core - np.float32(width) * (1 + np.float32(0.35) * fringe)
        border = _in_one_piece(np.maximum(border, head.parenchyma), grid.voxel_mm)
        core = np.maximum(core, border)
        lesions.append(Lesion(core, border, *_lesion_values(settings, generator)))
        room = np.minimum(room, border - np.float32(4.0))
    return tuple(lesions)


def paint_lesions(image: FloatArray, grid: Grid, lesions: tuple[Lesion, ...]) -> Array:
    """Lay lesions over `image` in place and return their labels `(X, Y, Z)` uint8.

    A voxel is labelled where at least half of it is lesion.
    """
    labels = np.zeros(grid.shape, np.uint8)
    for lesion in lesions:
        for label, distance, values in (
            (OEDEMA, lesion.border, lesion.oedema_values),
            (CORE, lesion.core, lesion.core_values),
        ):
            paint(image, soft(distance, grid.voxel_mm), values)
            labels[distance < 0] = label
    return labels


def paint_distractors(image: FloatArray, grid: Grid, head: Head, generator: np.random.Generator) -> BoolArray:
    """Lay FLAIR-bright structures that are no tumour over `image` in place and return where they are.

    Caps at the ventricles, strips of cortex, spots in the white matter, plexus in the ventricles and vessels.
    None of them is dark in T1 against its surroundings.
    """
    found = np.zeros(grid.shape, np.bool_)
    for distance, flair, t1 in (
        _caps(grid, head, generator),
        _strips(grid, head, generator),
        _spots(grid, head, generator),
        _plexus(grid, head, generator),
        _vessels(grid, head, generator),
    ):
        share = soft(distance, grid.voxel_mm)
        paint(image[:1], share, (flair,))
        if t1 is not None:
            paint(image[1:], share, (t1,))
        found |= share > 0.5
    return found


_Structure = tuple[FloatArray, float, float | None]


def _caps(grid: Grid, head: Head, generator: np.random.Generator) -> _Structure:
    patches = smooth_noise(generator, grid.shape, grid.spacing_mm, 9.0)
    distance = np.maximum(head.ventricles - np.float32(5.0), -head.ventricles)
    return np.maximum(distance, 6 * (np.float32(0.1) - patches)), float(generator.uniform(1.5, 1.95)), None


def _strips(grid: Grid, head: Head, generator: np.random.Generator) -> _Structure:
    patches = smooth_noise(generator, grid.shape, grid.spacing_mm, 10.0)
    ribbon = np.maximum(head.grey, -head.white)
    return np.maximum(ribbon, 6 * (np.float32(0.9) - patches)), float(generator.uniform(1.5, 1.95)), None


def _spots(grid: Grid, head: Head, generator: np.random.Generator) -> _Structure:
    lumps = smooth_noise(generator, grid.shape, grid.spacing_mm, 4.0)
    nearest: FloatArray = np.full(grid.shape, np.inf, np.float32)
    for _ in range(int(generator.integers(3, 7))):
        radius = float(generator.uniform(3.5, 8.5))
        centre, radius = _place(grid, -np.maximum(head.white, head.parenchyma), radius, 0.0, generator)
        nearest = np.minimum(nearest, _blob(grid, centre, radius, generator) + lumps * np.float32(0.2 * radius))
    inside = np.maximum(nearest, head.parenchyma)
    return inside, float(generator.uniform(1.5, 2.0)), float(generator.uniform(1.02, 1.2))


def _plexus(grid: Grid, head: Head, generator: np.random.Generator) -> _Structure:
    lumps = smooth_noise(generator, grid.shape, grid.spacing_mm, 4.0)
    inside = np.maximum(head.ventricles + np.float32(1.0), 5 * (np.float32(0.5) - lumps))
    return inside, float(generator.uniform(1.4, 1.9)), float(generator.uniform(0.7, 0.9))


def _vessels(grid: Grid, head: Head, generator: np.random.Generator) -> _Structure:
    nearest: FloatArray = np.full(grid.shape, np.inf, np.float32)
    for _ in range(int(generator.integers(2, 5))):
        start = generator.uniform((-40, -50, -40), (40, 50, 40))
        steps = generator.normal(0, 9, (6, 3)) + generator.normal(0, 6, 3)
        path = start + np.concatenate([np.zeros((1, 3)), steps.cumsum(0)])
        nearest = np.minimum(nearest, polyline(grid.points, path, float(generator.uniform(1.4, 2.2))))
    return np.maximum(nearest, head.cavity), float(generator.uniform(1.6, 2.1)), float(generator.uniform(1.3, 1.7))


def _place(
    grid: Grid, room: FloatArray, radius: float, width: float, generator: np.random.Generator
) -> tuple[FloatArray, float]:
    """Choose a voxel centre with `room` mm to spare for most of the blob; shrink the blob where there is none.

    The first of many drawn voxels that has room is taken: rounding that differs between computers moves no blob,
    as it would if the free voxels were counted.
    """
    tried = generator.integers(0, room.size, 2000)
    found = room.ravel()[tried]
    while not (free := tried[found > 0.8 * radius + 0.4 * width]).size and radius > 0.1:
        radius, width = 0.85 * radius, 0.85 * width
    chosen = int(free[0]) if free.size else int(room.argmax())
    return grid.points.reshape(3, -1)[:, chosen], radius


def _in_one_piece(distance: FloatArray, voxel_mm: float) -> FloatArray:
    """Push the crumbs beside the largest connected part of a shape out of it."""
    parts, count = scipy.ndimage.label(distance < 0)
    if count < 2:
        return distance
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return np.where((parts > 0) & (parts != largest), np.float32(voxel_mm), distance)


def _blob(grid: Grid, centre: FloatArray, radius: float, generator: np.random.Generator) -> FloatArray:
    """Draw a turned ellipsoid with the volume of a ball of `radius` mm."""
    stretch = generator.uniform(0.75, 1.3, 3)
    stretch /= np.prod(stretch) ** (1 / 3)
    turn = Rotation.from_euler("xyz", generator.uniform(-180, 180, 3), degrees=True).as_matrix()
    points = turned(turn, grid.points - centre.reshape(3, 1, 1, 1))
    return ellipsoid(points, (0, 0, 0), (radius * stretch).tolist())


def _lesion_values(
    settings: PhantomSettings, generator: np.random.Generator
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Draw (FLAIR, T1) of core and oedema: oedema bright and greyish, core from near grey to bright, and dark."""
    contrast = float(generator.uniform(*settings.contrast))
    core = (float(generator.uniform(0.75, 1.55)), 0.85 - 0.45 * contrast)
    oedema = (1.05 + float(generator.uniform(0.5, 0.75)) * contrast, 0.9 - 0.27 * contrast)
    return core, oedema
