"""Which members of a set are far from most of the others."""

from __future__ import annotations

import numpy as np

from medseg.values.volume import Array, BoolArray, FloatArray

FEWEST = 6  # below this nothing can be called unusual
_TO_SD = 1.4826  # the median absolute deviation of a normal distribution, times this, is its standard deviation


def robust_spread(values: Array, floor: float) -> tuple[FloatArray, FloatArray]:
    """Return median and spread of `values` (N, D) along N: the scaled median absolute deviation, at least `floor`."""
    middle = np.median(values, axis=0)
    spread = np.maximum(_TO_SD * np.median(np.abs(values - middle), axis=0), floor)
    return np.asarray(middle, np.float64), np.asarray(spread, np.float64)


def far_from_most(values: Array, floor: float, factor: float = 5.0) -> BoolArray:
    """Tell which rows of `values` (N, D) lie more than `factor` spreads from the median in any of the D columns.

    `floor` is the smallest spread that is believed, so that rounding in a uniform set is no outlier. Fewer than
    `FEWEST` rows: none. Differences that should be ratios are to be given as logarithms.
    """
    if len(values) < FEWEST:
        return np.zeros(len(values), np.bool_)
    middle, spread = robust_spread(values, floor)
    return np.asarray((np.abs(values - middle) > factor * spread).any(axis=1))
