"""The first lines of a report: true sentences, singular and plural right, names cut short."""

from __future__ import annotations

from typing import Any

from medseg.report.opening import badly_table, opening, question
from medseg.report.verdicts import judge
from tests.report.scored_rows import healthy, row


def summary(*cases: str, ill: int = 1) -> dict[str, Any]:
    return {"held_out": list(cases), "cohorts": {"tumour": {"n": ill}}}


def told(rows: list[dict[str, Any]], kind: Any = "run") -> str:
    cases = [one["case"] for one in rows]
    return "\n".join(opening(summary(*cases), judge(rows, "tumour"), "tumour", kind))


def test_the_question_names_what_is_judged() -> None:
    assert question(summary("a", "b"), "tumour", "run") == (
        "Asked: how well does the trained network find tumour in 2 scans of patients that it has never seen, and does "
        "it leave healthy tissue alone?"
    )
    assert question(summary("a"), "liver", "evaluation") == (
        "Asked: how well do the predicted label maps agree with the truth about liver in 1 scan?"
    )


def test_failed_bad_and_false_alarms_are_told_by_name() -> None:
    gone = row("gone", 0.0, reason="out of memory", volume_predicted_ml=None)
    text = told([gone, row("poor", 0.0, volume_predicted_ml=0.0), row("fine", 0.9), healthy("alarm", 2.0)])
    assert "1 prediction failed; it counts as the worst, nothing was dropped: gone (out of memory)." in text
    assert "1 scan did badly, with a Dice below 0.5: poor (missed entirely, Dice 0.000)." in text
    assert "1 healthy scan has something marked where there is no tumour: alarm." in text
    assert "Look first at poor (missed entirely, Dice 0.000): nothing was marked of 10.00 ml." in text
    assert "None of these patients was used for training" in text


def test_a_reason_that_scans_share_is_said_once() -> None:
    rows = [row(f"gone{i}", 0.0, reason="no memory" if i < 4 else f"reason {i}") for i in range(8)]
    assert told(rows).startswith(
        "8 predictions failed; they count as the worst, nothing was dropped: gone0, gone1, gone2 and 1 more "
        "(no memory); gone4 (reason 4); gone5 (reason 5); and 2 more reasons."
    )


def test_more_than_three_are_counted() -> None:
    rows = [row(f"poor{i}", 0.1 + i / 100) for i in range(5)] + [healthy(f"alarm{i}", 5.0 - i) for i in range(4)]
    text = told(rows)
    assert "5 scans did badly, with a Dice below 0.5: poor0 (misplaced, Dice 0.100), poor1 (misplaced, " in text
    assert "poor2 (misplaced, Dice 0.120) and 2 more." in text
    assert "4 healthy scans have something marked where there is no tumour: alarm0, alarm1, alarm2 and 1 more." in text


def test_a_good_result_says_that_nothing_failed() -> None:
    text = told([row("a", 0.95), row("b", 1.0)], "evaluation")
    assert text.startswith("No prediction failed. No scan with tumour has a Dice below 0.5.\nLook first at a (")
    assert "used for training" not in text


def test_nothing_is_said_of_no_scan() -> None:
    assert opening(summary(), {}, "tumour", "run") == []


def test_the_table_is_cut_and_says_so() -> None:
    found = judge([row(f"poor{i:02}", i / 1000) for i in range(45)], "tumour")
    table = badly_table(found, {"poor01"})
    assert len(table["rows"]) == 40
    assert table["more"].startswith("5 further scans not shown here")
    assert [one["open"] for one in table["rows"][:3]] == [False, True, False]
    assert table["patients"] is False
    assert badly_table({}, ()) == {}
