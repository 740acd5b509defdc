"""What a list of per-case values says about the next case: means with bootstrap intervals, paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from medseg.values.error import Refusal
from medseg.values.streams import stream
from medseg.values.volume import Array, FloatArray

RESAMPLES = 10_000
Interval = tuple[float | None, float | None]
# Entries of one block of resampled subjects: bounds memory at some 32 MB, and belongs to no result.
_BLOCK = 2_000_000


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean, spread and 95 % interval of `n` defined values; `undefined` counts the others.

    Without a defined value everything but the counts is None; `sd` needs two values, `ci95` two subjects.
    """

    mean: float | None
    sd: float | None
    ci95: Interval
    median: float | None
    n: int
    undefined: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Second minus first over the `n` cases where both are defined; `wins` counts cases where the second is larger.

    `p` is that of Wilcoxon's signed-rank test, 1 where no case differs, None without a case.
    """

    difference: float | None
    ci95: Interval
    p: float | None
    n: int
    wins: int


def summarise_values(values: Sequence[float | None], subjects: Sequence[str], seed: int, *name: str | int) -> Summary:
    """Summarise per-case values, None being undefined; the order of the cases does not matter.

    `subjects` are the bootstrap's clusters, one per value; `name` names its random stream.
    """
    defined, clusters = _defined(values, subjects)
    if defined.size == 0:
        return Summary(None, None, (None, None), None, 0, len(values))
    spread = float(np.std(defined, ddof=1)) if defined.size > 1 else None
    interval = mean_interval(defined, clusters, seed, *name)
    missing = len(values) - defined.size
    return Summary(float(np.mean(defined)), spread, interval, float(np.median(defined)), defined.size, missing)


def mean_interval(values: FloatArray, subjects: Array, seed: int, *name: str | int) -> Interval:
    """Return the 95 % bootstrap interval of the mean of `values` (N,), whole subjects (N,) drawn with replacement.

    10,000 resamples, bias-corrected and accelerated. Fewer than two subjects: (None, None).
    Source: BCa, Efron 1987; percentiles where the correction is not defined.
    """
    _, cluster = np.unique(subjects, return_inverse=True)
    sums: FloatArray = np.bincount(cluster, values).astype(np.float64)
    sizes = np.bincount(cluster)
    if sums.size < 2:
        return None, None
    means = _resampled_means(sums, sizes, stream(seed, "bootstrap", *name))
    mean = float(np.sum(sums) / np.sum(sizes))
    low, high = np.quantile(means, _corrected_levels(means, mean, sums, sizes))
    return float(low), float(high)


def compare_paired(
    first: Sequence[float | None], second: Sequence[float | None], subjects: Sequence[str], seed: int, *name: str | int
) -> Comparison:
    """Compare two runs on the same cases, given in the same order; a case undefined in either run is left out."""
    if len(first) != len(second):
        raise Refusal("comparison", f"both runs have the same {len(first)} cases", len(second), "score the same cases")
    gaps = [None if a is None or b is None else b - a for a, b in zip(first, second, strict=True)]
    differences, clusters = _defined(gaps, subjects)
    if differences.size == 0:
        return Comparison(None, (None, None), None, 0, 0)
    interval = mean_interval(differences, clusters, seed, *name)
    wins = int(np.count_nonzero(differences > 0))
    return Comparison(float(np.mean(differences)), interval, _signed_rank(differences), differences.size, wins)


def _defined(values: Sequence[float | None], subjects: Sequence[str]) -> tuple[FloatArray, Array]:
    """Return the defined values and their subjects, in an order that depends on nothing but themselves."""
    pairs = sorted((s, v) for v, s in zip(values, subjects, strict=True) if v is not None)
    return np.array([v for _, v in pairs], np.float64), np.array([s for s, _ in pairs], object)


def _resampled_means(sums: FloatArray, sizes: Array, generator: np.random.Generator) -> FloatArray:
    means = np.empty(RESAMPLES)
    step = max(1, _BLOCK // sums.size)
    for start in range(0, RESAMPLES, step):
        drawn = generator.integers(sums.size, size=(min(step, RESAMPLES - start), sums.size))
        means[start : start + step] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def _corrected_levels(means: FloatArray, mean: float, sums: FloatArray, sizes: Array) -> FloatArray:
    """Return the two quantile levels of the resampled means that bound 95 %, corrected for bias and skew."""
    plain = np.array([0.025, 0.975])
    below = (np.count_nonzero(means < mean) + np.count_nonzero(means <= mean)) / (2 * means.size)
    left_out = (np.sum(sums) - sums) / (np.sum(sizes) - sizes)
    pull = np.mean(left_out) - left_out
    power = float(np.sum(pull**2)) ** 1.5
    if below in (0.0, 1.0) or power == 0.0:
        return plain
    acceleration = float(np.sum(pull**3)) / (6 * power)
    bias = scipy.special.ndtri(below)
    shifted = bias + scipy.special.ndtri(plain)
    levels: FloatArray = scipy.special.ndtr(bias + shifted / (1 - acceleration * shifted))
    return levels


def _signed_rank(differences: FloatArray) -> float:
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences).pvalue)
