"""Pairs of masks for tests against other implementations: random ones, and every degenerate kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medseg.values.volume import BoolArray

Shape = tuple[int, ...]
Chance = np.random.Generator


@dataclass(frozen=True)
class Masks:
    """Truth and prediction of a scan in 2D or 3D, `spacing_mm` along its axes."""

    kind: str
    truth: BoolArray
    predicted: BoolArray
    spacing_mm: tuple[float, ...]


def noise(chance: Chance, shape: Shape) -> BoolArray:
    """Set each voxel with a chance of its own mask."""
    return np.asarray(chance.random(shape) < chance.choice([0.05, 0.3, 0.6]), np.bool_)


def blobs(chance: Chance, shape: Shape) -> BoolArray:
    """Join two ellipsoids; some touch the border of the scan."""
    grid = np.indices(shape).reshape(len(shape), -1)
    mask = np.zeros(shape, np.bool_)
    for _ in range(2):
        centre = [[chance.uniform(0, length)] for length in shape]
        radii = [[chance.uniform(1, max(length / 2, 1.1))] for length in shape]
        mask |= (((grid - centre) / radii) ** 2).sum(0).reshape(shape) < 1
    return mask


def empty(chance: Chance, shape: Shape) -> BoolArray:
    return np.zeros(shape, np.bool_)


def voxel(chance: Chance, shape: Shape) -> BoolArray:
    mask = np.zeros(shape, np.bool_)
    mask[tuple(int(chance.integers(0, length)) for length in shape)] = True
    return mask


def full(chance: Chance, shape: Shape) -> BoolArray:
    return np.ones(shape, np.bool_)


def border(chance: Chance, shape: Shape) -> BoolArray:
    """Fill everything from a corner of the scan to a plane in it."""
    mask = np.zeros(shape, np.bool_)
    mask[tuple(slice(0, int(chance.integers(1, length + 1))) for length in shape)] = True
    return mask


def crumbs(chance: Chance, shape: Shape) -> BoolArray:
    """Set more than a hundred voxels that have no neighbours, and leave some of them out."""
    mask = np.zeros(shape, np.bool_)
    mask[(slice(None, None, 2),) * len(shape)] = True
    return np.asarray(mask & (chance.random(shape) < 0.9), np.bool_)


def changed(mask: BoolArray, chance: Chance) -> BoolArray:
    """Move a mask by a voxel or not at all, and turn a few of its voxels around."""
    moved = np.roll(mask, int(chance.integers(0, 2)), axis=0)
    return np.asarray(moved ^ (chance.random(mask.shape) < chance.choice([0.0, 0.02])), np.bool_)


Maker = Callable[[Chance, Shape], BoolArray]
KINDS: dict[str, tuple[Maker, Maker, int]] = {
    "noise": (noise, noise, 140),
    "blobs": (blobs, blobs, 120),
    "nearly the same": (blobs, empty, 80),
    "noise in blobs": (blobs, noise, 40),
    "border": (border, border, 30),
    "one voxel each": (voxel, voxel, 20),
    "one voxel": (blobs, voxel, 15),
    "one voxel of truth": (voxel, blobs, 15),
    "nothing found": (blobs, empty, 10),
    "nothing there": (empty, blobs, 10),
    "one false voxel": (empty, voxel, 5),
    "nothing at all": (empty, empty, 5),
    "everything": (full, blobs, 5),
    "100 components": (crumbs, crumbs, 5),
}


def all_pairs() -> list[Masks]:
    """Make 500 pairs, a third of them in 2D, most of them anisotropic."""
    found = []
    for kind, (first, second, count) in KINDS.items():
        for number in range(count):
            chance = np.random.default_rng([number, *kind.encode()])
            dimensions = 2 if number % 3 == 0 else 3
            sizes = (20, 26) if kind == "100 components" and dimensions == 2 else (3, 13)
            sizes = (11, 13) if kind == "100 components" and dimensions == 3 else sizes
            shape = tuple(int(length) for length in chance.integers(*sizes, dimensions))
            spacing_mm = tuple(float(edge) for edge in chance.choice([0.5, 0.8, 1.0, 2.3], dimensions))
            truth, predicted = first(chance, shape), second(chance, shape)
            if kind == "nearly the same":
                predicted = changed(truth, chance)
            found.append(Masks(kind, truth, predicted, spacing_mm))
    return found
