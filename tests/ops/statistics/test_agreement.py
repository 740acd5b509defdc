"""Agreement of volumes: against literal formulas and published numbers, clusters, degenerate lists."""

from __future__ import annotations

import numpy as np
import pytest

from medseg.ops.statistics.agreement import bland_altman, concordance
from medseg.ops.statistics.intervals import mean_interval
from medseg.values.error import Refusal

SUBJECTS = [f"S{number:03d}" for number in range(200)]
# Peak flow in l/min of 17 people by a Wright meter and a mini meter: Bland and Altman, Lancet 1986, table 1.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_limits_are_those_of_the_paper() -> None:
    """It finds bias -2.1, SD 38.8 and limits -79.7 and 75.5 (with 2 SD instead of 1.96)."""
    found = bland_altman(MINI, WRIGHT, SUBJECTS[:17], 0, "x")
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.limits == pytest.approx((-2.12 - 1.96 * 38.77, -2.12 + 1.96 * 38.77), abs=0.05)
    assert (found.n, found.subjects, found.undefined) == (17, 17, 0)
    assert found.bias_ci95 == mean_interval(
        np.array(WRIGHT, float) - np.array(MINI, float), np.array(SUBJECTS[:17]), 0, "x", either_side=True
    )


def test_intervals_of_the_limits_are_those_of_the_formula() -> None:
    found = bland_altman(MINI, WRIGHT, SUBJECTS[:17], 0, "x")
    assert found.sd is not None
    margin = 2.1199 * found.sd * np.sqrt(1 / 17 + 1.96**2 / 32)
    for limit, interval in zip(found.limits, (found.lower_ci95, found.upper_ci95), strict=True):
        assert limit is not None
        assert interval == pytest.approx((limit - margin, limit + margin), rel=1e-3)


def test_limits_hold_95_percent_of_new_scans_of_new_subjects() -> None:
    draw = np.random.default_rng(4)

    def errors(subjects: int) -> np.ndarray:
        return draw.normal(1.0, 3.0, (subjects, 1)) + draw.normal(0, 2.0, (subjects, 2))

    known = errors(400).ravel()
    truth = draw.uniform(10, 90, 800)
    people = [f"P{number // 2}" for number in range(800)]
    low, high = bland_altman(list(truth), list(truth + known), people, 0, "x").limits
    assert low is not None
    assert high is not None
    new = errors(20_000)
    assert np.mean((new >= low) & (new <= high)) == pytest.approx(0.95, abs=0.015)


def test_several_scans_of_a_subject_widen_what_is_not_known() -> None:
    draw = np.random.default_rng(6)
    truth = draw.uniform(10, 90, 20)
    error = np.repeat(draw.normal(0, 3, 10), 2)
    apart = bland_altman(list(truth), list(truth + error), SUBJECTS[:20], 0, "x")
    together = bland_altman(list(truth), list(truth + error), [s for s in SUBJECTS[:10] for _ in (0, 1)], 0, "x")
    for name in ("bias_ci95", "lower_ci95", "upper_ci95"):
        assert np.diff(getattr(together, name)) > np.diff(getattr(apart, name))
    assert together.subjects == 10


def test_undefined_volumes_are_counted() -> None:
    found = bland_altman([1.0, 2.0, None, 4.0], [1.5, None, 3.0, 4.5], SUBJECTS[:4], 0, "x")
    assert (found.n, found.undefined, found.bias, found.sd) == (2, 2, 0.5, 0.0)
    assert (found.bias_ci95, found.lower_ci95) == ((None, None), (None, None))
    assert found.limits == (0.5, 0.5)


@pytest.mark.parametrize(("truth", "bias", "n"), [([], None, 0), ([2.0], 1.0, 1)])
def test_without_two_scans_there_are_no_limits(truth: list[float], bias: float | None, n: int) -> None:
    found = bland_altman(truth, [value + 1 for value in truth], SUBJECTS[:n], 0, "x")
    assert (found.bias, found.n, found.sd, found.limits) == (bias, n, None, (None, None))


def lin(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float, float]:
    """Return Lin's coefficient and its interval by the asymptotic formula of 1989, corrected in 2000."""
    n, r = truth.size, float(np.corrcoef(truth, predicted)[0, 1])
    u2 = (truth.mean() - predicted.mean()) ** 2 / (truth.std() * predicted.std())
    shared = np.mean((truth - truth.mean()) * (predicted - predicted.mean()))
    c = 2 * shared / (truth.var() + predicted.var() + (truth.mean() - predicted.mean()) ** 2)
    inner = (1 - r**2) * c**2 / ((1 - c**2) * r**2) + 2 * c**3 * (1 - c) * u2 / (r * (1 - c**2) ** 2)
    inner -= c**4 * u2**2 / (2 * r**2 * (1 - c**2) ** 2)
    margin = 1.96 * np.sqrt(inner / (n - 2))
    return c, np.tanh(np.arctanh(c) - margin), np.tanh(np.arctanh(c) + margin)


