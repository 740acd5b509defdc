"""Holm: against the procedure step by step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.ops.statistics.holm import holm
from medseg.values.error import Refusal

P_VALUES = st.lists(st.floats(0, 1), max_size=8)


def rejected(p_values: list[float], level: float) -> set[int]:
    """Go through the p-values from the smallest on, and stop at the first that is not small enough."""
    found: set[int] = set()
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    for done, place in enumerate(order):
        if p_values[place] * (len(order) - done) > level:
            break
        found.add(place)
    return found


@given(P_VALUES, st.floats(0.001, 0.999))
def test_adjusted_p_values_reject_what_the_procedure_rejects(p_values: list[float], level: float) -> None:
    adjusted = holm(p_values)
    assert {place for place, p in enumerate(adjusted) if p is not None and p <= level} == rejected(p_values, level)


def test_a_known_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_what_was_not_tested_does_not_count() -> None:
    assert holm([0.02, None, 0.03, None]) == [0.04, None, 0.04, None]
    assert holm([None]) == [None]
    assert holm([]) == []


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(Refusal, match=r"p-values: each lies within 0\.\.1, got .*; leave out what was not tested"):
        holm([0.5, value])
