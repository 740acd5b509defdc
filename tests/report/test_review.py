"""What a person should look at, and in which order."""

from __future__ import annotations

import itertools

import pytest

from medseg.files.segmented import SegmentedScan
from medseg.report.review import GOOD_DICE, concerns, expected_dice, is_empty, remarks, review_queue, standing
from medseg.values.finding import Finding
from tests.report.segmented_scans import empty, failed, scan, unlike


def test_the_queue_is_worst_first_and_does_not_depend_on_the_order_given() -> None:
    wanted = [failed("b"), scan("z", status="refused", reason="unlike"), empty("doubtful", 3.0), scan("low", 0.31),
              scan("middling", 0.69), unlike("strange"), scan("good", 0.8), scan("same", 0.9), scan("same too", 0.9),
              empty("clean")]  # fmt: skip
    for start in range(len(wanted)):
        mixed = wanted[start:] + wanted[:start]
        assert [one.case for one in review_queue(reversed(mixed))] == [one.case for one in wanted]


def test_scans_that_nothing_vouches_for_are_looked_at_before_others() -> None:
    nothing_known = unlike("strange").model_copy(update={"confidence": {}})
    assert review_queue([unlike("known", 0.2), nothing_known])[0] == nothing_known


@pytest.mark.parametrize(("one", "wanted"), [
    (failed("a"), "failed"),
    (scan("a", status="refused"), "failed"),
    (scan("a", GOOD_DICE), "fine"),
    (scan("a", GOOD_DICE - 0.001), "look"),
    (scan("a", None, confidence={"expected_dice": 0.5}), "look"),
    (scan("a", confidence={"forecast_dice": 0.9, "expected_dice": 0.5}), "fine"),
    (scan("a", confidence={}), "fine"),
    (unlike("a"), "look"),
    (empty("a"), "fine"),
    (empty("a", 0.004), "fine"),
    (empty("a", 0.01), "look"),
])  # fmt: skip
def test_what_should_be_looked_at_first(one: SegmentedScan, wanted: str) -> None:
    assert standing(one) == wanted
    assert bool(concerns(one)) == (wanted == "look")


def test_concerns_say_what_was_found_and_what_to_do() -> None:
    found = {one.rule: one for one in (*concerns(scan("a", 0.456)), *concerns(empty("b", 2.5)))}
    low, doubtful = found["the expected Dice is at least 0.70"], found["where nothing was found, nothing is in doubt"]
    assert low.value == "0.46"
    assert "look at the mask over the scan" in low.remedy
    assert doubtful.value == "2.50 ml that may well be foreground"
    assert "missed" in doubtful.remedy


def test_doubt_counts_only_where_nothing_was_found() -> None:
    assert not concerns(scan("a", confidence={"forecast_dice": 0.9, "doubtful_ml": 40.0}))


def test_notes_of_the_guard_are_no_concern_and_its_warnings_come_first() -> None:
    note = Finding(severity="note", rule="r", value="v", remedy="nothing to do")
    assert standing(scan("a", guard=(note,))) == "fine"
    both = unlike("a", 0.2)
    assert concerns(both)[0] == both.guard[0]
    assert len(concerns(both)) == 2


def test_what_was_cleaned_away_is_remarked_and_no_concern() -> None:
    emptied = scan("a", volume_ml={"liver": 0.0, "tumour": 0.0}, confidence={"margin": 0.9, "expected_dice": 0.9})
    (remark,) = remarks(emptied)
    assert (remark.severity, remark.rule) == ("note", "what the network finds is in the mask")
    assert standing(emptied) == "fine"
    assert not remarks(empty("a"))
    assert not remarks(scan("a"))


def test_empty_is_a_mask_without_volume_and_not_a_scan_without_a_mask() -> None:
    assert is_empty(empty("a"))
    assert not any(map(is_empty, (scan("a"), failed("a"), scan("a", volume_ml={}), scan("a", status="refused"))))


def test_the_forecast_goes_before_what_the_probabilities_promise() -> None:
    for forecast, promised in itertools.product((None, 0.0, 0.8), (None, 0.9)):
        found = expected_dice(scan("a", confidence={"forecast_dice": forecast, "expected_dice": promised}))
        assert found == (promised if forecast is None else forecast)
