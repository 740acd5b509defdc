"""Charts of rows: what is drawn, what is left out, and that it is said."""

from __future__ import annotations

from typing import Any

from medseg.ops.cohort_agreement import volume_agreement
from medseg.report.figures import draw_differences, draw_sizes
from tests.report.scored_rows import healthy, row

ROWS = [
    *(row(f"c{i}", 0.5 + i / 20, volume_truth_ml=float(i + 1), volume_predicted_ml=i + 1.5) for i in range(6)),
    row("gone", 0.0, volume_truth_ml=4.0, volume_predicted_ml=None, reason="no memory"),
    healthy("clean", 0.0),
    healthy("alarm", 3.0),
]


def drawn(rows: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = draw_differences(rows, ["tumour"], volume_agreement(rows, 0))
    return dict(found)


def test_dice_against_volume_shows_failed_scans_as_rings_and_no_scan_without_volume() -> None:
    (chart,) = draw_sizes(ROWS, ["tumour"])
    assert chart.count('class="point"') == 6
    assert chart.count('class="failed"') == 1
    assert "gone: Dice 0.000, 4.00 ml, failed" in chart
    assert "alarm" not in chart
    assert draw_sizes(ROWS[:1], ["tumour"]) == []


def test_differences_are_drawn_with_the_numbers_of_the_summary() -> None:
    found = drawn(ROWS)
    assert found["region"] == "tumour"
    assert found["chart"].count('class="point"') == 6
    assert "mean 0.50" in found["chart"]
    assert "Predicted volumes are 0.50 ml too large on average" in found["words"]
    assert "1 scan has no predicted volume." in found["words"]
    assert "concordance" in found["words"]


def test_a_region_with_one_scan_has_no_chart() -> None:
    rows = ROWS[:1]
    assert draw_differences(rows, ["tumour"], volume_agreement(rows, 0)) == []


def test_only_the_first_six_regions_are_drawn() -> None:
    rows = [row(case, 0.5, region=f"r{i}", volume_truth_ml=1.0) for i in range(8) for case in ("a", "b")]
    assert len(draw_sizes(rows, [f"r{i}" for i in range(8)])) == 6
