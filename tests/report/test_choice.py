from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.report.choice import choose, thirds


def rows(dices: dict[str, float], alarms: dict[str, float]) -> list[dict[str, object]]:
    ill = [
        {"case": c, "region": "tumour", "cohort": "tumour", "dice": d, "volume_predicted_ml": 1.0}
        for c, d in dices.items()
    ]
    well = [
        {"case": c, "region": "tumour", "cohort": "healthy", "dice": 0.0, "volume_predicted_ml": v}
        for c, v in alarms.items()
    ]
    return [*ill, *well, *({**row, "region": "core", "dice": 0.5} for row in ill)]


def test_worst_median_and_best_come_in_order_and_alarms_by_size() -> None:
    dices = {f"c{i}": i / 10 for i in range(10)}
    chosen = choose(rows(dices, {"h0": 0.0, "h1": 1.0, "h2": 5.0}), "tumour", [*dices, "h0", "h1", "h2"], 2)
    assert [(g.heading, g.cases) for g in chosen] == [
        ("The 2 worst scans", ("c0", "c1")),
        ("The 2 median scans", ("c4", "c5")),
        ("The 2 best scans", ("c9", "c8")),
        ("False alarms on healthy scans", ("h2", "h1")),
    ]


def test_scans_of_unknown_cohort_are_no_false_alarms() -> None:
    unknown = {"case": "u", "region": "tumour", "cohort": "unknown", "dice": None, "volume_predicted_ml": None}
    assert choose([unknown], "tumour", ["u"], 3) == []


def test_cases_without_a_prediction_are_not_chosen() -> None:
    chosen = choose(rows({"a": 0.0, "b": 0.9}, {}), "tumour", ["b"], 3)
    assert [(g.heading, g.cases) for g in chosen] == [("The worst scan", ("b",))]
    assert choose(rows({"a": 0.5}, {}), "tumour", ["a"], 0) == []


@pytest.mark.parametrize("amount", [1, 3])
@settings(deadline=None)
@given(st.integers(0, 20))
def test_nobody_comes_twice(amount: int, number: int) -> None:
    ranked = [f"{i:02}" for i in range(number)]
    worst, median, best = thirds(ranked, amount)
    together = [*worst, *median, *best]
    assert together == sorted(set(together))
    assert len(together) == min(number, 3 * amount)
    assert len(worst) <= amount
