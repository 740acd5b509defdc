"""Paired comparison: against scipy and against all choices of signs counted out; who wins; turned round."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.ops.statistics.kinds import kind_of
from medseg.ops.statistics.paired import compare_paired, signed_rank
from medseg.values.error import Refusal

SUBJECTS = [f"S{number:03d}" for number in range(300)]


def literal(differences: list[float]) -> float:
    """Count all choices of signs whose positive ranks add up at least as far from the middle."""
    found = np.array([value for value in differences if value])
    sizes = np.abs(found)
    ranks = [np.mean([place for place, size in enumerate(sorted(sizes), 1) if size == own]) for own in sizes]
    middle = sum(ranks) / 2
    own = abs(sum(rank for rank, value in zip(ranks, found, strict=True) if value > 0) - middle)
    sums = [sum(r for r, up in zip(ranks, signs, strict=True) if up) for signs in product((0, 1), repeat=len(ranks))]
    return sum(abs(one - middle) >= own - 1e-9 for one in sums) / len(sums)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9).filter(any))
@settings(max_examples=40, deadline=None)
def test_p_counts_signs_even_with_ties_and_zeros(differences: list[int]) -> None:
    assert signed_rank(np.array(differences, float)) == pytest.approx(literal([float(one) for one in differences]))


@pytest.mark.parametrize("count", [6, 15, 40])
def test_p_without_ties_is_scipys_exact_one(count: int) -> None:
    from scipy.stats import wilcoxon

    differences = np.random.default_rng(count).normal(0.2, 1, count)
    assert signed_rank(differences) == pytest.approx(float(wilcoxon(differences, method="exact").pvalue))


def test_p_of_many_subjects_is_scipys_normal_one_and_near_the_exact_one() -> None:
    from scipy.stats import wilcoxon

    many = np.round(np.random.default_rng(2).normal(0.05, 1, 260), 1)
    oracle = wilcoxon(many, method="approx", correction=False).pvalue
    assert signed_rank(many) == pytest.approx(float(oracle))
    few = np.random.default_rng(4).normal(0.1, 1, 190)
    oracle = wilcoxon(few, method="approx", correction=False).pvalue
    assert signed_rank(few) == pytest.approx(float(oracle), abs=2e-3)


def test_rounding_breaks_no_tie() -> None:
    assert 0.3 - 0.2 != 0.2 - 0.1
    assert signed_rank(np.array([0.3 - 0.2, -(0.2 - 0.1), 0.5])) == literal([0.1, -0.1, 0.5])


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
    assert (found.n, found.wins, found.losses) == (40, int((second > first).sum()), int((second < first).sum()))
    assert found.share_won == found.wins / 40


def test_turned_round_every_sign_is() -> None:
    generator = np.random.default_rng(5)
    first, second = list(generator.random(12)), list(generator.random(12))
    found, back = (compare_paired(*pair, SUBJECTS[:12], 0, "x") for pair in ((first, second), (second, first)))
    assert found.difference is not None
    assert found.ci95[0] is not None
    assert found.ci95[1] is not None
    assert back.difference == pytest.approx(-found.difference)
    assert back.ci95 == pytest.approx((-found.ci95[1], -found.ci95[0]))
    assert (back.p, back.wins, back.losses) == (found.p, found.losses, found.wins)


def test_smaller_distances_win() -> None:
    first, second = [3.0, 2.0, 5.0, 4.0], [2.0, 2.0, 6.0, 1.0]
    found = compare_paired(first, second, SUBJECTS[:4], 0, "x", kind=kind_of("hd95_mm"))
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert found.difference == -0.75


def test_scans_of_one_subject_are_one_sign() -> None:
    first, second = [0.5] * 12, [0.6] * 11 + [0.4]
    apart = compare_paired(first, second, SUBJECTS[:12], 0, "x")
    together = compare_paired(first, second, ["A"] * 11 + ["B"], 0, "x")
    assert apart.p is not None
    assert apart.p < 0.05
    assert together.p == 1.0
    assert (together.n, together.subjects, together.wins) == (12, 2, 11)
    assert together.ci95 == (None, None)


def test_difference_of_shares_stays_within_one() -> None:
    first, second = [0.0] * 7, [1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 1.0]
    found = compare_paired(first, second, SUBJECTS[:7], 0, "x", kind=kind_of("dice"))
    assert found.ci95[1] == 1.0


def test_equal_runs_differ_by_nothing() -> None:
    found = compare_paired([0.5, 0.6, None], [0.5, 0.6, 0.7], SUBJECTS[:3], 0, "dice")
    assert (found.difference, found.p, found.n, found.wins, found.ties, found.undefined) == (0.0, 1.0, 2, 0, 2, 1)
    nothing = compare_paired([None], [0.3], SUBJECTS[:1], 0, "dice")
    assert (nothing.difference, nothing.p, nothing.undefined, nothing.share_won) == (None, None, 1, None)


def test_runs_of_different_cases_are_refused() -> None:
    with pytest.raises(Refusal, match="comparison: both runs have the same 1 cases, got 2; score the same cases"):
        compare_paired([0.5], [0.5, 0.6], SUBJECTS[:1], 0, "dice")
