"""Two sides: what differs, whatever the order; healthy scans; seeds; nothing dropped in silence."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.ops.comparing.correcting import corrected
from medseg.ops.comparing.pairs import Difference, Pair, Scope, compare_sides
from medseg.ops.comparing.sides import Ground, Member, Scores, Side, seeds_alone
from tests.experiment.compared_runs import Row, scan, scans

REGIONS = ("core", "tumour", "healthy", "all")
ILL = [f"t{number}" for number in range(12)]
WELL = ["h0", "h1", "h2"]


def table(rows: Sequence[Row]) -> Scores:
    return {(row["case"], row["region"]): row for row in rows}


def side(name: str, *runs: Sequence[Row]) -> Side:
    return Side(name, tuple(Member(table(rows), seed) for seed, rows in enumerate(runs)))


def scope_of(rows: Sequence[Row]) -> Scope:
    own = [row for row in rows if row["region"] == "tumour"]
    people, cohorts = ([str(row[key]) for row in own] for key in ("subject", "cohort"))
    return Scope(Ground(tuple(row["case"] for row in own), tuple(people), tuple(cohorts)), REGIONS, "tumour")


def drawn(seed: int, shift: float = 0.0, cases: Sequence[str] = (*ILL, *WELL)) -> list[Row]:
    """Rows with Dice around 0.7; some healthy scans have something marked."""
    generator = random.Random(seed)  # noqa: S311
    dice = {case: min(1.0, max(0.0, 0.7 + shift + generator.gauss(0, 0.1))) for case in cases}
    return scans({case: value if case in ILL else generator.choice([None, 0.0]) for case, value in dice.items()})


def all_of(pair: Pair) -> dict[tuple[str, str], Difference]:
    return {(region, name): one for region, own in pair.regions.items() for name, one in own.items()}


def test_a_better_second_run_is_seen_in_every_measure_by_its_own_direction() -> None:
    first, second = drawn(1), drawn(1, shift=0.08)
    found = compare_sides(side("a", first), side("b", second), scope_of(first))
    dice, far = found.tumour["dice"], found.tumour["hd95_mm"]
    assert dice.found.difference == pytest.approx(0.08)
    assert far.found.difference == pytest.approx(-20 * 0.08), "distances get smaller"
    assert (dice.found.wins, dice.found.losses) == (12, 0)
    assert (far.found.wins, far.found.losses) == (12, 0), "smaller is better"
    assert dice.found.ci95[0] == pytest.approx(0.08)
    assert found.tumour["volume_error_ml"].found.wins == 12
    assert dice.found.p is not None
    assert dice.found.p == pytest.approx(2 / 2**12), "all signs alike, counted out"


def test_means_stand_on_the_scans_that_both_have() -> None:
    first = scans({"t0": 0.8, "t1": 0.4, "h0": 0.0, "h1": None})
    second = scans({"t0": 0.6, "t1": 0.6, "h0": None, "h1": 0.0})
    one = compare_sides(side("a", first), side("b", second), scope_of(first)).regions["tumour"]["dice"]
    assert one.means == (pytest.approx(0.6), pytest.approx(0.6))
    assert (one.found.n, one.found.undefined, one.only_first, one.only_second) == (2, 2, 1, 1)


def test_scans_with_tumour_are_told_apart_from_all_and_healthy_ones_by_what_is_marked() -> None:
    first = scans({"t0": 0.8, "t1": 0.4, "h0": 0.0, "h1": 0.0, "h2": None})
    second = scans({"t0": 0.6, "t1": 0.6, "h0": 0.0, "h1": None, "h2": None})
    found = compare_sides(side("a", first), side("b", second), scope_of(first))
    assert found.regions["tumour"]["dice"].found.n == 3, "h0 is 0 in both"
    assert found.tumour["dice"].found.n == 2
    assert found.healthy is not None
    assert (found.healthy.n, found.healthy.clean) == (3, (1.0, 2.0))
    assert found.healthy.false_ml.found.difference == pytest.approx(-2 / 3)
    assert found.healthy.false_ml.found.wins == 1


def test_without_healthy_scans_nothing_is_said_of_them() -> None:
    rows = scans({"t0": 0.8, "t1": 0.4})
    found = compare_sides(side("a", rows), side("b", rows), scope_of(rows))
    assert found.healthy is None
    assert found.tumour == found.regions["tumour"]


def test_a_failed_healthy_scan_is_not_a_clean_one() -> None:
    first = scan("h0", None)
    second = scan("h0", 0.0, reason="no memory", volume_predicted_ml=None)
    found = compare_sides(side("a", first), side("b", second), scope_of(first))
    assert found.healthy is not None
    assert found.healthy.clean == (1.0, 0.0)
    assert found.healthy.false_ml.found.undefined == 1


def test_a_measure_that_no_side_has_is_left_out_and_one_that_a_single_side_has_is_counted() -> None:
    first, second = scan("t0", 0.5, nsd=0.4), scan("t0", 0.5)
    found = compare_sides(side("a", first), side("b", second), scope_of(first))
    assert "lesion_dice" not in found.regions["tumour"]
    nsd = found.regions["tumour"]["nsd"]
    assert (nsd.found.n, nsd.only_first, nsd.found.difference, nsd.found.p) == (0, 1, None, None)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(-0.2, 0.2))
def test_turned_round_every_sign_is(seed: int, shift: float) -> None:
    first, second = drawn(seed), drawn(seed + 1, shift)
    scope = scope_of(first)
    here, there = (all_of(compare_sides(*pair, scope)) for pair in _both_ways(side("a", first), side("b", second)))
    assert here.keys() == there.keys()
    for key, one in here.items():
        other = there[key]
        assert one.found.difference == pytest.approx(_minus(other.found.difference), abs=1e-12)
        assert one.found.ci95 == pytest.approx(tuple(_minus(end) for end in reversed(other.found.ci95)), abs=1e-9)
        assert one.found.p == other.found.p
        assert (one.found.wins, one.found.losses) == (other.found.losses, other.found.wins)
        assert one.means == other.means[::-1]
        assert (one.only_first, one.only_second) == (other.only_second, other.only_first)


def test_the_same_run_twice_differs_by_nothing() -> None:
    rows = drawn(3)
    for one in all_of(compare_sides(side("a", rows), side("a (2)", rows), scope_of(rows))).values():
        assert one.found.difference == 0
        assert one.found.p == 1
        assert one.found.ties == one.found.n
        assert one.found.ci95 == (0, 0)


def test_the_order_of_rows_and_of_scans_changes_nothing() -> None:
    first, second = drawn(4), drawn(5)
    mixed = [random.Random(6).sample(rows, len(rows)) for rows in (first, second)]  # noqa: S311
    scope = scope_of(first)
    ground = Ground(
        *(tuple(reversed(own)) for own in (scope.ground.cases, scope.ground.subjects, scope.ground.cohorts))
    )
    straight = compare_sides(side("a", first), side("b", second), scope)
    turned = compare_sides(side("a", mixed[0]), side("b", mixed[1]), replace(scope, ground=ground))
    assert straight == turned


def test_scans_of_one_person_are_no_independent_witnesses() -> None:
    alone = {f"t{number}": value for number, value in enumerate((0.1, 0.5, 0.3, 0.7, 0.2, 0.9))}
    twice = {f"{case}-{half}": value for case, value in alone.items() for half in "ab"}
    single, double = (
        compare_sides(side("a", scans(dict.fromkeys(own, 0.4))), side("b", scans(own)), scope_of(scans(own)))
        for own in (alone, twice)
    )
    one, two = single.tumour["dice"].found, double.tumour["dice"].found
    assert (one.p, one.subjects) == (two.p, two.subjects)
    assert two.n == 12
    assert one.ci95 == pytest.approx(two.ci95)


def test_groups_are_compared_by_the_mean_over_their_seeds() -> None:
    runs = [scans({"t0": 0.5 + step, "t1": 0.7 + step}) for step in (0.0, 0.1, 0.2)]
    other = scans({"t0": 0.9, "t1": 0.9})
    one = compare_sides(side("a", *runs), side("b", other), scope_of(other)).tumour["dice"]
    assert one.means == (pytest.approx(0.7), pytest.approx(0.9))
    assert one.found.difference == pytest.approx(0.2)


def test_a_scan_that_is_undefined_under_one_seed_is_undefined_and_counted() -> None:
    runs = [scans({"h0": None, "t0": 0.5}), scans({"h0": 0.0, "t0": 0.5})]
    other = scans({"h0": 0.0, "t0": 0.6})
    found = compare_sides(side("a", *runs), side("b", other), scope_of(other))
    one = found.regions["tumour"]["dice"]
    assert (one.found.n, one.found.undefined, one.only_second) == (1, 1, 1)
    assert found.healthy is not None
    assert found.healthy.clean == (0.5, 0.0), "the mean over the seeds"


def test_seeds_alone_move_a_difference_by_what_their_spread_says() -> None:
    from scipy.stats import t

    shifts = (0.0, 0.03, -0.02)
    runs = [scans(dict.fromkeys(ILL, 0.7 + shift)) for shift in shifts]
    single = scans(dict.fromkeys(ILL, 0.8))
    ground = scope_of(single).ground
    moved = seeds_alone(side("a", *runs), side("b", single), ground, "tumour", "dice")
    spread = np.std(shifts, ddof=1)
    assert moved == pytest.approx(t.ppf(0.975, 2) * spread * np.sqrt(1 / 3 + 1))
    assert seeds_alone(side("a", runs[0]), side("b", single), ground, "tumour", "dice") is None


def test_holm_is_taken_over_all_pairs_of_one_measure_in_one_region() -> None:
    runs = [side(name, drawn(seed, shift)) for name, seed, shift in (("a", 1, 0), ("b", 2, 0.05), ("c", 3, 0.12))]
    scope = scope_of(drawn(1))
    couples = [(runs[0], runs[1]), (runs[0], runs[2]), (runs[1], runs[2])]
    found = corrected([compare_sides(*couple, scope) for couple in couples])
    for own in ([all_of(pair) for pair in found], [dict(pair.tumour) for pair in found]):
        for key in own[0]:
            ones = [pair[key] for pair in own]  # type: ignore[index]
            assert [one.p_holm for one in ones] == pytest.approx(_holm([one.found.p for one in ones]))
    marked = [pair.healthy.false_ml for pair in found if pair.healthy]
    assert [one.p_holm for one in marked] == pytest.approx(_holm([one.found.p for one in marked]))


def test_a_single_pair_needs_no_correction() -> None:
    first, second = drawn(1), drawn(2)
    found = corrected([compare_sides(side("a", first), side("b", second), scope_of(first))])
    assert all(one.p_holm == one.found.p for one in all_of(found[0]).values())


def test_the_error_of_volume_is_its_size_on_both_sides() -> None:
    first, second = scan("t0", 0.5, volume_error_ml=-2.0), scan("t0", 0.5, volume_error_ml=1.0)
    one = compare_sides(side("a", first), side("b", second), scope_of(first)).tumour["volume_error_ml"]
    assert one.means == (2.0, 1.0)
    assert one.found.difference == -1.0
    assert one.found.wins == 1


def _both_ways(first: Side, second: Side) -> tuple[tuple[Side, Side], tuple[Side, Side]]:
    return (first, second), (second, first)


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm 1979, literally: the smallest p times m, the next times m - 1, never less than one before."""
    known = sorted(p for p in p_values if p is not None)
    result: list[float | None] = []
    for value in p_values:
        if value is None:
            result.append(None)
            continue
        place = known.index(value)
        result.append(min(1.0, max((len(known) - step) * known[step] for step in range(place + 1))))
    return result
