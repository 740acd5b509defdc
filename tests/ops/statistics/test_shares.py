"""Shares: Wilson's interval, all or nothing, things of one subject."""

from __future__ import annotations

import pytest

from medseg.ops.statistics.shares import share_interval

SUBJECTS = [f"S{number:03d}" for number in range(100)]


@pytest.mark.parametrize(("part", "whole"), [(0, 3), (1, 1), (9, 10), (20, 20), (37, 80)])
def test_interval_of_independent_things_is_wilsons(part: int, whole: int) -> None:
    from scipy.stats import binomtest

    oracle = binomtest(part, whole).proportion_ci(method="wilson")
    found = share_interval([True] * part + [False] * (whole - part), SUBJECTS[:whole])
    assert found == pytest.approx((oracle.low, oracle.high), abs=1e-9)


def test_copies_of_a_subject_say_nothing_new() -> None:
    flags = [True, False, True, True, False, True]
    copied = share_interval([flag for flag in flags for _ in range(4)], [s for s in SUBJECTS[:6] for _ in range(4)])
    assert copied == pytest.approx(share_interval(flags, SUBJECTS[:6]))
    assert share_interval([True] * 12, ["A"] * 6 + ["B"] * 6) == share_interval([True, True], ["A", "B"])


def test_subjects_with_the_same_share_leave_each_thing_its_own() -> None:
    assert share_interval([True, False] * 8, [s for s in SUBJECTS[:8] for _ in (0, 1)]) == pytest.approx(
        share_interval([True, False] * 8, SUBJECTS[:16])
    )


def test_a_share_of_nothing_has_no_interval() -> None:
    assert share_interval([], []) == (None, None)
