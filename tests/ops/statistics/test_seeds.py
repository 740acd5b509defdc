"""What seeds alone do: against the analysis of variance, by simulation, folds with other cases, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.ops.statistics.seeds import SeededRun, Spread, seeds_move, spread_of_runs
from medseg.values.error import Refusal

CASES = [f"C{number:02d}" for number in range(10)]


def table(means: np.ndarray) -> list[SeededRun]:
    """Make runs with the means (seeds, folds) on the same cases, whose own values differ widely."""
    offsets = np.linspace(-0.3, 0.3, len(CASES))
    return [
        SeededRun(seed, fold, dict(zip(CASES, (means[seed, fold] + offsets).tolist(), strict=True)))
        for seed in range(means.shape[0])
        for fold in range(means.shape[1])
    ]


def test_a_full_table_gives_the_analysis_of_variance() -> None:
    means = 0.7 + 0.1 * np.random.default_rng(3).random((4, 3)) + np.arange(4)[:, None] * 0.1 + np.arange(3) * 0.2
    seeds, folds = means.shape
    by_seed = folds * means.mean(1).var(ddof=1)
    by_fold = seeds * means.mean(0).var(ddof=1)
    rest = means - means.mean(1, keepdims=True) - means.mean(0) + means.mean()
    residual = (rest**2).sum() / ((seeds - 1) * (folds - 1))
    found = spread_of_runs(table(means))
    assert found.mean == pytest.approx(means.mean())
    assert found.residual_sd == pytest.approx(residual**0.5)
    assert found.seed_sd == pytest.approx(((by_seed - residual) / folds) ** 0.5)
    assert found.fold_sd == pytest.approx(((by_fold - residual) / seeds) ** 0.5)
    assert found.rerun_sd == pytest.approx((means.var(axis=0, ddof=1).mean()) ** 0.5)
    assert (found.freedom, found.runs, found.seeds, found.folds) == (9, 12, 4, 3)


def test_one_fold_tells_what_seeds_do_and_no_more() -> None:
    means = np.array([[0.80], [0.82], [0.87]])
    found = spread_of_runs(table(means))
    assert found.rerun_sd == pytest.approx(means.std(ddof=1))
    assert (found.seed_sd, found.fold_sd, found.residual_sd, found.freedom) == (None, None, None, 2)


def test_one_run_or_one_seed_tells_nothing_of_seeds() -> None:
    for means in (np.array([[0.8]]), np.array([[0.8, 0.9, 0.7]])):
        found = spread_of_runs(table(means))
        assert (found.rerun_sd, found.seed_sd, found.fold_sd, found.residual_sd, found.freedom) == (None,) * 4 + (0,)
        assert seeds_move([found]) is None
    assert spread_of_runs([]).mean is None


def test_folds_with_other_cases_say_nothing_of_folds() -> None:
    runs = [
        SeededRun(seed, fold, {f"{fold}-{case}": 0.5 + 0.2 * fold + 0.01 * seed for case in CASES})
        for seed in (0, 1)
        for fold in (0, 1)
    ]
    found = spread_of_runs(runs)
    assert found.rerun_sd == pytest.approx(0.01 / 2**0.5)
    assert (found.fold_sd, found.seed_sd, found.freedom) == (None, None, 2)


def test_runs_are_compared_on_the_cases_that_both_have() -> None:
    first = SeededRun(0, None, {"a": 0.5, "b": 0.9, "c": None})
    second = SeededRun(1, None, {"a": 0.6, "b": None, "c": 0.1})
    assert spread_of_runs([first, second]).rerun_sd == pytest.approx(0.1 / 2**0.5)


@given(order=st.permutations(range(6)))
@settings(max_examples=10)
def test_order_of_runs_does_not_matter(order: list[int]) -> None:
    runs = table(np.random.default_rng(1).random((3, 2)))
    assert spread_of_runs([runs[place] for place in order]) == spread_of_runs(runs)


def test_the_range_holds_95_percent_of_the_differences_of_new_runs() -> None:
    """Three seeds are known, two more are run: their difference lies within the range that the three gave."""
    draw, hits, rounds = np.random.default_rng(5), 0, 4000
    for _ in range(rounds):
        known, new = draw.normal(0.8, 0.01, 3), draw.normal(0.8, 0.01, 2)
        moved = seeds_move([Spread(None, float(known.std(ddof=1)), None, None, None, 2, 3, 3, 1)])
        assert moved is not None
        hits += abs(new[0] - new[1]) <= moved
    assert hits / rounds == pytest.approx(0.95, abs=0.012)


def test_groups_are_pooled_and_means_of_more_runs_move_less() -> None:
    first, second = spread_of_runs(table(np.array([[0.1], [0.3]]))), spread_of_runs(table(np.array([[0.5], [0.9]])))
    variance = (0.02 + 0.08) / 2
    assert seeds_move([first, second]) == pytest.approx(4.302653 * (2 * variance) ** 0.5)
    assert seeds_move([first, second], 2, 2) == pytest.approx(4.302653 * variance**0.5)


def test_the_same_run_twice_is_refused() -> None:
    with pytest.raises(
        Refusal,
        match="seeds: runs of the same settings differ in seed or fold, got seed 1, fold 2 twice; name each once",
    ):
        spread_of_runs([SeededRun(1, 2, {}), SeededRun(1, 2, {})])
    with pytest.raises(Refusal, match="got seed 1 twice"):
        spread_of_runs([SeededRun(1, None, {}), SeededRun(1, None, {})])
