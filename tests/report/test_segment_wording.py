from __future__ import annotations

import pytest

from medseg.report.segment_wording import cost_text, dice_kind, dice_text, headline, measures_text, volume_text


@pytest.mark.parametrize(("numbers", "text"), [
    ((0, 0, 0), "No scan was found."),
    ((1, 0, 0), "The one scan was segmented; nothing calls for a look first."),
    ((1, 0, 1), "The one scan was segmented; look at it before you use it."),
    ((1, 1, 0), "The one scan was not segmented."),
    ((50, 0, 0), "All 50 scans were segmented; nothing calls for a look first."),
    ((50, 5, 7), "45 of 50 scans were segmented; look at 7 of them before you use them."),
    ((50, 49, 1), "1 of 50 scans was segmented; look at it before you use it."),
    ((50, 5, 1), "45 of 50 scans were segmented; look at 1 of them before you use it."),
    ((50, 50, 0), "None of 50 scans were segmented."),
])  # fmt: skip
def test_the_headline_is_a_sentence(numbers: tuple[int, int, int], text: str) -> None:
    assert headline(*numbers) == text


@pytest.mark.parametrize(("confidence", "text", "kind"), [
    ({"forecast_dice": 0.874, "forecast_error": 0.034}, "0.87 ± 0.03", "a forecast, not measured"),
    ({"forecast_dice": 0.87, "forecast_error": 0.001, "expected_dice": 0.5}, "0.87 ± 0.01", "a forecast, not measured"),
    ({"forecast_dice": 0.0}, "0.00", "a forecast, not measured"),
    ({"expected_dice": 0.914}, "0.91", "as the network itself sees it, not measured"),
    ({"expected_dice": None}, "\N{EN DASH}", "not known"),
])  # fmt: skip
def test_the_expected_dice_has_its_error_and_says_what_it_is(
    confidence: dict[str, float | None], text: str, kind: str
) -> None:
    assert dice_text(confidence) == text
    assert dice_kind(confidence, warned=False) == kind


def test_a_forecast_is_not_vouched_for_where_a_scan_is_unlike_the_training_scans() -> None:
    assert dice_kind({"forecast_dice": 0.9}, warned=True) == "a forecast that may not hold for this scan"


def test_measures_that_are_there_are_named_in_a_fixed_order() -> None:
    known = {"doubtful_ml": 1.5, "agreement": 0.98, "margin": 0.9, "boundary_entropy": 0.0}
    assert measures_text(known) == "margin 0.90, boundary entropy 0.00, agreement 0.98, 1.50 ml in doubt"
    with_forecast = measures_text({"forecast_dice": 0.8, "expected_dice": 0.95})
    assert with_forecast == "own estimate of Dice 0.95"
    assert measures_text({"expected_dice": 0.95, "doubtful_ml": 0.0, "margin": None}) == ""


def test_costs_and_volumes() -> None:
    assert cost_text(1.234, 812.0) == "1.23 s, 0.81 GB at most"
    assert cost_text(345.6, 0.0) == "346 s"
    assert cost_text(0.0, 0.0) == ""
    assert volume_text(0.001) == "<0.01 ml"
    assert volume_text(1504.2) == "1504 ml"
