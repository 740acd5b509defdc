"""Whether the probabilities of a region mean what they say, voxel by voxel: ECE, Brier score, and the bins of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from medseg.values.volume import Array, BoolArray, FloatArray

BINS = 15


@dataclass(frozen=True, slots=True)
class Certainty:
    """Voxels by the probability that they belong to a region: bin i holds those above i/15 and up to (i+1)/15.

    voxels: how many there are in each bin (0 lies in the first).  inside: how many of them truly belong to the region.
    probability: the sum of their probabilities.  squared: the sum of (probability - truth) squared over all bins.
    Everything is a sum, so scans are pooled by adding.
    """

    voxels: tuple[int, ...]
    inside: tuple[int, ...]
    probability: tuple[float, ...]
    squared: float

    @property
    def ece(self) -> float | None:
        """Expected calibration error: the mean over voxels of |share inside - mean probability| of their bin.

        None without a voxel. Source: Naeini et al. 2015, on the probability of the region and not of the winner.
        """
        gaps = np.abs(np.subtract(self.inside, self.probability)).sum()
        return float(gaps) / sum(self.voxels) if any(self.voxels) else None

    @property
    def brier(self) -> float | None:
        """Mean of (probability - truth) squared over voxels, None without one. Source: Brier 1950."""
        return self.squared / sum(self.voxels) if any(self.voxels) else None


def measure_certainty(probability: FloatArray, truth: BoolArray, judged: BoolArray) -> Certainty:
    """Sort the `judged` voxels into bins by the `probability` of a region; arrays of one shape.

    Judge voxels of the body alone: any amount of air around it, which nobody doubts, makes every network look
    calibrated.
    """
    found, inside = probability[judged], truth[judged]
    doubted = found > 0
    surely_out = found.size - int(np.count_nonzero(doubted))
    missed = int(np.count_nonzero(inside)) - int(np.count_nonzero(inside[doubted]))
    values, answers = found[doubted].astype(np.float64), inside[doubted]
    bins = np.clip(np.ceil(values * BINS).astype(np.int64) - 1, 0, BINS - 1)
    voxels = _counts(bins)
    hits = _counts(bins[answers])
    voxels[0] += surely_out
    hits[0] += missed
    sums = np.bincount(bins, weights=values, minlength=BINS)
    squared = float(((values - answers) ** 2).sum()) + missed
    return Certainty(tuple(voxels.tolist()), tuple(hits.tolist()), tuple(sums.tolist()), squared)


def pooled_certainty(parts: Iterable[Certainty]) -> Certainty | None:
    """Add up the bins of several scans, None of no scan: every voxel counts the same, so large scans count more."""
    found = list(parts)
    if not found:
        return None
    voxels, inside = (
        tuple(np.sum([getattr(one, name) for one in found], axis=0).tolist()) for name in ("voxels", "inside")
    )
    probability = tuple(np.sum([one.probability for one in found], axis=0).tolist())
    return Certainty(voxels, inside, probability, sum(one.squared for one in found))


def _counts(bins: Array) -> Array:
    return np.bincount(bins, minlength=BINS)
