"""What is usual: groups with gaps between them, outliers that vouch for nobody, and little from few scans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.ops.guard_usual import Tolerance, Usual, usual_of

DECADES = Tolerance(floor=0.05, gap=0.3, gross=1.5)
NUMBERS = st.floats(-9, 9, allow_nan=False, width=32)


@given(st.lists(NUMBERS, min_size=6, max_size=60))
def test_nine_in_ten_training_scans_are_usual_and_their_order_does_not_matter(values: list[float]) -> None:
    usual = usual_of(np.asarray(values), DECADES)
    unusual = sum(usual.excess(float(np.float32(value))) != 0 for value in values)
    assert unusual <= max(1, len(values) // 10)
    assert usual_of(np.asarray(values[::-1]), DECADES) == usual
    assert Usual.model_validate_json(usual.model_dump_json()) == usual


@given(st.lists(NUMBERS, min_size=1, max_size=40), NUMBERS)
def test_the_excess_is_the_distance_to_the_nearest_scan_of_a_group(values: list[float], value: float) -> None:
    usual = usual_of(np.asarray(values), DECADES)
    excess = usual.excess(value)
    if excess:
        nearest = min(abs(value - edge) for span in usual.spans for edge in (span.low, span.high))
        assert abs(excess) == nearest >= DECADES.floor * 0.99
        assert any(value - excess == pytest.approx(edge) for span in usual.spans for edge in (span.low, span.high))


def test_scans_of_two_units_are_two_groups_and_a_thousand_times_is_neither() -> None:
    rng = np.random.default_rng(0)
    small, large = rng.normal(2.0, 0.08, 60), rng.normal(5.6, 0.05, 12)
    usual = usual_of(np.concatenate([small, large]), DECADES)
    assert len(usual.spans) == 2
    new = rng.normal(2.0, 0.08, 200)
    assert sum(usual.excess(value) != 0 for value in new) <= 4
    assert all(usual.excess(value + 3) != 0 for value in new), "a thousand times as much lies between the two groups"


def test_one_outlier_vouches_for_nobody() -> None:
    values = np.r_[np.random.default_rng(1).normal(1.0, 0.05, 20), 4.0]
    usual = usual_of(values, DECADES)
    assert usual.excess(4.0) != 0
    assert usual.excess(1.08) == 0


def test_a_heavy_tail_widens_what_is_usual() -> None:
    rng = np.random.default_rng(2)
    light, heavy = rng.normal(0, 0.1, 40), 0.1 * rng.standard_t(2, 40)
    assert usual_of(light, DECADES).excess(0.9) != 0
    assert usual_of(heavy, DECADES).excess(0.9) == 0


def test_values_that_are_all_the_same_allow_the_floor() -> None:
    usual = usual_of(np.zeros(30), DECADES)
    assert usual.excess(0.04) == 0
    assert usual.excess(0.3) == pytest.approx(0.3)
    assert usual.excess(-0.06) == pytest.approx(-0.06)


@pytest.mark.parametrize("count", [1, 5])
def test_few_scans_know_only_what_is_gross(count: int) -> None:
    usual = usual_of(np.zeros(count), DECADES)
    assert usual.excess(1.4) == 0
    assert usual.excess(3.0) == 3.0
