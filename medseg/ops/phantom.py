"""Two-channel head phantoms with tumours that a network can learn and a threshold cannot find."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from medseg.ops.phantom_anatomy import HEAD_RADII_MM, Grid, draw_head, paint_head
from medseg.ops.phantom_lesions import draw_lesions, paint_distractors, paint_lesions
from medseg.ops.phantom_settings import PhantomSettings
from medseg.ops.phantom_shapes import smooth_noise, turned
from medseg.ops.phantom_threshold import threshold_baseline
from medseg.values.error import Refusal
from medseg.values.streams import stream
from medseg.values.volume import Array, FloatArray, Volume

__all__ = ["LABELS", "PhantomSettings", "is_healthy", "make_phantom", "threshold_baseline"]

LABELS = {"core": 1, "oedema": 2}


def is_healthy(settings: PhantomSettings, subject: int) -> bool:
    """Tell whether a subject (1, 2, ...) has no lesion: every third one at a share of 1/3, however many there are."""
    before, after = (int(count * settings.healthy_share + 1e-9) for count in (subject - 1, subject))
    return after > before


def make_phantom(settings: PhantomSettings, subject: int) -> tuple[Volume, Volume]:
    """Make subject 1, 2, ...: image `(2, X, Y, Z)` float32 (FLAIR, T1; whole numbers) and mask `(1, X, Y, Z)` uint8.

    Both lie in the same random storage orientation, which their affine tells. The mask holds 1 in cores and 2 in
    oedema and is all zero for a healthy subject. Refuses a subject that is not one of the set.
    """
    if not 1 <= subject <= settings.subjects:
        raise Refusal(
            "phantom", f"subjects are 1..{settings.subjects}", subject, "ask for one of them or raise subjects"
        )
    grid, affine, scale = _pose(settings, subject)
    head = draw_head(grid, scale, _stream(settings, subject, "head"))
    image = paint_head(grid, head, _stream(settings, subject, "tissue"))
    paint_distractors(image, grid, head, _stream(settings, subject, "distractors"))
    lesions = (
        ()
        if is_healthy(settings, subject)
        else draw_lesions(settings, grid, head, _stream(settings, subject, "lesions"))
    )
    labels = paint_lesions(image, grid, lesions)
    scan = _scan(settings, grid, image, _stream(settings, subject, "scan"))
    storage = _stream(settings, subject, "storage")
    order, flips = storage.permutation(3), storage.integers(0, 2, 3).astype(bool)
    return _store(Volume(scan, affine), order, flips), _store(Volume(labels[None], affine), order, flips)


def _stream(settings: PhantomSettings, subject: int, part: str) -> np.random.Generator:
    return stream(settings.seed, "phantom", subject, part)


def _pose(settings: PhantomSettings, subject: int) -> tuple[Grid, FloatArray, float]:
    """Draw size, tilt, shift and spacing: the grid in the head, the affine (axes right, forward, up), the size.

    A tilt is the patient's, or the scan's: then the head is straight in the world and the affine is oblique.
    """
    generator = _stream(settings, subject, "pose")
    scale = float(generator.uniform(*settings.head_scale))
    spacing = generator.uniform(*settings.spacing_mm, 3).round(3)
    limit = settings.rotation_degrees
    turn = Rotation.from_euler("xyz", generator.uniform(-limit, limit, 3), degrees=True).as_matrix()
    shift = generator.uniform(-settings.shift_mm, settings.shift_mm, 3)
    extent = np.sqrt((turn.T**2) @ (np.asarray(HEAD_RADII_MM) * scale * 1.03) ** 2) + settings.shift_mm + 3.0
    shape = np.clip(np.ceil(2 * extent / spacing), *settings.voxels).astype(int)
    to_scanner = np.diag([*spacing, 1.0])
    to_scanner[:3, 3] = -spacing * (shape - 1) / 2
    to_head = np.eye(4)
    to_head[:3] = np.column_stack([turn, -turn @ shift])
    to_head = to_head @ to_scanner
    points = turned(to_head[:3, :3], np.indices(shape.tolist(), np.float32)) + to_head[:3, 3, None, None, None]
    affine = to_head if generator.random() < settings.oblique_share else to_scanner
    first, second, third = spacing.tolist()
    return Grid(points.astype(np.float32), (first, second, third)), affine, scale


def _scan(settings: PhantomSettings, grid: Grid, image: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Add texture, shading, Rician noise and gain; whole numbers, as scanners store them.

    Source: magnitude of a complex signal with Gaussian noise, Gudbjartsson and Patz 1995.
    """
    scanned = np.empty_like(image)
    for number, channel in enumerate(image):
        texture = 1 + np.float32(0.035) * smooth_noise(generator, grid.shape, grid.spacing_mm, 2.5)
        signal = channel * texture * _shading(grid, settings.bias, generator)
        deviation = np.float32(generator.uniform(*settings.noise))
        real, imaginary = generator.standard_normal((2, *grid.shape), np.float32) * deviation
        gain = np.float32(generator.uniform(150, 600))
        scanned[number] = np.rint(gain * np.hypot(signal + real, imaginary))
    return scanned


def _shading(grid: Grid, strength: float, generator: np.random.Generator) -> FloatArray:
    """Draw a smooth factor around 1: the exponential of a random quadratic in the position."""
    x, y, z = grid.points / np.float32(80.0)
    terms = (x, y, z, x * y, y * z, x * z, x * x, y * y, z * z)
    weights = generator.normal(0, strength / 2, len(terms)).astype(np.float32)
    total = np.zeros(grid.shape, np.float32)
    for weight, term in zip(weights, terms, strict=True):
        total += weight * term
    factor: FloatArray = np.exp(total - total.mean())
    return factor


def _store(volume: Volume, order: Array, flips: Array) -> Volume:
    """Reorder and flip the axes of a volume; every voxel keeps its place in the world."""
    voxels = volume.voxels.transpose(0, *(int(axis) + 1 for axis in order))
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for new, old in enumerate(order):
        change[old, new] = -1 if flips[new] else 1
        change[old, 3] = voxels.shape[new + 1] - 1 if flips[new] else 0
    chosen = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    return Volume(np.ascontiguousarray(voxels[(slice(None), *chosen)]), volume.affine @ change)
