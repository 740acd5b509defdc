"""The part about probabilities: there where they were kept, and silent where not."""

from __future__ import annotations

from typing import Any

from medseg.report.certainty import draw_certainty

BINS = {"answers": [0, *[100] * 14], "confidence": [i / 15 for i in range(15)], "right": [i / 20 for i in range(15)]}
LEARNED: dict[str, Any] = {
    "calibration": {"temperature": 1.84, "ece_before": 0.091, "ece_after": 0.012, "cases": 6, "voxels": 1400},
    "before": BINS,
    "after": BINS,
}
FROC = {
    "thresholds": [0.1, 0.5, 0.9],
    "sensitivity": [0.9, 0.7, 0.2],
    "false_per_scan": [5.0, 1.0, 0.0],
    "mean": 0.55,
    "lesions": 12,
    "scans": 8,
}


def test_without_probabilities_there_is_nothing() -> None:
    for summary in ({}, {"reliability": None, "froc": None}, {"reliability": {}, "froc": FROC | {"lesions": 0}}):
        assert draw_certainty(summary, None, "tumour") == []
    assert draw_certainty({}, {"calibration": None, "before": None, "after": None}, "tumour") == []


def test_validation_scans_are_drawn_before_and_after_the_temperature() -> None:
    (found,) = draw_certainty({}, LEARNED, "tumour")
    assert found["heading"] == "On validation scans, before and after the temperature"
    assert found["words"] == (
        "On voxels drawn from 6 validation scans, before this test: a temperature of 1.84 takes the expected "
        "calibration error from 0.091 to 0.012. The network was too sure of itself."
    )
    assert found["chart"].count('class="before-point"') == found["chart"].count('class="curve-point"') == 14


def test_the_temperature_is_read_in_words() -> None:
    def ending(temperature: float) -> str:
        learned = LEARNED | {"calibration": LEARNED["calibration"] | {"temperature": temperature}}
        return str(draw_certainty({}, learned, "tumour")[0]["words"]).split(". ")[-1]

    assert ending(1.0) == "The network is about as sure as it may be."
    assert ending(0.7) == "The network was not sure enough of itself."


def test_probabilities_and_lesions_of_these_scans_are_drawn_where_they_were_kept() -> None:
    kept = BINS | {"ece": 0.031, "brier": 0.02, "scans": 8}
    reliability, froc = draw_certainty({"reliability": {"tumour": kept, "core": kept}, "froc": FROC}, None, "tumour")
    assert "expected calibration error 0.031, 1,400 voxels of 8 scans." in reliability["words"]
    assert froc["heading"] == "Lesions found against false ones"
    assert froc["words"].endswith("on average: 0.550 of 12 lesions in 8 scans.")
    assert froc["chart"].count("<circle") == 3
