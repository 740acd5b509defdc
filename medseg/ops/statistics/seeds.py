"""What the seed alone does to a result: runs of the same settings under several seeds and folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import numpy as np

from medseg.ops.statistics.intervals import student
from medseg.values.error import Refusal

Values = Mapping[str, float | None]
_LEAST_FREEDOM = 2


@dataclass(frozen=True, slots=True)
class SeededRun:
    """One run: its seed, its fold (None where data was split once), and a value per case, None where undefined."""

    seed: int
    fold: int | None
    values: Values


@dataclass(frozen=True, slots=True)
class Spread:
    """How the mean of a run varies over `runs` runs of the same settings, in the unit of the measure.

    `rerun_sd` is the standard deviation under another seed on the same fold, `freedom` its degrees of freedom (runs
    less one per fold). `seed_sd`, `fold_sd` and `residual_sd` take the variance apart: the residual is what seed and
    fold do only together, so that rerun_sd^2 = seed_sd^2 + residual_sd^2. None where the runs cannot tell: the parts
    need two seeds on each of two folds. `mean` is the mean over the runs.
    """

    mean: float | None
    rerun_sd: float | None
    seed_sd: float | None
    fold_sd: float | None
    residual_sd: float | None
    freedom: int
    runs: int
    seeds: int
    folds: int


def spread_of_runs(runs: Sequence[SeededRun]) -> Spread:
    """Take the variance of a run's mean apart into what the seed, the fold, and both together do.

    Two runs are compared by the mean difference over the cases that are defined in both, so that folds with other
    held-out cases say nothing about the fold. A variance that comes out below 0 counts as 0. Order does not matter.
    Refuses two runs with the same seed and fold.
    Source: two-way random effects by the method of moments over pairs of runs (Searle, Casella and McCulloch 1992,
    chapter 5); on a full table of seeds and folds this is the analysis of variance.
    """
    _demand_distinct(runs)
    other_seed = _half_square([pair for pair in combinations(runs, 2) if pair[0].fold == pair[1].fold])
    other_fold = _half_square([pair for pair in combinations(runs, 2) if pair[0].seed == pair[1].seed])
    other_both = _half_square([(a, b) for a, b in combinations(runs, 2) if a.seed != b.seed and a.fold != b.fold])
    means = [value for value in map(_mean, runs) if value is not None]
    return Spread(
        mean=float(np.mean(sorted(means))) if means else None,
        rerun_sd=None if other_seed is None else sqrt(other_seed),
        seed_sd=_root(other_both, other_fold) if other_seed is not None else None,
        fold_sd=_root(other_both, other_seed) if other_fold is not None else None,
        residual_sd=_residual(other_seed, other_fold, other_both),
        freedom=_freedom(runs),
        runs=len(runs),
        seeds=len({run.seed for run in runs}),
        folds=len({run.fold for run in runs}),
    )


def seeds_move(spreads: Sequence[Spread], first_runs: int = 1, second_runs: int = 1) -> float | None:
    """Return how far apart two results of the same settings come to lie by the seed alone, in 95 % of the times.

    spreads: of every group of runs at hand; their variances are pooled.  A result is the mean of `first_runs` runs, the
    other that of `second_runs`. None with fewer than two degrees of freedom, which two runs of one group are: a single
    difference says next to nothing about its range. With three seeds or so the spread is barely known, which makes the
    range wide: it is an honest one for the next pair of runs.
    Source: prediction interval of a difference with an estimated variance, Student's t.
    """
    known = [(spread.rerun_sd, spread.freedom) for spread in spreads if spread.rerun_sd is not None and spread.freedom]
    freedom = sum(count for _, count in known)
    if freedom < _LEAST_FREEDOM:
        return None
    variance = sum(deviation**2 * count for deviation, count in known) / freedom
    return student(freedom) * sqrt(variance * (1 / first_runs + 1 / second_runs))


def _demand_distinct(runs: Sequence[SeededRun]) -> None:
    seen: set[tuple[int, int | None]] = set()
    for run in runs:
        if (run.seed, run.fold) in seen:
            where = f"seed {run.seed}" + ("" if run.fold is None else f", fold {run.fold}")
            raise Refusal(
                "seeds", "runs of the same settings differ in seed or fold", f"{where} twice", "name each once"
            )
        seen.add((run.seed, run.fold))


def _half_square(pairs: Sequence[tuple[SeededRun, SeededRun]]) -> float | None:
    """Return half the mean squared difference of the pairs that share cases: the variance of one run's mean."""
    gaps = [gap for gap in (_gap(first, second) for first, second in pairs) if gap is not None]
    return float(np.mean(sorted(gap**2 for gap in gaps))) / 2 if gaps else None


def _gap(first: SeededRun, second: SeededRun) -> float | None:
    pairs = ((first.values[case], second.values.get(case)) for case in sorted(first.values))
    gaps = [b - a for a, b in pairs if a is not None and b is not None]
    return float(np.mean(gaps)) if gaps else None


def _mean(run: SeededRun) -> float | None:
    values = sorted(value for value in run.values.values() if value is not None)
    return float(np.mean(values)) if values else None


def _root(both: float | None, without: float | None) -> float | None:
    return None if both is None or without is None else sqrt(max(0.0, both - without))


def _residual(seed: float | None, fold: float | None, both: float | None) -> float | None:
    return None if seed is None or fold is None or both is None else sqrt(max(0.0, seed + fold - both))


def _freedom(runs: Sequence[SeededRun]) -> int:
    sizes = [sum(run.fold == fold for run in runs) for fold in {run.fold for run in runs}]
    return sum(size - 1 for size in sizes)
