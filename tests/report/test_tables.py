"""The tables of a report say what the summary says: counts, intervals, sites, and what there is too little of."""

from __future__ import annotations

from typing import Any

from medseg.ops.cohorts import summarise
from medseg.report.measures import measures_table, sites_table
from medseg.report.tables import comparison_table
from tests.report.scored_rows import healthy, row

Rows = list[dict[str, Any]]


def summary(rows: Rows, failed: tuple[str, ...] = ()) -> Any:
    scores = [
        {"case": one["case"], "rows": [one], "failed": "no memory" if one["case"] in failed else None, "lesions": []}
        for one in rows
    ]
    return summarise(scores, tumour="tumour", headline=["tumour"], held_out=[one["case"] for one in rows])


def lines(rows: Rows, failed: tuple[str, ...] = ()) -> dict[str, dict[str, str]]:
    return {line["question"]: line for line in comparison_table(summary(rows, failed), "tumour")["rows"]}


def test_shares_come_with_their_counts_and_intervals() -> None:
    found = lines([*(row(f"t{i}", 0.9) for i in range(3)), row("missed", 0.0), healthy("a", 0.0), healthy("b", 2.0)])
    noticed = found["Patients with tumour that were noticed"]
    assert (noticed["answer"], noticed["n"]) == ("3 of 4 (75 %)", "4 patients")
    assert noticed["interval"] == "[30 %, 95 %]"
    assert found["Healthy scans without a single false voxel"]["answer"] == "1 of 2 (50 %)"
    assert found["False volume on healthy scans, mean"]["answer"] == "1.00 ml"


def test_failures_and_too_few_patients_are_remarked() -> None:
    first = lines([row("a", 0.8), row("b", 0.0, reason="no memory", volume_predicted_ml=None)], ("b",))
    dice = first["Dice of tumour, on scans with tumour"]
    assert dice["answer"] == "0.400"
    assert dice["interval"] == ""
    assert "1 prediction failed in all, which is 0 where there is tumour" in dice["remark"]
    assert "too few patients for an interval" in dice["remark"]


def test_that_there_are_no_healthy_scans_is_said_of_any_set_held_out_or_not() -> None:
    note = comparison_table(summary([row("a", 0.8)]), "tumour")["note"]
    assert note.endswith("There are no healthy scans, so false alarms on them cannot be told.")
    assert "no healthy scans" not in comparison_table(summary([row("a", 0.8), healthy("b", 0.0)]), "tumour")["note"]


def test_sites_have_a_line_each_and_one_site_none() -> None:
    rows = [row(f"t{i}", 0.5 + i / 10, site="Turin" if i % 2 else "Bonn") for i in range(4)]
    rows += [healthy("well", 0.0, site="Bonn"), row("stray", 0.1)]
    table = sites_table(summary(rows), ["tumour"], "tumour")
    assert table["heads"] == ["Dice, scans with tumour", "healthy scans, nothing marked"]
    found = {one["site"]: (one["subjects"], one["n"], [cell["mean"] for cell in one["cells"]]) for one in table["rows"]}
    assert found == {
        "not known": (1, 1, ["0.100", "\N{EN DASH}"]),
        "Bonn": (3, 3, ["0.600", "1 of 1 (100 %)"]),
        "Turin": (2, 2, ["0.700", "\N{EN DASH}"]),
    }
    assert sites_table(summary(rows[:1]), ["tumour"], "tumour") == {}
    assert sites_table(summary([row("a", 0.5)]), ["tumour"], "tumour") == {}


def test_measures_that_nobody_has_get_no_line() -> None:
    table = measures_table(summary([row("a", 0.5), row("b", 0.7)]), ["tumour"], "tumour")
    names = [line["name"] for group in table["groups"] for line in group["rows"]]
    assert "Dice" in names
    assert "calibration error" not in names
    assert [group["name"] for group in table["groups"]] == ["Overlap", "Volume", "Lesions"]
