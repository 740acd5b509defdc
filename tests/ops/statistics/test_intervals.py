"""Intervals: against a literal bootstrap-t and Student's, by simulation, clusters, bounds, degenerate lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medseg.ops.statistics import intervals
from medseg.ops.statistics.intervals import FEWEST_SUBJECTS, cluster, mean_interval, resample
from medseg.values.streams import stream

SUBJECTS = np.array([f"S{number:03d}" for number in range(200)])


def ends(values: np.ndarray, subjects: np.ndarray | None = None, seed: int = 0, **more: Any):
    low, high = mean_interval(values, SUBJECTS[: len(values)] if subjects is None else subjects, seed, "x", **more)
    assert low is not None
    assert high is not None
    return low, high


def literal(values: np.ndarray, subjects: np.ndarray, resamples: int) -> tuple[float, float]:
    """Follow the recipe subject by subject: draw, mean, error of the mean, quantiles of the ratio, the longer side."""
    generator, people = np.random.default_rng(11), sorted(set(subjects))
    own = {name: values[subjects == name] for name in people}

    def measure(names: list[str], least: float) -> tuple[float, float]:
        every = np.concatenate([own[name] for name in names])
        mean, count = every.mean(), len(names)
        rest = sum(float((own[name] - mean).sum()) ** 2 for name in names)
        return mean, np.sqrt(max(rest, least) * count / (count - 1)) / every.size

    mean, error = measure(people, 0.0)
    rest = (error * values.size) ** 2 * (len(people) - 1) / len(people)
    ratios = []
    for _ in range(resamples):
        found, wide = measure(list(generator.choice(people, len(people))), rest / (len(people) - 1))
        ratios.append((found - mean) / wide)
    low, high = np.quantile(ratios, (0.025, 0.975))
    below, above = high, -low
    weight = min(1, abs(below - above) / (below + above) / 0.1) / max(20, len(people))
    longer, shorter = 1 + 10 * weight, 1 - weight
    below, above = (below * longer, above * shorter) if below > above else (below * shorter, above * longer)
    return mean - below * error, mean + above * error


@pytest.mark.parametrize("uneven", [False, True])
def test_interval_is_that_of_the_recipe_followed_by_hand(uneven: bool) -> None:
    values = np.random.default_rng(7).beta(8, 1, 24)
    subjects = np.array(["ABCDEFGHIJ"[(number * number) % 10] for number in range(24)]) if uneven else SUBJECTS[:24]
    oracle = literal(values, subjects, 4000)
    assert ends(values, subjects) == pytest.approx(oracle, abs=0.08 * (oracle[1] - oracle[0]))


def test_normal_values_have_nearly_students_interval() -> None:
    values = np.random.default_rng(1).normal(90.0, 1.0, 110)
    values = 90 + 2.8 * (values - values.mean()) / values.std(ddof=1)
    low, high = ends(values)
    assert (high - low) / 2 == pytest.approx(1.982 * 2.8 / np.sqrt(110), rel=0.06)
    assert (low + high) / 2 == pytest.approx(90, abs=0.05)


def test_differences_are_never_surer_than_student() -> None:
    """One large difference to one side makes the bootstrap lean to that side: the other end stays with Student."""
    values = np.append(np.random.default_rng(2).normal(0.01, 0.02, 19), 0.4)
    low, high = ends(values, either_side=True)
    margin = 2.093024 * values.std(ddof=1) / np.sqrt(20)
    plain = ends(values)
    assert high >= values.mean() + margin - 1e-9
    assert low == pytest.approx(values.mean() - margin)
    assert plain[0] > low


def test_a_tail_on_the_left_makes_room_on_the_left() -> None:
    values = 1 - np.random.default_rng(3).exponential(0.1, 40)
    low, high = ends(values)
    assert values.mean() - low > 1.3 * (high - values.mean())


@pytest.mark.parametrize(("subjects", "scans"), [(20, 1), (20, 2), (60, 1)])
def test_interval_covers_the_truth_about_as_often_as_it_says(subjects: int, scans: int) -> None:
    """A fast version of benchmarks/coverage.py: Dice with misses, several scans of a subject alike."""
    hits, rounds = 0, 250
    truth = 0.05 / 31 + 0.95 * 8 / 9.5
    people = np.repeat(SUBJECTS[:subjects], scans)
    for number in range(rounds):
        draw = stream(number, "coverage", subjects, scans)
        missed = draw.random((subjects, 1)) < 0.05
        base = np.where(missed, draw.beta(1, 30, (subjects, 1)), draw.beta(8, 1.5, (subjects, 1)))
        values = (base + 0.05 * draw.standard_normal((subjects, scans))).ravel()
        low, high = ends(values, people, number)
        hits += low <= truth <= high
    assert 0.89 <= hits / rounds <= 0.995


def test_scans_of_one_subject_count_as_one_opinion() -> None:
    values = np.random.default_rng(5).normal(0.8, 0.1, 20)
    once = ends(values)
    copied = ends(np.repeat(values, 5), np.repeat(SUBJECTS[:20], 5))
    assert copied == pytest.approx(once, abs=1e-12)
    apart = ends(np.repeat(values, 5), SUBJECTS[:100])
    assert apart[1] < once[1]


def test_a_subject_weighs_as_much_as_it_has_scans() -> None:
    values = np.array([0.5, 0.7, 0.9, 0.6, 0.8, 0.4, 0.3])
    groups = cluster(values, np.array(list("AABCDEF")))
    assert groups.mean == pytest.approx(values.mean())
    assert groups.sizes.tolist() == [2, 1, 1, 1, 1, 1]
    assert groups.centred.sum() == pytest.approx(0, abs=1e-12)


def test_seed_and_name_choose_the_resamples() -> None:
    values, subjects = np.array([0.1, 0.5, 0.9, 0.4, 0.8, 0.65, 0.31]), SUBJECTS[:7]
    first = mean_interval(values, subjects, 0, "a")
    assert first == mean_interval(values, subjects, 0, "a")
    assert first != mean_interval(values, subjects, 1, "a")
    assert first != mean_interval(values, subjects, 0, "b")


def test_blocks_of_resamples_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    values, subjects = np.random.default_rng(2).random(30), np.arange(30) // 2 % 11
    whole = mean_interval(values, subjects, 0, "x")
    monkeypatch.setattr(intervals, "_BLOCK", 1000)
    assert mean_interval(values, subjects, 0, "x") == whole


def test_turned_round_the_interval_is_too() -> None:
    values = np.random.default_rng(8).beta(5, 1, 15)
    low, high = ends(values)
    assert ends(-values) == pytest.approx((-high, -low), abs=1e-12)


def test_units_scale_the_interval() -> None:
    values = np.random.default_rng(9).lognormal(0, 1, 12)
    assert ends(1000 * values + 5) == pytest.approx([1000 * end + 5 for end in ends(values)])


def test_one_value_apart_from_all_others_leaves_the_interval_finite() -> None:
    """Two in five resamples hold nothing but equal values."""
    low, high = ends(np.array([1.0] * 19 + [0.0]), within=(0, 1))
    assert 0.55 < low < 0.9
    assert 0.95 < high <= 1.0
    errors = resample(cluster(np.array([1.0] * 19 + [0.0]), SUBJECTS[:20]), stream(0, "x"))[1]
    assert (errors > 0).all()


def test_interval_stays_within_the_bounds_of_the_measure() -> None:
    values = np.array([0.99, 1.0, 1.0, 0.2, 0.98, 1.0, 1.0])
    free, cut = ends(values), ends(values, within=(0, 1))
    assert free[1] > 1
    assert cut == (max(free[0], 0.0), 1.0)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e6])
def test_equal_values_have_an_interval_without_width(value: float) -> None:
    assert ends(np.full(9, value)) == pytest.approx((value, value), abs=1e-9)


@pytest.mark.parametrize("subjects", range(FEWEST_SUBJECTS))
def test_too_few_subjects_have_no_interval(subjects: int) -> None:
    if not subjects:
        subjects = 1
    values = np.random.default_rng(0).random(3 * subjects)
    assert mean_interval(values, np.repeat(SUBJECTS[:subjects], 3), 0, "x") == (None, None)


def test_a_resample_of_equal_values_has_the_error_of_one_usual_subject() -> None:
    """Nine times 0 and once 1: squares about the mean are 0.9, a usual subject's ninth part of that is 0.1."""
    groups = cluster(np.array([0.0] * 9 + [1.0]), SUBJECTS[:10])
    shifts, errors = resample(groups, stream(0, "equal"))
    without = np.isclose(shifts, -0.1)
    assert without.any()
    assert errors[without] == pytest.approx(np.sqrt(0.1 * 10 / 9) / 10, rel=1e-9)
    assert errors.min() == pytest.approx(errors[without].min(), rel=1e-9)
