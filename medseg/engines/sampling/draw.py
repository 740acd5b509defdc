"""Draw patches as plain numbers: which case, where, turned how, and how bright. Nothing is read or cut here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from medseg.engines.sampling.settings import (
    AugmentSettings,
    FlipSettings,
    PatchSettings,
    RotationSettings,
    SpanSettings,
)
from medseg.values.error import wrong_setting
from medseg.values.streams import stream
from medseg.values.volume import FloatArray

Point = tuple[float, float, float]
ANISOTROPIC = 3.0  # no turning in a plane whose steps differ by more than this (the threshold of nnU-Net)


@dataclass(frozen=True, slots=True, eq=False)
class CaseShape:
    """What drawing needs of a case: its grid, its channels and `seeds`: class index -> voxels (N, 3) of that class.

    `missing` are indices of channels that it lacks.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    channels: int
    seeds: Mapping[int, NDArray[np.integer]]
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Intensity:
    """Changes of one channel, in the order they are applied; the defaults change nothing.

    noise: standard deviation.  blur: standard deviation in voxels.  low_resolution: share of samples kept per axis.
    """

    noise: float = 0.0
    blur: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0
    low_resolution: float = 1.0
    gamma_inverted: float = 1.0
    gamma: float = 1.0


@dataclass(frozen=True, slots=True)
class Draw:
    """One patch. Its voxel `o` shows the case at `centre + matrix @ (o - (patch - 1) / 2)`, in voxel coordinates.

    `case` counts in the order of the cases given. `number` seeds the noise. `seed_voxel` is the labelled voxel that
    the patch was placed on, None for a patch placed anywhere. `blank` are the channels that are 0 everywhere: those
    that the case lacks, and those that were dropped.
    """

    case: int
    centre: Point
    matrix: tuple[Point, Point, Point]
    intensity: tuple[Intensity, ...]
    number: int
    seed_voxel: tuple[int, int, int] | None
    blank: tuple[int, ...] = ()


def draw_batch(
    seed: int,
    step: int,
    cases: Sequence[CaseShape],
    patch: Sequence[int],
    batch: int,
    patches: PatchSettings,
    augment: AugmentSettings,
) -> tuple[Draw, ...]:
    """Draw the patches of one step; patch `index` depends on (seed, step, index) only.

    patch: three numbers, 1 along the axis that 2D slices are cut across. The first patches of a batch lie on
    labelled voxels. Refuses a share of such patches when no case has any.
    """
    forced = foreground_count(patches.tumour_share, batch)
    if forced and not any(len(voxels) for case in cases for voxels in case.seeds.values()):
        raise wrong_setting("patches.tumour_share", "a training case has labelled voxels", patches.tumour_share,
                            "set patches.tumour_share=0 or add cases with labels")  # fmt: skip
    return tuple(
        _draw(stream(seed, "patch", step, index), cases, patch, index < forced, augment) for index in range(batch)
    )


def foreground_count(share: float, batch: int) -> int:
    """Return how many patches of a batch lie on labelled voxels: the rounded share, at least 1 when it is above 0."""
    return max(1, round(share * batch)) if share > 0 else 0


def _draw(
    generator: np.random.Generator,
    cases: Sequence[CaseShape],
    patch: Sequence[int],
    forced: bool,
    augment: AugmentSettings,
) -> Draw:
    eligible = [number for number, case in enumerate(cases) if not forced or any(map(len, case.seeds.values()))]
    number = eligible[generator.integers(len(eligible))]
    case, size = cases[number], np.asarray(patch)
    matrix = _matrix(generator, size, case.spacing_mm, augment)
    voxel = _seed_voxel(generator, case) if forced else None
    if voxel is None:
        centre = _anywhere(generator, case.shape, size)
    else:
        centre = _around(generator, voxel, matrix, case.shape, size)
    x, y, z = (float(place) for place in centre)
    rows = [(float(a), float(b), float(c)) for a, b, c in matrix]
    intensity = tuple(_intensity(generator, augment) for _ in range(case.channels))
    noise = int(generator.integers(2**62))
    blank = _blank(generator, case, augment.channel_dropout.chance)
    return Draw(number, (x, y, z), (rows[0], rows[1], rows[2]), intensity, noise, voxel, blank)


def _blank(generator: np.random.Generator, case: CaseShape, chance: float) -> tuple[int, ...]:
    """Draw the channels that are blank, after all other draws; one of those that the case has is always kept."""
    present = [channel for channel in range(case.channels) if channel not in case.missing]
    dropped = [channel for channel, place in enumerate(generator.random(case.channels)) if place < chance]
    if present and set(present) <= set(dropped):
        dropped.remove(present[generator.integers(len(present))])
    return tuple(sorted({*dropped, *case.missing}))


