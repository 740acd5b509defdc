"""Summaries: numbers of the defined values, counts of the others, no influence of order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.ops.statistics.intervals import mean_interval
from medseg.ops.statistics.kinds import kind_of
from medseg.ops.statistics.summaries import summarise_values

SUBJECTS = [f"S{number:03d}" for number in range(200)]


def test_numbers_are_those_of_the_defined_values() -> None:
    found = summarise_values([0.5, None, 0.75, 1.0, None], SUBJECTS[:5], 0, "dice")
    assert (found.mean, found.sd, found.median, found.n, found.undefined) == (0.75, 0.25, 0.75, 3, 2)
    assert found.ci95 == (None, None)


def test_interval_is_that_of_the_mean_within_the_bounds_of_the_measure() -> None:
    values = [0.99, 1.0, 1.0, 0.2, 0.98, 1.0, 1.0]
    shares, errors = (
        mean_interval(np.array(values), np.array(SUBJECTS[:7]), 3, "x", either_side=either) for either in (False, True)
    )
    assert shares[1] is not None
    assert shares[1] > 1
    assert summarise_values(values, SUBJECTS[:7], 3, "x", kind=kind_of("dice")).ci95 == (shares[0], 1.0)
    assert summarise_values(values, SUBJECTS[:7], 3, "x", kind=kind_of("volume_error_ml")).ci95 == errors
    assert shares != errors


@given(order=st.permutations(range(14)))
@settings(max_examples=15, deadline=None)
def test_order_of_cases_does_not_matter(order: list[int]) -> None:
    generator = np.random.default_rng(0)
    values: list[float | None] = [float(value) for value in generator.random(14)]
    values[3] = None
    subjects = [f"S{number // 2}" for number in range(14)]
    shuffled = summarise_values([values[i] for i in order], [subjects[i] for i in order], 4, "x")
    assert shuffled == summarise_values(values, subjects, 4, "x")


def test_nothing_defined_is_counted_and_nothing_else() -> None:
    found = summarise_values([None, None], SUBJECTS[:2], 0, "x")
    assert (found.mean, found.sd, found.ci95, found.median) == (None, None, (None, None), None)
    assert (found.n, found.undefined) == (0, 2)
    assert summarise_values([], [], 0, "x").n == 0


def test_one_subject_has_a_mean_and_no_interval() -> None:
    found = summarise_values([0.5], ["A"], 0, "x")
    assert (found.mean, found.sd, found.ci95, found.median, found.n) == (0.5, None, (None, None), 0.5, 1)
    twice = summarise_values([0.5, 0.75], ["A", "A"], 0, "x")
    assert twice.ci95 == (None, None)
    assert twice.sd is not None
