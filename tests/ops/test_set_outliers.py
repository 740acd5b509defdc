from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from medseg.ops.set_outliers import FEWEST, far_from_most, robust_spread


def test_spread_is_scipys_scaled_median_absolute_deviation() -> None:
    values = np.random.default_rng(0).normal(3, 2, (101, 4))
    middle, spread = robust_spread(values, 1e-9)
    assert middle == pytest.approx(np.median(values, axis=0))
    assert spread == pytest.approx(median_abs_deviation(values, axis=0, scale="normal"), rel=1e-4)


def test_one_stranger_among_many_is_found_whatever_the_unit() -> None:
    spacing = np.tile([1.0, 1.0, 1.0], (40, 1)) * np.random.default_rng(0).normal(1, 1e-4, (40, 3))
    spacing[7, 2] = 5.0
    for unit in (1.0, 1e-3, 25.4):
        assert np.flatnonzero(far_from_most(np.log(spacing * unit), 0.06)).tolist() == [7]


@given(st.integers(FEWEST, 60), st.floats(0.2, 5.0))
def test_rounding_in_a_uniform_set_is_no_outlier(scans: int, spacing: float) -> None:
    values = np.full((scans, 3), spacing)
    values[0] *= 1.01
    assert not far_from_most(np.log(values), 0.06).any()


def test_two_protocols_of_equal_share_have_no_outlier() -> None:
    values = np.log(np.repeat([[1.0], [3.0]], 10, axis=0))
    assert not far_from_most(values, 0.06).any()


def test_a_handful_says_nothing() -> None:
    values = np.zeros((FEWEST - 1, 1))
    values[0] = 100.0
    assert not far_from_most(values, 0.1).any()
    assert far_from_most(np.vstack([values, [[0.0]]]), 0.1).tolist() == [True] + [False] * (FEWEST - 1)
