"""Which scans did badly, and the reason that is given."""

from __future__ import annotations

from typing import Any

import pytest

from medseg.report.verdicts import judge
from tests.report.scored_rows import healthy, row


def reasons(made: dict[str, Any], *others: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    found = judge([made, *others], "tumour")[made["case"]]
    return found.short, found.reasons


@pytest.mark.parametrize(
    ("cells", "dice", "short", "first"),
    [
        ({"volume_predicted_ml": 0.0}, 0.0, "missed entirely", "nothing was marked of 10.00 ml"),
        ({}, 0.0, "marked elsewhere", "nothing that was marked is tumour (10.00 ml marked, 10.00 ml true)"),
        (
            {"volume_predicted_ml": 3.0, "sensitivity": 0.28, "precision": 0.93},
            0.4,
            "too small",
            "3.00 ml marked, 10.00 ml true: 28 % of it was found",
        ),
        (
            {"volume_predicted_ml": 40.0, "sensitivity": 0.9, "precision": 0.22},
            0.36,
            "too large",
            "40.00 ml marked, 10.00 ml true: 22 % of what was marked is right",
        ),
        (
            {"sensitivity": 0.3, "precision": 0.31},
            0.3,
            "misplaced",
            "volumes are alike (10.00 ml marked, 10.00 ml true), but only 30 % of it was found",
        ),
        (
            {"sensitivity": 0.55, "precision": 0.82, "volume_predicted_ml": 6.7},
            0.66,
            "partly missed",
            "volumes are alike (6.70 ml marked, 10.00 ml true), but only 55 % of it was found",
        ),
        (
            {"sensitivity": 0.8, "precision": 0.6},
            0.69,
            "partly false",
            "volumes are alike (10.00 ml marked, 10.00 ml true), but only 60 % of what was marked is right",
        ),
        (
            {"sensitivity": 0.88, "precision": 0.9},
            0.89,
            "edges differ",
            "volumes are alike (10.00 ml marked, 10.00 ml true); 88 % of it was found, and 90 % of what was marked is "
            "right",
        ),
    ],
)
def test_the_reason_follows_from_the_numbers(cells: dict[str, Any], dice: float, short: str, first: str) -> None:
    assert reasons(row("a", dice, **cells)) == (short, (first,))


def test_lesions_a_small_tumour_and_the_weakest_region_are_told() -> None:
    bad = row("a", 0.4, volume_truth_ml=0.5, volume_predicted_ml=0.5, lesions_truth=3, lesions_found=1, false_lesions=2)
    core = row("a", 0.1, region="core")
    usual = [row(f"c{i}", 0.9) for i in range(3)]
    _, found = reasons(bad, core, *usual)
    assert found[1:] == (
        "2 of 3 lesions missed",
        "2 false lesions beside",
        "it is small: 0.50 ml, the median is 10.00 ml",
        "worst in core: Dice 0.100",
    )


def test_failed_come_first_then_the_lowest_then_alarms_and_the_order_of_rows_does_not_matter() -> None:
    rows = [
        *(row(f"fine{i}", 0.9 + i / 100) for i in range(4)),
        row("poor", 0.3),
        row("gone", 0.0, reason="out of memory", volume_predicted_ml=None),
        healthy("clean", 0.0),
        healthy("small alarm", 0.1),
        healthy("alarm", 7.0, false_lesions=2),
        row("unknown", None, cohort="unknown", volume_truth_ml=None, volume_predicted_ml=None),
    ]
    found = judge(rows, "tumour")
    assert [(one.case, one.kind) for one in found.values()] == [
        ("gone", "failed"),
        ("poor", "bad"),
        ("fine0", "worst"),
        ("fine1", "worst"),
        ("alarm", "alarm"),
        ("small alarm", "alarm"),
    ]
    assert found["gone"].reasons == ("out of memory",)
    assert found["alarm"].reasons == ("7.00 ml marked in 2 pieces where there is no tumour",)
    assert judge(rows[::-1], "tumour") == found
    assert judge(rows[5:] + rows[:5], "tumour") == found


def test_perfect_scans_did_not_do_badly() -> None:
    assert judge([row("a", 1.0), row("b", 1.0), healthy("c", 0.0)], "tumour") == {}


def test_what_was_noticed_about_a_scan_is_told_with_it() -> None:
    found = judge([row("a", 0.2)], "tumour", {"a": ["voxels are 9 mm thick"], "b": ["cold"]})
    assert found["a"].reasons[-1] == "noticed about the scan: voxels are 9 mm thick"