def test_concordance_is_lins_and_its_interval_that_of_the_asymptotic_formula() -> None:
    draw = np.random.default_rng(3)
    truth = draw.normal(50, 15, 150)
    predicted = 0.9 * truth + 3 + draw.normal(0, 6, 150)
    value, low, high = lin(truth, predicted)
    found = concordance(list(truth), list(predicted), SUBJECTS[:150])
    assert found.value == pytest.approx(value)
    assert found.ci95 == pytest.approx((low, high), abs=0.012)


def test_concordance_covers_the_truth_about_as_often_as_it_says() -> None:
    hits, rounds, draw = 0, 200, np.random.default_rng(12)
    for _ in range(rounds):
        truth = draw.normal(0, 1, 25)
        predicted = truth + draw.normal(0, 0.5, 25)
        low, high = concordance(list(truth), list(predicted), SUBJECTS[:25]).ci95
        assert low is not None
        assert high is not None
        hits += low <= 2 / (1 + 1.25) <= high
    assert 0.89 <= hits / rounds <= 0.995


def test_concordance_of_equal_lists_is_one_and_of_mirrored_ones_minus_one() -> None:
    values = [1.0, 2.0, 4.0, 8.0, 9.0]
    same = concordance(values, values, SUBJECTS[:5])
    assert same.value == pytest.approx(1)
    assert same.ci95 == pytest.approx((1, 1), abs=1e-9)
    centred = [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert concordance(centred, centred[::-1], SUBJECTS[:5]).value == pytest.approx(-1)


def test_a_shift_costs_concordance_though_correlation_stays_perfect() -> None:
    values = np.arange(10.0)
    found = concordance(list(values), list(values + 3), SUBJECTS[:10])
    assert found.value == pytest.approx(2 * values.var() / (2 * values.var() + 9))


def test_concordance_knows_copies_of_a_subject() -> None:
    draw = np.random.default_rng(9)
    truth = draw.normal(0, 1, 12)
    predicted = truth + draw.normal(0, 0.4, 12)
    once = concordance(list(truth), list(predicted), SUBJECTS[:12])
    copied = concordance(list(np.repeat(truth, 3)), list(np.repeat(predicted, 3)), list(np.repeat(SUBJECTS[:12], 3)))
    assert copied.value == pytest.approx(once.value)
    assert copied.ci95 == pytest.approx(once.ci95)


def test_concordance_of_nothing_or_of_one_number_is_undefined() -> None:
    assert concordance([], [], []).value is None
    assert concordance([1.0], [1.0], SUBJECTS[:1]).value is None
    assert concordance([2.0] * 6, [2.0] * 6, SUBJECTS[:6]).value is None
    flat = concordance([2.0] * 6, [1.0, 2.0, 3.0, 2.5, 2.0, 1.0], SUBJECTS[:6])
    assert flat.value == 0
    alone = concordance([1.0] * 5 + [9.0], [1.0] * 5 + [8.0], SUBJECTS[:6])
    assert alone.value is not None
    assert alone.ci95 == (None, None)
    assert concordance([1.0, 2.0, None], [1.0, None, 2.0], SUBJECTS[:3]).undefined == 2


def test_four_subjects_have_no_interval() -> None:
    assert concordance([1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.0, 3.5], SUBJECTS[:4]).ci95 == (None, None)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(Refusal, match="agreement: both lists hold 1 scans, got 2; give each scan both values"):
        concordance([1.0], [1.0, 2.0], ["A"])


def test_the_spread_of_people_with_unlike_numbers_of_scans_is_that_of_the_analysis_of_variance() -> None:
    """By hand: within 4/3, among 41/12, usual number of scans (6 - 14/6) / 2 = 11/6, so 4/3 + (41/12 - 4/3) * 6/11."""
    errors, people = [1.0, 2.0, 3.0, 5.0, 2.0, 4.0], ["A", "A", "A", "B", "C", "C"]
    found = bland_altman([10.0] * 6, [10.0 + error for error in errors], people, 0, "x")
    assert found.sd == pytest.approx(np.sqrt(4 / 3 + (41 / 12 - 4 / 3) * 6 / 11), rel=1e-12)
