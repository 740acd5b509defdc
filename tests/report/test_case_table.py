"""The table of all scans: columns that say something, cells of other regions, what it can be filtered by."""

from __future__ import annotations

from medseg.ops.scoring.rows import HEALTHY
from medseg.report.case_table import MEASURES, cases_table
from medseg.report.verdicts import judge
from tests.report.scored_rows import healthy, row


def names(table: dict[str, object]) -> list[str]:
    return [head["name"] for head in table["heads"]]  # type: ignore[attr-defined]


def test_patient_and_site_have_columns_only_where_they_say_something() -> None:
    plain = cases_table([row("a", 0.5), row("b", 0.6)], ["tumour"], "tumour")
    assert names(plain)[:3] == ["scan", "cohort", "Dice tumour"]
    told = cases_table([row("a", 0.5, subject="P1", site="Bonn"), row("b", 0.6, subject="P1")], ["tumour"], "tumour")
    assert names(told)[:4] == ["scan", "patient", "site", "cohort"]
    assert [cell["text"] for cell in told["rows"][1][:4]] == ["b", "P1", "", "tumour"]


def test_the_cells_of_every_region_are_at_hand_in_the_order_of_the_lines() -> None:
    rows = [
        row("a", 0.5, hd95_mm=3.0),
        row("a", 0.4, region="core", hd95_mm=9.0),
        row("a", 0.99, region=HEALTHY),
        row("b", 0.6, hd95_mm=2.0),
        row("b", 0.7, region="core", hd95_mm=None),
        row("b", 0.98, region=HEALTHY),
    ]
    table = cases_table(rows, ["tumour", "core"], "tumour")
    assert table["regions"] == {"tumour": "tumour", "core": "core", HEALTHY: "healthy tissue"}
    first = table["first"]
    for number, line in enumerate(table["lines"]):
        shown = [(cell["text"], cell["sort"]) for cell in line["cells"][first : first + len(MEASURES)]]
        assert shown == table["measured"]["tumour"][number]
    assert [cells[0] for cells in table["measured"]["core"]] == [("9.00", "9.0"), ("\N{EN DASH}", "")]


def test_lines_are_marked_with_cohort_and_verdict_and_parts_are_counted() -> None:
    rows = [
        row("poor", 0.1),
        row("gone", 0.0, reason="no memory"),
        healthy("alarm", 2.0),
        healthy("clean", 0.0),
        row("odd", None, cohort="unknown"),
        *(row(f"fine{i}", 0.9 + i / 100) for i in range(5)),
    ]
    table = cases_table(rows, ["tumour"], "tumour", judge(rows, "tumour"))
    marks = {line["case"]: line["marks"].split() for line in table["lines"]}
    assert marks["poor"] == ["in-tumour", "bad"]
    assert marks["gone"] == ["in-tumour", "failed"]
    assert marks["alarm"] == ["in-healthy", "alarm"]
    assert marks["clean"] == ["in-healthy"]
    assert marks["fine4"] == ["in-tumour"]
    assert {name: number for name, _, _, number in table["parts"]} == {"all": 10, "badly": 3, "failed": 1, "alarm": 1}
    assert table["cohorts"] == ["healthy", "tumour", "unknown"]
    notes = {line["case"]: line["cells"][names(table).index("what happened")]["text"] for line in table["lines"]}
    assert notes == dict.fromkeys(notes, "") | {
        "poor": "misplaced",
        "gone": "failed",
        "alarm": "false alarm",
        "odd": "tumour not annotated",
    }
    strange = cases_table(rows, ["tumour"], "tumour", judge(rows, "tumour"), {"poor", "fine1"})
    lines = {line["case"]: line for line in strange["lines"]}
    assert lines["poor"]["note"].endswith("; misplaced, unlike the training scans")
    assert lines["fine1"]["note"].endswith("; unlike the training scans")
    assert "unlike" not in lines["fine0"]["note"]
    told = {line["case"]: line["note"] for line in table["lines"]}
    assert told["poor"] == "tumour; Dice of tumour 0.100; misplaced"
    assert told["odd"] == "unknown; tumour not annotated"
