"""Seeds: labelled voxels that training patches are placed on, and the lesions that they belong to."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from medseg.values.labels import IGNORED
from medseg.values.streams import stream
from medseg.values.volume import Array

SEEDS_PER_CLASS = 10_000


def lesion_map(classes: Array) -> NDArray[np.int32]:
    """Number the lesions of class indices (X, Y, Z) from 1 on, 0 elsewhere: int32 (X, Y, Z).

    A lesion is a part of all foreground classes together that is connected over faces, edges or corners (26
    neighbours). Ignored voxels are no foreground.
    """
    lesions = np.zeros(classes.shape, np.int32)
    foreground = (classes > 0) & (classes != IGNORED)
    for box in scipy.ndimage.find_objects(foreground.view(np.uint8)):  # the one box around all of it
        scipy.ndimage.label(foreground[box], np.ones((3, 3, 3)), output=lesions[box])
    return lesions


def draw_seeds(
    case: str, classes: Array, seed: int, lesions: NDArray[np.int32] | None = None
) -> dict[int, NDArray[np.int32]]:
    """Draw at most 10,000 voxels of every foreground class: class index -> coordinates (N, 3) in memory order.

    A lesion that would have no voxel of a class that it has gets one more of them. The stream is named by case and
    class; a class without voxels is left out, and so are ignored voxels. lesions: `lesion_map(classes)`, if known.
    """
    flat = (lesion_map(classes) if lesions is None else lesions).ravel()
    seeds = {}
    for index in class_sizes(classes):
        places = np.flatnonzero(classes == index)
        if places.size > SEEDS_PER_CLASS:
            generator = stream(seed, "seeds", case, index)
            kept = generator.choice(places, SEEDS_PER_CLASS, replace=False)
            forgotten = generator.permutation(places[~np.isin(flat[places], flat[kept])])
            _, first = np.unique(flat[forgotten], return_index=True)
            places = np.sort(np.concatenate([kept, forgotten[first]]))
        seeds[index] = np.stack(np.unravel_index(places, classes.shape), axis=1).astype(np.int32)
    return seeds


def class_sizes(classes: Array) -> dict[int, int]:
    """Count the voxels of every foreground class that is there: class index -> voxels, without ignored ones."""
    sizes = sum((np.bincount(plane.ravel(), minlength=256) for plane in classes), np.zeros(256, np.int64))
    return {index: size for index, size in enumerate(sizes.tolist()) if size and index not in (0, IGNORED)}
