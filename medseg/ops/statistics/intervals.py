"""The 95 % interval of a mean: whole subjects drawn with replacement, each draw measured in its own standard error."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from medseg.values.streams import stream
from medseg.values.volume import Array, FloatArray

RESAMPLES = 10_000
# With fewer subjects an interval promises what it cannot keep: see benchmarks/coverage.py.
FEWEST_SUBJECTS = 5
Interval = tuple[float | None, float | None]
# Entries of one block of resampled subjects: bounds memory at some 32 MB, and belongs to no result.
_BLOCK = 2_000_000
# A skewed sample of n lacks the rarest values of its tail: the longer side of the interval is laid out further by 10 in
# n and the shorter one drawn in by 1 in n, in full from where the two differ by a tenth of their sum. Below 20 it stays
# at what it is there: bootstrap-t is long by itself then, and more would be all width. These numbers were chosen by
# simulation, see benchmarks/coverage.py.
_FURTHER = 10.0
_NEARER = 1.0
_LEANING = 0.1
_FEW = 20


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Values by subject: `centred` (G,), the sum over a subject's values less its share of the mean; `sizes` (G,)."""

    mean: float
    centred: FloatArray
    sizes: FloatArray

    @property
    def squares(self) -> float:
        """Sum of the squared centred sums."""
        return float(np.sum(self.centred**2))

    @property
    def error(self) -> float:
        """Standard error of the mean, with subjects as the unit of sampling."""
        count = self.centred.size
        return sqrt(self.squares * count / (count - 1)) / float(np.sum(self.sizes))


def mean_interval(
    values: FloatArray,
    subjects: Array,
    seed: int,
    *name: str | int,
    within: tuple[float, float] = (-inf, inf),
    either_side: bool = False,
) -> Interval:
    """Return the 95 % interval of the mean of `values` (N,); whole `subjects` (N,) are drawn with replacement.

    10,000 resamples, studentised: the spread of (mean - sample's mean) / standard error over the resamples, laid around
    the sample's mean, and shifted further to the side to which it leans.  either_side: for differences and errors,
    which may be large both ways; there no end is nearer than Student's instead, because a single large one makes the
    bootstrap lean away from what was not drawn.
    Cut at `within`, the bounds of the measure; without width where all subjects have the same mean. Fewer than five
    subjects: (None, None), because no method covers well with so few.
    Source: bootstrap-t, Efron and Tibshirani 1993, chapter 12.5, with the linearised variance of a ratio of sums; the
    shift is ours, of the order 1/n that bootstrap-t leaves open (Hall 1988), see benchmarks/coverage.py.
    """
    groups = cluster(values, subjects)
    count = groups.centred.size
    if count < FEWEST_SUBJECTS:
        return None, None
    # Equal values leave nothing but rounding.
    if groups.error <= 1e-12 * max(abs(groups.mean), 1e-300):
        return groups.mean, groups.mean
    below, above = _lengths(groups, stream(seed, "bootstrap", *name))
    if either_side:
        below, above = max(below, student(count - 1)), max(above, student(count - 1))
    else:
        below, above = _shifted(below, above, count)
    lowest, highest = within
    ends = groups.mean - below * groups.error, groups.mean + above * groups.error
    return min(max(ends[0], lowest), highest), min(max(ends[1], lowest), highest)


def cluster(values: FloatArray, subjects: Array) -> Clusters:
    """Gather values (N,) by subject (N,); at least one."""
    _, place = np.unique(subjects, return_inverse=True)
    sizes = np.bincount(place).astype(np.float64)
    sums = np.bincount(place, values)
    mean = float(np.sum(sums) / np.sum(sizes))
    return Clusters(mean, sums - mean * sizes, sizes)


def _lengths(groups: Clusters, generator: np.random.Generator) -> tuple[float, float]:
    """Return how far the bootstrap-t interval reaches below and above the mean, in standard errors."""
    shifts, errors = resample(groups, generator)
    low, high = np.quantile(shifts / errors, (0.025, 0.975))
    return float(high), -float(low)


def _shifted(below: float, above: float, subjects: int) -> tuple[float, float]:
    lean = (below - above) / (below + above)
    weight = min(1.0, abs(lean) / _LEANING) / max(subjects, _FEW)
    longer, shorter = 1 + _FURTHER * weight, 1 - _NEARER * weight
    return (below * longer, above * shorter) if lean > 0 else (below * shorter, above * longer)


def student(freedom: int) -> float:
    """Return the factor of Student's t that bounds 95 % with so many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def resample(groups: Clusters, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return how far each of 10,000 resamples' means lies from the sample's, and its standard error, both (10000,).

    The squares of a resample add up to those of one usual subject at least: where nearly all values are equal, many
    resamples have no spread of their own, and the interval would have no end.
    """
    count = groups.centred.size
    shifts, errors = np.empty(RESAMPLES), np.empty(RESAMPLES)
    step = max(1, _BLOCK // count)
    for start in range(0, RESAMPLES, step):
        drawn = generator.integers(count, size=(min(step, RESAMPLES - start), count))
        block = slice(start, start + step)
        shifts[block], errors[block] = _measure(groups, drawn)
    return shifts, errors


def _measure(groups: Clusters, drawn: Array) -> tuple[FloatArray, FloatArray]:
    """Return shift and error of the resamples that `drawn` (R, G) names."""
    count = groups.centred.size
    centred = groups.centred[drawn]
    squares = np.einsum("rg,rg->r", centred, centred)
    if np.all(groups.sizes == groups.sizes[0]):
        total: FloatArray | float = float(np.sum(groups.sizes))
        shift = centred.sum(axis=1) / total
        squares -= shift**2 * groups.sizes[0] * total
    else:
        sizes = groups.sizes[drawn]
        total = sizes.sum(axis=1)
        shift = centred.sum(axis=1) / total
        squares -= 2 * shift * np.einsum("rg,rg->r", centred, sizes)
        squares += shift**2 * np.einsum("rg,rg->r", sizes, sizes)
    least = groups.squares / (count - 1)
    return shift, np.sqrt(np.maximum(squares, least) * count / (count - 1)) / total
