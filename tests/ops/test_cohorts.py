"""Cohorts: honest denominators, failed scans at their worst, no influence of order, no NaN."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.ops.cohorts import summarise
from medseg.ops.scoring.rows import columns, looked_for, measures_of

Row = dict[str, object]


def row(case: str, region: str, **cells: object) -> Row:
    """Make a row; `case` is e.g. `t1-a`: a scan of subject `t1`, with tumour as it starts with t."""
    subject = case.split("-")[0]
    cohort = "tumour" if case.startswith("t") else "healthy"
    known: Row = {"case": case, "subject": subject, "cohort": cohort, "region": region}
    return dict.fromkeys(columns) | known | cells


def scan(case: str, dice: float | None, predicted_ml: float | None, **cells: object) -> list[Row]:
    """Make the rows of one scan: two labels, the tumour that joins them, healthy tissue and all classes."""
    truth_ml = 3.0 if case.startswith("t") else 0.0
    return [
        row(case, "core", dice=dice),
        row(case, "oedema", dice=None if dice is None else dice / 2),
        row(case, "tumour", dice=dice, volume_truth_ml=truth_ml, volume_predicted_ml=predicted_ml, **cells),
        row(case, "healthy", dice=0.9),
        row(case, "all", pixel_accuracy=0.99, miou=0.8),
    ]


ROWS = [
    *scan("t1-a", 0.75, 2.5),
    *scan("t1-b", 0.0, 0.0),
    *scan("t2", 0.0, 1.0),
    *scan("t3", 0.0, None, hd95_mm=300.0, reason="no memory"),
    *scan("h1-a", None, 0.0),
    *scan("h1-b", 0.0, 2.0),
    *scan("h2", None, 0.0),
    *scan("h3", 0.0, None, reason="no memory"),
]
LESIONS: list[Row] = [
    {"ml": 0.05, "found": False},
    {"ml": 0.1, "found": True},
    {"ml": 0.5, "found": False},
    {"ml": 20.0, "found": True},
]
FAILED = [{"case": "t3", "reason": "no memory"}, {"case": "h3", "reason": "no memory"}]


def summary(rows: list[Row] = ROWS, seed: int = 0, lesions: list[Row] | None = None) -> dict[str, object]:
    return summarise(
        rows,
        tumour="tumour",
        headline=["core", "oedema"],
        held_out=["t1-a", "t1-b", "t2", "t3", "h1-a", "h1-b", "h2", "h3"],
        failed=FAILED,
        lesions=LESIONS if lesions is None else lesions,
        seed=seed,
    )


def at(found: object, *path: str) -> object:
    for key in path:
        assert isinstance(found, dict)
        found = found[key]
    return found


def test_columns_are_those_of_the_contract() -> None:
    assert columns[:4] == ("case", "subject", "cohort", "region")
    assert columns[-3:] == ("pixel_accuracy", "miou", "reason")
    assert len(set(columns)) == len(columns) == 24
    for region in ("tumour", "healthy", "all"):
        assert set(measures_of(region)) < set(columns)


def test_tumour_dice_counts_every_tumour_scan_and_no_healthy_one() -> None:
    dice = at(summary(), "cohorts", "tumour", "dice")
    assert at(dice, "n") == 4
    assert at(dice, "undefined") == 0
    assert at(dice, "mean") == pytest.approx(0.75 / 4)
    assert at(summary(), "cohorts", "tumour", "n") == 4


def test_region_means_count_false_alarms_and_show_what_is_undefined() -> None:
    dice = at(summary(), "regions", "tumour", "dice")
    assert (at(dice, "n"), at(dice, "undefined")) == (6, 2)
    assert at(dice, "mean") == pytest.approx(0.75 / 6)


def test_healthy_tissue_is_averaged_over_all_scans() -> None:
    tissue = at(summary(), "cohorts", "tumour", "healthy_tissue_dice")
    assert (at(tissue, "n"), at(tissue, "mean")) == (8, pytest.approx(0.9))
    assert at(summary(), "cohorts", "healthy", "healthy_tissue_dice", "n") == 4


def test_healthy_scans_tell_how_often_and_how_much_is_invented() -> None:
    healthy = at(summary(), "cohorts", "healthy")
    assert (at(healthy, "n"), at(healthy, "clean"), at(healthy, "clean_share")) == (4, 2, 0.5)
    volumes = at(healthy, "false_positive_ml")
    assert at(volumes, "mean") == pytest.approx(2 / 3)
    assert at(volumes, "p95") == pytest.approx(np.percentile([0.0, 2.0, 0.0], 95))
    assert (at(volumes, "max"), at(volumes, "n"), at(volumes, "undefined")) == (2.0, 3, 1)


def test_detection_judges_subjects_by_all_of_their_scans() -> None:
    assert at(summary(), "cohorts", "tumour", "detection") == {
        "tumour_subjects": 3,
        "found": 1,
        "sensitivity": pytest.approx(1 / 3),
        "healthy_subjects": 3,
        "clean": 1,
        "specificity": pytest.approx(1 / 3),
    }


def test_a_subject_with_a_healthy_scan_and_a_tumour_scan_is_a_tumour_subject() -> None:
    rows = [*scan("t1", 0.5, 1.0), *[cells | {"subject": "t1"} for cells in scan("h1", None, 0.0)]]
    found = at(summary(rows), "cohorts", "tumour", "detection")
    assert (at(found, "tumour_subjects"), at(found, "healthy_subjects"), at(found, "specificity")) == (1, 0, None)


def test_recall_by_size_puts_every_lesion_into_one_bin() -> None:
    lesions = at(summary(), "cohorts", "tumour", "lesions")
    assert (at(lesions, "n"), at(lesions, "found"), at(lesions, "recall")) == (4, 2, 0.5)
    bins = at(lesions, "bins")
    assert isinstance(bins, list)
    assert [(one["from_ml"], one["to_ml"], one["n"], one["recall"]) for one in bins] == [
        (0.0, 0.1, 1, 0.0),
        (0.1, 1.0, 2, 0.5),
        (1.0, 10.0, 0, None),
        (10.0, None, 1, 1.0),
    ]


def test_mean_dice_averages_labels_within_a_case_first() -> None:
    found = at(summary(), "mean_dice")
    assert (at(found, "n"), at(found, "undefined")) == (6, 2)
    assert at(found, "mean") == pytest.approx(0.75 * 0.75 / 6)
    uneven = [
        row("t1", "core", dice=1.0),
        row("t1", "oedema"),
        row("t2", "core", dice=0.0),
        row("t2", "oedema", dice=0.5),
    ]
    assert at(summary(uneven), "mean_dice", "mean") == pytest.approx((1.0 + 0.25) / 2)


def test_failed_and_held_out_cases_are_listed() -> None:
    found = summary()
    assert found["failed"] == [{"case": "h3", "reason": "no memory"}, {"case": "t3", "reason": "no memory"}]
    assert found["held_out"] == ["h1-a", "h1-b", "h2", "h3", "t1-a", "t1-b", "t2", "t3"]


def test_each_kind_of_region_has_its_own_measures() -> None:
    regions = at(summary(), "regions")
    assert isinstance(regions, dict)
    assert set(regions) == {"core", "oedema", "tumour", "healthy", "all"}
    assert set(regions["all"]) == {"pixel_accuracy", "miou"}
    assert "lesion_dice" in regions["tumour"]
    assert "lesion_dice" not in regions["healthy"]
    assert "miou" not in regions["tumour"]
    assert set(regions["core"]["dice"]) == {"mean", "sd", "ci95", "median", "n", "undefined"}


@given(order=st.permutations(range(len(ROWS))), lesions=st.permutations(range(len(LESIONS))))
@settings(max_examples=8, deadline=None)
def test_order_does_not_change_a_byte(order: list[int], lesions: list[int]) -> None:
    shuffled = summary([ROWS[i] for i in order], lesions=[LESIONS[i] for i in lesions])
    assert json.dumps(shuffled, allow_nan=False) == json.dumps(summary(), allow_nan=False)


@pytest.mark.parametrize("rows", [[], scan("t1", 0.5, 1.0), scan("h1", None, 0.0)])
def test_small_cohorts_have_none_and_never_nan(rows: list[Row]) -> None:
    text = json.dumps(summary(rows, lesions=[]), allow_nan=False)
    assert "NaN" not in text


def test_a_data_set_without_healthy_scans_has_no_specificity() -> None:
    found = summary(scan("t1", 0.5, 1.0))
    assert at(found, "cohorts", "healthy", "n") == 0
    assert at(found, "cohorts", "healthy", "clean_share") is None
    assert at(found, "cohorts", "healthy", "false_positive_ml", "max") is None
    assert at(found, "cohorts", "tumour", "detection", "specificity") is None


def test_a_measure_that_is_text_is_not_guessed_at() -> None:
    with pytest.raises(TypeError, match=r"a measure is a number, got '0\.5'"):
        summary([row("t1", "core", dice="0.5")])


def test_scans_without_annotation_of_the_tumour_are_in_neither_cohort() -> None:
    """One from a healthy subject, which then is not known to be healthy, one from a tumour subject, one alone."""
    unknown = [
        {**one, "cohort": "unknown"}
        for case, subject in (("h1-c", "h1"), ("t1-c", "t1"), ("u1", "u1"))
        for one in [row(case, "core"), row(case, "oedema", dice=0.5), row(case, "tumour"), row(case, "healthy")]
        if one["subject"] == subject
    ]
    found, before = summary([*ROWS, *unknown]), summary()
    assert at(found, "cohorts", "unknown", "n") == 3
    assert at(before, "cohorts", "unknown", "n") == 0
    assert at(found, "cohorts", "tumour", "dice") == at(before, "cohorts", "tumour", "dice")
    assert at(found, "cohorts", "healthy") == at(before, "cohorts", "healthy")
    judged = at(found, "cohorts", "tumour", "detection")
    assert at(judged, "tumour_subjects") == 3
    assert (at(judged, "healthy_subjects"), at(judged, "clean")) == (2, 1)
    assert at(found, "regions", "tumour", "dice", "undefined") == 2 + 3
    assert at(found, "regions", "oedema", "dice", "n") == at(before, "regions", "oedema", "dice", "n") + 3  # type: ignore[operator]


def test_a_row_of_a_region_that_nobody_looked_for_has_no_cell() -> None:
    assert not looked_for(row("t1", "core"))
    assert looked_for(row("h1", "core", volume_truth_ml=0.0))
    assert looked_for(row("t1", "all", miou=0.0))
