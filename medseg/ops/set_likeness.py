"""Which images of a set are nearly the same, found on miniatures of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from medseg.values.volume import Array, FloatArray

_BLOCK = 512  # rows compared at once: some megabytes, whatever the number of images and however alike they are


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """Pairs of rows `(first, second, correlation)`, first < second, and how many such partners each row has (N,).

    `pairs` stops at the number asked for; `partners` counts all of them.
    """

    pairs: tuple[tuple[int, int, float], ...]
    partners: Array


def find_alike(miniatures: Array, least: float, most: int = 10_000) -> Likeness:
    """Compare every two rows of `miniatures` (N, F), any float type, by Pearson's correlation over F.

    Finds the pairs of at least `least`, at most `most` of them, in ascending order. A constant row, or one that is not
    finite, is like no other. Memory beyond the rows does not grow with N.
    """
    partners = np.zeros(len(miniatures), np.int64)
    pairs: list[tuple[int, int, float]] = []
    for start, left in _blocks(miniatures, 0):
        for other, right in _blocks(miniatures, start):
            found = left @ right.T
            rows, columns = np.nonzero(found >= least)
            first, second = rows + start, columns + other
            kept = second > first
            rows, columns, first, second = rows[kept], columns[kept], first[kept], second[kept]
            np.add.at(partners, first, 1)
            np.add.at(partners, second, 1)
            room = max(0, most - len(pairs))
            values = np.minimum(found[rows[:room], columns[:room]], 1.0)
            pairs += zip(first[:room].tolist(), second[:room].tolist(), values.tolist(), strict=True)
    return Likeness(tuple(sorted(pairs)), partners)


def _blocks(rows: Array, start: int) -> Iterator[tuple[int, FloatArray]]:
    """Yield blocks of rows from `start` on, each row with mean 0 and length 1; unusable rows are all 0."""
    for first in range(start, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK].astype(np.float32)
        block[~np.isfinite(block).all(axis=1)] = 0
        block -= block.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        block /= np.where(lengths > 1e-6, lengths, np.inf)
        yield first, block
