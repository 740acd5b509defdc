"""What is compared, and which values are better."""

from __future__ import annotations

import pytest

from medseg.ops.comparing.measures import compared_in, compared_kind, value_of
from medseg.ops.scoring.rows import ALL, HEALTHY, columns, measures_of


def test_everything_is_compared_in_which_one_run_can_be_better() -> None:
    told = {"volume_truth_ml", "volume_predicted_ml", "lesions_truth"}
    assert set(compared_in("tumour")) == set(measures_of("tumour")) - told
    assert set(compared_in(HEALTHY)) == set(measures_of(HEALTHY)) - told
    assert compared_in(ALL) == ("pixel_accuracy", "miou")
    assert list(compared_in("tumour")) == [name for name in columns if name in compared_in("tumour")]


def test_errors_of_volume_are_compared_by_their_size() -> None:
    assert value_of({"volume_error_ml": -3.0}, "volume_error_ml") == 3.0
    assert compared_kind("volume_error_ml").better == "lower"
    assert value_of({"dice": 0.5}, "dice") == 0.5
    assert value_of({"lesions_found": 2}, "lesions_found") == 2.0


@pytest.mark.parametrize("measure", ["iou", "sensitivity", "precision", "specificity", "nsd"])
def test_a_failed_scan_that_was_not_scored_in_full_has_the_worst_of_every_share(measure: str) -> None:
    assert value_of({"dice": 0.0, measure: None, "reason": "no memory"}, measure) == 0.0
    assert value_of({"dice": None, measure: None, "reason": "no memory"}, measure) is None, "nobody looked for it"
    assert value_of({"dice": 0.0, measure: None, "reason": None}, measure) is None
    assert value_of({}, measure) is None


def test_a_failed_scan_has_no_distance_and_no_volume_that_nobody_measured() -> None:
    row = {"dice": 0.0, "reason": "no memory"}
    assert [value_of(row, measure) for measure in ("hd95_mm", "volume_error_ml", "lesion_dice")] == [None] * 3


def test_a_text_is_no_measure() -> None:
    with pytest.raises(TypeError, match="dice is a number, got 'good'"):
        value_of({"dice": "good"}, "dice")
