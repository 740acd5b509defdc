"""Cohorts: honest denominators, failed scans at their worst, no influence of order, no NaN."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.ops.cohorts import summarise
from medseg.ops.scoring.certainty import measure_certainty
from medseg.ops.scoring.froc import RATES, THRESHOLDS, failed_froc, measure_froc
from medseg.ops.scoring.rows import columns, looked_for, measures_of
from medseg.ops.statistics.shares import share_interval

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
LESIONS: dict[str, list[Row]] = {
    "t1-a": [{"ml": 0.05, "found": False}, {"ml": 20.0, "found": True}],
    "t2": [{"ml": 0.1, "found": True}],
    "t3": [{"ml": 0.5, "found": False}],
}


def scored(rows: list[Row], **more: dict[str, Any]) -> list[dict[str, Any]]:
    """Gather rows case by case as scores.json holds them; `more` by key: what each case holds under it."""
    return [
        {
            "case": case,
            "rows": (own := [cells for cells in rows if cells["case"] == case]),
            "failed": next((cells["reason"] for cells in own if cells["reason"]), None),
            "lesions": LESIONS.get(case, []),
            **{key: cases[case] for key, cases in more.items() if case in cases},
        }
        for case in dict.fromkeys(str(cells["case"]) for cells in rows)
    ]


def summary(rows: list[Row] = ROWS, seed: int = 0, **more: dict[str, Any]) -> dict[str, object]:
    return summarised(scored(rows, **more), seed)


def summarised(scores: list[dict[str, Any]], seed: int = 0) -> dict[str, object]:
    held_out = ["t1-a", "t1-b", "t2", "t3", "h1-a", "h1-b", "h2", "h3"]
    return summarise(scores, tumour="tumour", headline=["core", "oedema"], held_out=held_out, seed=seed)


def at(found: object, *path: str) -> object:
    for key in path:
        assert isinstance(found, dict)
        found = found[key]
    return found


def test_columns_are_those_of_the_contract() -> None:
    assert columns[:4] == ("case", "subject", "cohort", "region")
    assert columns[-4:] == ("pixel_accuracy", "miou", "site", "reason")
    assert len(set(columns)) == len(columns)
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
    found = at(summary(), "cohorts", "tumour", "detection")
    counts = [at(found, name) for name in ("tumour_subjects", "found", "healthy_subjects", "clean")]
    assert counts == [3, 1, 3, 1]
    third = pytest.approx(list(share_interval([True, False, False], ["a", "b", "c"])))
    for name in ("sensitivity", "specificity"):
        assert at(found, name) == pytest.approx(1 / 3)
        assert at(found, f"{name}_ci95") == third


def test_a_subject_with_a_healthy_scan_and_a_tumour_scan_is_a_tumour_subject() -> None:
    rows = [*scan("t1", 0.5, 1.0), *[cells | {"subject": "t1"} for cells in scan("h1", None, 0.0)]]
    found = at(summary(rows), "cohorts", "tumour", "detection")
    assert (at(found, "tumour_subjects"), at(found, "healthy_subjects"), at(found, "specificity")) == (1, 0, None)


def test_recall_by_size_puts_every_lesion_into_one_bin() -> None:
    lesions = at(summary(), "cohorts", "tumour", "lesions")
    assert (at(lesions, "n"), at(lesions, "found"), at(lesions, "recall")) == (4, 2, 0.5)
    expected = share_interval([False, True, True, False], ["t1", "t1", "t2", "t3"])
    assert at(lesions, "recall_ci95") == pytest.approx(list(expected))
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


@given(order=st.permutations(range(8)), turned=st.booleans())
@settings(max_examples=8, deadline=None)
def test_order_does_not_change_a_byte(order: list[int], turned: bool) -> None:
    step = -1 if turned else 1
    shuffled = [
        one | {"rows": one["rows"][::step], "lesions": one["lesions"][::step]}
        for one in (scored(ROWS)[place] for place in order)
    ]
    assert json.dumps(summarised(shuffled), allow_nan=False) == json.dumps(summary(), allow_nan=False)


@pytest.mark.parametrize("rows", [[], scan("t1", 0.5, 1.0), scan("h1", None, 0.0)])
def test_small_cohorts_have_none_and_never_nan(rows: list[Row]) -> None:
    text = json.dumps(summary(rows), allow_nan=False)
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


def test_distances_of_the_tumour_cohort_count_failures_and_no_healthy_scan() -> None:
    rows = [
        *scan("t1", 0.8, 2.0, hd95_mm=4.0),
        *scan("t2", 0.0, None, hd95_mm=300.0),
        *scan("h1", 0.0, 1.0, hd95_mm=9.0),
    ]
    found = at(summary(rows), "cohorts", "tumour", "hd95_mm")
    assert (at(found, "n"), at(found, "mean"), at(found, "median")) == (2, 152.0, 152.0)


def test_a_clean_share_of_few_healthy_scans_says_how_little_it_knows() -> None:
    found = at(summary([*scan("h1", None, 0.0), *scan("h2", None, 0.0)]), "cohorts", "healthy")
    assert at(found, "clean_share") == 1.0
    low, high = at(found, "clean_share_ci95")  # type: ignore[misc]
    assert low < 0.4
    assert high == 1.0


def test_volumes_agree_over_scans_that_hold_the_region_failed_ones_counted() -> None:
    volumes = at(summary(), "volumes")
    assert isinstance(volumes, dict)
    assert set(volumes) == {"core", "oedema", "tumour"}
    found = at(volumes, "tumour", "bland_altman")
    assert at(found, "bias") == pytest.approx(np.mean([2.5 - 3, 0 - 3, 1 - 3]))
    assert (at(found, "n"), at(found, "subjects"), at(found, "undefined")) == (3, 2, 1)
    assert at(found, "limits") == [pytest.approx(one, abs=9) for one in (-4.5, 0.5)]
    assert at(volumes, "tumour", "concordance", "value") == 0
    assert at(volumes, "core", "bland_altman", "n") == 0
    assert at(volumes, "core", "concordance", "value") is None


def test_sites_are_told_apart_and_scans_without_one_are_not_dropped() -> None:
    places = {"t1-a": "Oslo", "t1-b": "Oslo", "h1-a": "Oslo", "t2": "Ulm", "h2": "Ulm"}
    rows = [cells | {"site": places.get(str(cells["case"]))} for cells in ROWS]
    sites = at(summary(rows), "sites")
    assert isinstance(sites, dict)
    assert list(sites) == ["", "Oslo", "Ulm"]
    assert [at(sites, name, "n") for name in sites] == [3, 3, 2]
    assert at(sites, "Oslo", "subjects") == 2
    assert at(sites, "Oslo", "dice", "mean") == pytest.approx(0.75 / 2)
    assert at(sites, "Oslo", "healthy") == {"n": 1, "clean": 1}
    assert at(sites, "", "healthy") == {"n": 2, "clean": 0}
    assert at(sites, "Oslo", "regions", "oedema", "n") == 2
    assert summary()["sites"] == {}


def test_maps_are_pooled_over_scans_and_a_failed_scan_misses_its_lesions() -> None:
    truth = np.zeros((8, 8, 8), bool)
    truth[1:3, 1:3, 1:3] = True
    probability = np.where(truth, 0.92, 0.0)
    probability[6, 6, 6] = 0.55
    here = asdict(measure_froc(probability, truth))
    sure = {"tumour": asdict(measure_certainty(probability, truth, np.ones_like(truth)))}
    froc = {"t1-a": here, "t2": here, "t3": asdict(failed_froc(1))}
    found = summary(froc=froc, reliability={"t1-a": sure, "t2": sure})
    curve: Any = found["froc"]
    assert (curve["lesions"], curve["scans"], curve["rates"]) == (3, 2, list(RATES))
    at_half = THRESHOLDS.index(0.5)
    assert curve["sensitivity"][at_half] == pytest.approx(2 / 3)
    assert curve["false_per_scan"][at_half] == 1
    bins: Any = at(found, "reliability", "tumour")
    assert (bins["scans"], sum(bins["answers"])) == (2, 2 * 512)
    assert (bins["right"][13], bins["confidence"][13]) == (1.0, pytest.approx(0.92))
    assert (bins["right"][5], bins["confidence"][5]) == (0.0, 0.0)
    assert bins["brier"] == pytest.approx((8 * 0.08**2 + 0.55**2) / 512)
    assert bins["ece"] == pytest.approx((8 * 0.08 + 0.55) / 512)


def test_without_maps_there_is_neither_curve_nor_bins() -> None:
    assert (summary()["froc"], summary()["reliability"]) == (None, {})
    failed = summary(froc={"t3": asdict(failed_froc(1))})
    assert failed["froc"] is None
