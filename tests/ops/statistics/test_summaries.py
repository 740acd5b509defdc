"""Statistics: intervals against scipy and by simulation, clusters, order, degenerate lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.ops.statistics.summaries import compare_paired, mean_interval, summarise_values
from medseg.values.error import Refusal
from medseg.values.streams import stream

SUBJECTS = [f"S{number:03d}" for number in range(200)]


def test_numbers_are_those_of_the_defined_values() -> None:
    found = summarise_values([0.5, None, 0.75, 1.0, None], SUBJECTS[:5], 0, "dice")
    assert (found.mean, found.sd, found.median, found.n, found.undefined) == (0.75, 0.25, 0.75, 3, 2)
    low, high = found.ci95
    assert low is not None
    assert high is not None
    assert 0.5 <= low < 0.75 < high <= 1.0


@pytest.mark.parametrize("skewed", [False, True])
def test_interval_is_scipys_bca_interval(skewed: bool) -> None:
    from scipy.stats import bootstrap

    generator = np.random.default_rng(7)
    values = generator.beta(8, 1, 60) if skewed else generator.normal(0.8, 0.1, 60)
    oracle = bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", random_state=3).confidence_interval
    found = mean_interval(values, np.array(SUBJECTS[:60]), 1, "x")
    assert found == pytest.approx((oracle.low, oracle.high), abs=0.03 * float(oracle.high - oracle.low))


def test_a_hundred_and_ten_cases_are_known_to_half_a_point() -> None:
    values = np.random.default_rng(1).normal(90.0, 1.0, 110)
    values = 90 + 2.8 * (values - values.mean()) / values.std(ddof=1)
    low, high = mean_interval(values, np.array(SUBJECTS[:110]), 0, "x")
    assert low is not None
    assert high is not None
    assert (high - low) / 2 == pytest.approx(0.52, abs=0.03)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    hits, rounds = 0, 150
    for number in range(rounds):
        values = stream(number, "coverage").beta(6, 2, 40)
        low, high = mean_interval(values, np.array(SUBJECTS[:40]), number, "x")
        assert low is not None
        assert high is not None
        hits += low <= 0.75 <= high
    assert 0.88 <= hits / rounds <= 0.99


def test_scans_of_one_subject_count_as_one_opinion() -> None:
    values = np.random.default_rng(5).normal(0.8, 0.1, 20)
    once = mean_interval(values, np.array(SUBJECTS[:20]), 2, "x")
    copied = mean_interval(np.repeat(values, 5), np.repeat(np.array(SUBJECTS[:20]), 5), 2, "x")
    assert copied == pytest.approx(once, abs=1e-12)
    apart = mean_interval(np.repeat(values, 5), np.array(SUBJECTS[:100]), 2, "x")
    assert apart[1] is not None
    assert once[1] is not None
    assert apart[1] < once[1]


@given(order=st.permutations(range(12)))
@settings(max_examples=15)
def test_order_of_cases_does_not_matter(order: list[int]) -> None:
    generator = np.random.default_rng(0)
    values: list[float | None] = [float(value) for value in generator.random(12)]
    values[3] = None
    subjects = [f"S{number // 2}" for number in range(12)]
    shuffled = summarise_values([values[i] for i in order], [subjects[i] for i in order], 4, "x")
    assert shuffled == summarise_values(values, subjects, 4, "x")


def test_seed_and_name_choose_the_resamples() -> None:
    values: list[float] = [0.1, 0.5, 0.9, 0.4, 0.8, 0.65, 0.31]
    subjects = np.array(SUBJECTS[:7])
    first = mean_interval(np.array(values), subjects, 0, "a")
    assert first == mean_interval(np.array(values), subjects, 0, "a")
    assert first != mean_interval(np.array(values), subjects, 1, "a")
    assert first != mean_interval(np.array(values), subjects, 0, "b")


def test_blocks_of_resamples_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    from medseg.ops import statistics

    values, subjects = np.random.default_rng(2).random(30), np.array(SUBJECTS[:30])
    whole = mean_interval(values, subjects, 0, "x")
    monkeypatch.setattr(statistics, "_BLOCK", 1000)
    assert mean_interval(values, subjects, 0, "x") == whole


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


def test_equal_values_have_an_interval_without_width() -> None:
    found = summarise_values([0.1] * 9, SUBJECTS[:9], 0, "x")
    assert found.ci95 == pytest.approx((0.1, 0.1), abs=1e-12)
    assert found.sd == pytest.approx(0.0, abs=1e-12)


def test_runs_are_compared_case_by_case() -> None:
    generator = np.random.default_rng(3)
    first = generator.random(40)
    second = first + generator.normal(0.02, 0.01, 40)
    found = compare_paired(list(first), list(second), SUBJECTS[:40], 0, "dice")
    assert found.difference == pytest.approx(float(np.mean(second - first)))
    assert found.ci95[0] is not None
    assert found.ci95[0] > 0
    assert found.p is not None
    assert found.p < 1e-4
    assert (found.n, found.wins) == (40, int((second > first).sum()))
    back = compare_paired(list(second), list(first), SUBJECTS[:40], 0, "dice")
    assert back.difference == pytest.approx(-float(np.mean(second - first)))
    assert back.p == pytest.approx(found.p)


def test_equal_runs_differ_by_nothing() -> None:
    found = compare_paired([0.5, 0.6, None], [0.5, 0.6, 0.7], SUBJECTS[:3], 0, "dice")
    assert (found.difference, found.p, found.n, found.wins) == (0.0, 1.0, 2, 0)
    assert compare_paired([None], [0.3], SUBJECTS[:1], 0, "dice").p is None


def test_runs_of_different_cases_are_refused() -> None:
    with pytest.raises(Refusal, match="comparison: both runs have the same 1 cases, got 2; score the same cases"):
        compare_paired([0.5], [0.5, 0.6], SUBJECTS[:1], 0, "dice")
