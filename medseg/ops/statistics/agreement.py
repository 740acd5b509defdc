"""How well predicted volumes agree with true ones: bias, limits of agreement, concordance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from medseg.ops.statistics.intervals import FEWEST_SUBJECTS, Interval, mean_interval, student
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray

# The share of a normal distribution within this many standard deviations is 95 %.
_NORMAL_95 = 1.959963984540054
# Nearer to 1 than this, Fisher's transformation is taken to be at its end.
_EDGE = 1e-12


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Predicted minus true over `n` scans of `subjects` people: mean, spread, and the limits that hold 95 % of scans.

    Each comes with its 95 % interval. Spread and limits need two scans, their intervals five subjects; else None.
    `undefined` counts scans without one of the two values.
    """

    bias: float | None
    bias_ci95: Interval
    sd: float | None
    limits: Interval
    lower_ci95: Interval
    upper_ci95: Interval
    n: int
    subjects: int
    undefined: int


@dataclass(frozen=True, slots=True)
class Concordance:
    """Lin's coefficient, -1..1, 1 where every pair is equal, and its 95 % interval; None where it is not defined."""

    value: float | None
    ci95: Interval
    n: int
    subjects: int
    undefined: int


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    truth: FloatArray
    predicted: FloatArray
    subjects: Array
    undefined: int

    @property
    def people(self) -> int:
        return int(np.unique(self.subjects).size)


def bland_altman(
    truth: Sequence[float | None],
    predicted: Sequence[float | None],
    subjects: Sequence[str],
    seed: int,
    *name: str | int,
) -> BlandAltman:
    """Return bias and limits of agreement of predicted against true values of the same scans, in their own unit.

    The spread is that of a scan of a new subject: the variances between and within subjects added, which is the plain
    standard deviation where everybody has one scan. The limits' intervals count subjects, not scans, so that they are
    rather too wide than too narrow where people have several. Refuses lists of different lengths.
    Source: Bland and Altman 1999, Statistical Methods in Medical Research 8; several scans: Bland and Altman 2007,
    Journal of Biopharmaceutical Statistics 17. The bias has the interval of every other mean here: `mean_interval`.
    """
    pairs = _paired(truth, predicted, subjects)
    gaps, people = pairs.predicted - pairs.truth, pairs.people
    none: Interval = (None, None)
    if gaps.size < 2:
        bias = float(gaps[0]) if gaps.size else None
        return BlandAltman(bias, none, None, none, none, none, gaps.size, people, pairs.undefined)
    bias, spread = float(np.mean(gaps)), _spread(gaps, pairs.subjects)
    low, high = bias - _NORMAL_95 * spread, bias + _NORMAL_95 * spread
    margin = _limit_margin(spread, people)
    return BlandAltman(
        bias=bias,
        bias_ci95=mean_interval(gaps, pairs.subjects, seed, *name, either_side=True),
        sd=spread,
        limits=(low, high),
        lower_ci95=none if margin is None else (low - margin, low + margin),
        upper_ci95=none if margin is None else (high - margin, high + margin),
        n=gaps.size,
        subjects=people,
        undefined=pairs.undefined,
    )


def concordance(
    truth: Sequence[float | None], predicted: Sequence[float | None], subjects: Sequence[str]
) -> Concordance:
    """Return Lin's concordance of predicted and true values: 2 cov / (var + var + (difference of the means)^2).

    Undefined (None) where all values are one and the same number, and without two scans. The interval leaves out one
    subject at a time on Fisher's z scale; it needs five subjects, and is None where leaving one out leaves no spread.
    Refuses lists of different lengths.
    Source: Lin 1989, Biometrics 45; interval: Feng, Baumgartner and Svetnik 2014, Statistics in Medicine 33.
    """
    pairs = _paired(truth, predicted, subjects)
    value = _concordance(pairs.truth, pairs.predicted) if pairs.truth.size > 1 else None
    interval = (None, None) if value is None else _jackknifed(pairs, value)
    return Concordance(value, interval, pairs.truth.size, pairs.people, pairs.undefined)


def _paired(truth: Sequence[float | None], predicted: Sequence[float | None], subjects: Sequence[str]) -> _Pairs:
    if len(truth) != len(predicted):
        raise Refusal("agreement", f"both lists hold {len(truth)} scans", len(predicted), "give each scan both values")
    known = sorted(
        (s, t, p) for t, p, s in zip(truth, predicted, subjects, strict=True) if t is not None and p is not None
    )
    return _Pairs(
        np.array([t for _, t, _ in known], np.float64),
        np.array([p for _, _, p in known], np.float64),
        np.array([s for s, _, _ in known], object),
        len(truth) - len(known),
    )


def _spread(gaps: FloatArray, subjects: Array) -> float:
    """Return the standard deviation of a new subject's scan, by one-way analysis of variance; two values or more."""
    _, place, sizes = np.unique(subjects, return_inverse=True, return_counts=True)
    if sizes.size in (1, gaps.size):
        return float(np.std(gaps, ddof=1))
    means = np.bincount(place, gaps) / sizes
    within = float(np.sum((gaps - means[place]) ** 2)) / (gaps.size - sizes.size)
    among = float(np.sum(sizes * (means - np.mean(gaps)) ** 2)) / (sizes.size - 1)
    usual = (gaps.size - float(np.sum(sizes**2)) / gaps.size) / (sizes.size - 1)
    return sqrt(max(0.0, (among - within) / usual) + within)


def _limit_margin(spread: float, subjects: int) -> float | None:
    """Return how far a limit of agreement may be off: its standard error by Student's factor."""
    if subjects < FEWEST_SUBJECTS:
        return None
    variance = 1 / subjects + _NORMAL_95**2 / (2 * (subjects - 1))
    return student(subjects - 1) * spread * sqrt(variance)


def _concordance(truth: FloatArray, predicted: FloatArray) -> float | None:
    gap = float(np.mean(truth) - np.mean(predicted))
    apart = float(np.var(truth) + np.var(predicted)) + gap**2
    if apart == 0:
        return None
    shared = float(np.mean((truth - np.mean(truth)) * (predicted - np.mean(predicted))))
    return 2 * shared / apart


def _jackknifed(pairs: _Pairs, value: float) -> Interval:
    names = np.unique(pairs.subjects)
    if names.size < FEWEST_SUBJECTS:
        return None, None
    kept = [pairs.subjects != name for name in names]
    left_out = [_concordance(pairs.truth[keep], pairs.predicted[keep]) for keep in kept]
    if None in left_out:
        return None, None
    found = np.arctanh(np.clip(np.array([value, *left_out], np.float64), _EDGE - 1, 1 - _EDGE))
    error = sqrt((names.size - 1) / names.size * float(np.sum((found[1:] - np.mean(found[1:])) ** 2)))
    margin = student(names.size - 1) * error
    return float(np.tanh(found[0] - margin)), float(np.tanh(found[0] + margin))
