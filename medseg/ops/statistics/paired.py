"""Two runs on the same cases: how far apart they are, how sure that is, and how many cases each of them wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medseg.ops.statistics.intervals import Interval, cluster, mean_interval
from medseg.ops.statistics.kinds import ANY, Kind
from medseg.ops.statistics.summaries import defined
from medseg.values.error import Refusal
from medseg.values.volume import Array, FloatArray

# Differences that are equal but for rounding share a rank.
_DIGITS = 12
# Up to so many subjects the test's distribution is counted out; beyond them it is normal to four digits.
_MOST_EXACT = 200


@dataclass(frozen=True, slots=True)
class Comparison:
    """Second minus first over the `n` cases where both are defined; `undefined` counts the others.

    `wins` counts cases where the second is better, `ties` those where both are equal; better is larger, unless the kind
    of the measure says that it is smaller. `p` is that of Wilcoxon's signed-rank test, 1 where no subject differs, None
    without a case. `subjects` counts the people behind the cases.
    """

    difference: float | None
    ci95: Interval
    p: float | None
    n: int
    wins: int
    ties: int
    undefined: int
    subjects: int

    @property
    def losses(self) -> int:
        """Cases where the first is better."""
        return self.n - self.wins - self.ties

    @property
    def share_won(self) -> float | None:
        """Share of cases where the second is better; None without a case."""
        return self.wins / self.n if self.n else None


def compare_paired(
    first: Sequence[float | None],
    second: Sequence[float | None],
    subjects: Sequence[str],
    seed: int,
    *name: str | int,
    kind: Kind = ANY,
) -> Comparison:
    """Compare two runs on the same cases, given in the same order; a case undefined in either run is left out.

    The interval is that of `mean_interval` over the differences; the test ranks one mean difference per subject.
    Refuses lists of different lengths.
    """
    if len(first) != len(second):
        raise Refusal("comparison", f"both runs have the same {len(first)} cases", len(second), "score the same cases")
    gaps = [None if a is None or b is None else round(b - a, _DIGITS) for a, b in zip(first, second, strict=True)]
    differences, people = defined(gaps, subjects)
    missing = len(gaps) - differences.size
    if differences.size == 0:
        return Comparison(None, (None, None), None, 0, 0, 0, missing, 0)
    better = -differences if kind.better == "lower" else differences
    return Comparison(
        difference=float(np.mean(differences)),
        ci95=mean_interval(differences, people, seed, *name, within=kind.difference_within, either_side=True),
        p=signed_rank(_by_subject(differences, people)),
        n=differences.size,
        wins=int(np.count_nonzero(better > 0)),
        ties=int(np.count_nonzero(better == 0)),
        undefined=missing,
        subjects=np.unique(people).size,
    )


def signed_rank(differences: FloatArray) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test of independent differences (N,), N > 0.

    Zeros are left out; 1 where all are zero. Up to 200 differences the distribution is exact, ties included (every
    choice of signs is equally probable given the ranks); beyond that it is the normal one, corrected for ties.
    Source: Wilcoxon 1945; exact with ties as in Hollander, Wolfe and Chicken 2014, chapter 3.1.
    """
    found = np.round(differences, _DIGITS)
    found = found[found != 0]
    if found.size == 0:
        return 1.0
    ranks = _doubled_ranks(np.abs(found))
    positive = int(ranks[found > 0].sum())
    if found.size > _MOST_EXACT:
        return _normal_p(ranks, positive)
    smaller = min(positive, int(ranks.sum()) - positive)
    return min(1.0, 2 * float(_sum_probabilities(ranks)[: smaller + 1].sum()))


def _doubled_ranks(sizes: FloatArray) -> Array:
    """Return twice the rank of each size, as integers: ties share the mean of their ranks."""
    _, place, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((2 * last - counts + 1)[place], np.int64)


def _sum_probabilities(ranks: Array) -> FloatArray:
    """Return the probability of every sum of those ranks whose sign is positive, each sign being a fair coin."""
    found = np.zeros(int(ranks.sum()) + 1)
    found[0] = 1.0
    for rank in ranks:
        found /= 2
        found[rank:] += found[:-rank].copy()
    return found


def _normal_p(ranks: Array, positive: int) -> float:
    from scipy.special import ndtr

    distance = abs(positive - ranks.sum() / 2) / np.sqrt(float(np.sum(ranks.astype(np.float64) ** 2)) / 4)
    return min(1.0, 2 * float(ndtr(-distance)))


def _by_subject(differences: FloatArray, people: Array) -> FloatArray:
    groups = cluster(differences, people)
    means: FloatArray = groups.mean + groups.centred / groups.sizes
    return means
