"""From probabilities to one label per voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from medseg.values.error import wrong_setting
from medseg.values.labels import LabelScheme
from medseg.values.volume import Array, FloatArray


def decode(
    scores: FloatArray, activation: Literal["softmax", "sigmoid"], decoding: Sequence[tuple[int, int]] = ()
) -> Array:
    """Return the winner of each voxel, `(X, Y, Z)` uint8, from probabilities `(outputs, X, Y, Z)`.

    softmax: the class index with the highest score, the lower one where two are equal; `decoding` is not used.
    sigmoid: `decoding` comes from `paint_order`; each region with a score above 0.5 is painted over the larger
    ones, with the number that `paint_order` found for it. A voxel in no region is 0.
    """
    painted = np.zeros(scores.shape[1:], np.uint8)
    if activation == "sigmoid":
        for region, number in decoding:
            painted[scores[region] > 0.5] = number
        return painted
    best = scores[0].copy()
    for index in range(1, len(scores)):
        better = scores[index] > best
        painted[better] = index
        np.maximum(best, scores[index], out=best)
    return painted


def paint_order(regions: Mapping[str, tuple[int, ...]]) -> list[tuple[int, int]]:
    """Return (index of the region in `regions`, number to paint), the largest region first.

    A region is painted with the one number that it has and no strictly smaller region inside it has: whole (1, 2) and
    core (1) paint 2, then 1. The numbers are those of `regions`: labels, or class indices with `class_regions`.
    Refuses a region that has no such number, or several, for then labels cannot be told from regions.
    """
    names = list(regions)
    order: list[tuple[int, int]] = []
    for index in sorted(range(len(names)), key=lambda i: (-len(set(regions[names[i]])), i)):
        own = set(regions[names[index]])
        smaller = [set(members) for members in regions.values() if set(members) < own]
        left = own.difference(*smaller)
        if len(left) != 1:
            rule = "with sigmoid, each region has exactly one label that no smaller region inside it has"
            raise wrong_setting(
                f"data.regions.{names[index]}", rule, sorted(left), "change the regions, or set loss.activation=softmax"
            )
        order.append((index, left.pop()))
    return order


def class_regions(scheme: LabelScheme) -> dict[str, tuple[int, ...]]:
    """Return the scheme's regions in class indices instead of label numbers."""
    return {name: tuple(scheme.values.index(label) for label in members) for name, members in scheme.regions.items()}