def _seed_voxel(generator: np.random.Generator, case: CaseShape) -> tuple[int, int, int]:
    present = sorted(index for index, voxels in case.seeds.items() if len(voxels))
    voxels = case.seeds[present[generator.integers(len(present))]]
    x, y, z = (int(place) for place in voxels[generator.integers(len(voxels))])
    return x, y, z


def _anywhere(generator: np.random.Generator, shape: Sequence[int], size: NDArray[np.integer]) -> FloatArray:
    """Place the patch inside the image, or the image inside the patch where the patch is the larger one."""
    spare = np.asarray(shape) - size
    corner = generator.integers(np.minimum(0, spare), np.maximum(0, spare), endpoint=True)
    return np.asarray(corner + (size - 1) / 2)


def _around(
    generator: np.random.Generator,
    voxel: Sequence[int],
    matrix: FloatArray,
    shape: Sequence[int],
    size: NDArray[np.integer],
) -> FloatArray:
    """Place `voxel` in the middle half of the patch; then shift the patch into the image if that keeps the voxel."""
    middle = (size - 1) / 2
    position = generator.integers(size // 4, size - size // 4)
    centre: FloatArray = np.asarray(voxel) - matrix @ (position - middle)
    far = np.asarray(shape) - 1 - middle
    shifted = np.clip(centre, np.minimum(middle, far), np.maximum(middle, far))
    landed = np.linalg.solve(matrix, np.asarray(voxel) - shifted) + middle
    return shifted if np.all((landed >= -1e-6) & (landed <= size - 1 + 1e-6)) else centre


def _matrix(
    generator: np.random.Generator, size: NDArray[np.integer], spacing_mm: Sequence[float], augment: AugmentSettings
) -> FloatArray:
    """Compose rotation (in mm, so that angles stay angles), zoom and flips; an axis of length 1 stays as it is."""
    extended = size > 1
    matrix = _rotation(generator, extended, np.asarray(spacing_mm), augment.rotation)
    zoom = _strength(generator, augment.scaling, 1.0)
    zooms = np.where(extended, 1.0 / zoom, 1.0)
    return np.asarray(matrix * (zooms * _signs(generator, extended, augment.flip)))


def _signs(generator: np.random.Generator, extended: NDArray[np.bool_], flip: FlipSettings) -> FloatArray:
    allowed = np.array([axis in flip.axes for axis in "xyz"]) & extended
    return np.where((generator.random(3) < flip.probability) & allowed, -1.0, 1.0)


def _rotation(
    generator: np.random.Generator, extended: NDArray[np.bool_], spacing_mm: FloatArray, rotation: RotationSettings
) -> FloatArray:
    happens = generator.random() < rotation.probability
    degrees = generator.uniform(-1.0, 1.0, 3) * rotation.degrees
    matrix = np.eye(3)
    if not happens:
        return matrix
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        steps = spacing_mm[[first, second]]
        if extended[first] and extended[second] and steps.max() <= ANISOTROPIC * steps.min():
            matrix = _turn(first, second, radians(float(degrees[axis]))) @ matrix
    return np.asarray(matrix * spacing_mm / spacing_mm[:, None])


def _turn(first: int, second: int, angle: float) -> FloatArray:
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = cos(angle)
    matrix[first, second], matrix[second, first] = -sin(angle), sin(angle)
    return matrix


def _intensity(generator: np.random.Generator, augment: AugmentSettings) -> Intensity:
    inverted = augment.gamma.model_copy(update={"probability": augment.gamma.inverted_probability})
    return Intensity(
        noise=_strength(generator, augment.noise, 0.0),
        blur=_strength(generator, augment.blur, 0.0),
        brightness=_strength(generator, augment.brightness, 1.0),
        contrast=_strength(generator, augment.contrast, 1.0),
        low_resolution=_strength(generator, augment.low_resolution, 1.0),
        gamma_inverted=_strength(generator, inverted, 1.0),
        gamma=_strength(generator, augment.gamma, 1.0),
    )


def _strength(generator: np.random.Generator, span: SpanSettings, neutral: float) -> float:
    """Take two numbers, whether used or not, so that one setting does not shift the draws of the others."""
    chance, place = generator.random(2)
    return span.low + (span.high - span.low) * float(place) if chance < span.probability else neutral
