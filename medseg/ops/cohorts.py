"""From the scores of all cases to the summary: regions, tumour scans against healthy scans, nothing dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medseg.ops.cohort_agreement import volume_agreement
from medseg.ops.cohort_cells import (
    Record,
    mean,
    number_in,
    numbers_in,
    record,
    rows_of,
    share,
    summarise_cells,
)
from medseg.ops.cohort_detection import Lesion, judge_subjects, lesions_of, recall_by_size
from medseg.ops.cohort_probabilities import pool_froc, pool_reliability
from medseg.ops.cohort_sites import by_site
from medseg.ops.scoring.rows import HEALTHY, UNKNOWN, Row, measures_of
from medseg.ops.statistics.kinds import kind_of
from medseg.ops.statistics.summaries import summarise_values

Scores = Mapping[str, Any]


def summarise(
    scores: Sequence[Scores], *, tumour: str, headline: Sequence[str], held_out: Sequence[str], seed: int = 0
) -> Record:
    """Make the content of summary.json; the order of cases, rows and lesions does not matter.

    scores: what scores.json of the stage score holds, of every held-out case.  headline: the regions whose mean Dice
    per case is `mean_dice`.
    Rows of failed cases take part with their worst values. Undefined cells are counted, never guessed. Scans of unknown
    cohort belong to neither of the two; they are counted. The result:
    "regions" is {REGION: {MEASURE: summary}}, a summary {"mean", "sd", "ci95", "median", "n", "undefined"};
    "sites" is that of `by_site`, "volumes" of `volume_agreement`, "froc" of `pool_froc`, "reliability" of
    `pool_reliability`; "failed" is [{"case", "reason"}].
    """
    scores = sorted(scores, key=lambda case: str(case["case"]))
    rows = sorted((row for case in scores for row in case["rows"]), key=_order)
    names = sorted({str(row["region"]) for row in rows})
    failed = [
        {"case": str(case["case"]), "reason": str(case["failed"])} for case in scores if case["failed"] is not None
    ]
    return {
        "regions": {name: _region(rows_of(rows, name), name, seed) for name in names},
        "mean_dice": _mean_dice(rows, headline, seed),
        "cohorts": {
            "tumour": _tumour_cohort(rows, tumour, lesions_of(scores), seed),
            "healthy": _healthy_cohort(rows, tumour, seed),
            "unknown": {"n": len(rows_of(rows, tumour, UNKNOWN))},
        },
        "sites": by_site(rows, tumour, seed),
        "volumes": volume_agreement(rows, seed),
        "froc": pool_froc(scores),
        "reliability": pool_reliability(scores),
        "held_out": sorted(held_out),
        "failed": failed,
    }


def _order(row: Row) -> tuple[str, str, str]:
    return str(row["subject"]), str(row["case"]), str(row["region"])


def _region(rows: Sequence[Row], name: str, seed: int) -> Record:
    return {measure: summarise_cells(rows, measure, seed, name) for measure in measures_of(name)}


def _mean_dice(rows: Sequence[Row], headline: Sequence[str], seed: int) -> Record:
    """Average Dice over the headline regions of each case first, over cases then."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        if row["region"] in headline:
            cases.setdefault(str(row["case"]), []).append(row)
    means = [mean(numbers_in(case, "dice")) for case in cases.values()]
    subjects = [str(case[0]["subject"]) for case in cases.values()]
    return record(summarise_values(means, subjects, seed, "mean_dice", kind=kind_of("dice")))


def _tumour_cohort(rows: Sequence[Row], tumour: str, lesions: Sequence[Lesion], seed: int) -> Record:
    scans = rows_of(rows, tumour, "tumour")
    return {
        "n": len(scans),
        **{measure: summarise_cells(scans, measure, seed, "tumour cohort") for measure in ("dice", "hd95_mm", "nsd")},
        "healthy_tissue_dice": summarise_cells(rows_of(rows, HEALTHY), "dice", seed, "all scans"),
        "detection": judge_subjects(rows_of(rows, tumour)),
        "lesions": recall_by_size(lesions),
    }


def _healthy_cohort(rows: Sequence[Row], tumour: str, seed: int) -> Record:
    """Describe healthy scans; one whose prediction failed is not clean, and its false volume is undefined."""
    scans = rows_of(rows, tumour, "healthy")
    clean = [number_in(row, "volume_predicted_ml") == 0 for row in scans]
    return {
        "n": len(scans),
        "clean": sum(clean),
        **share("clean_share", clean, [str(row["subject"]) for row in scans]),
        "false_positive_ml": _false_volume(scans),
        "healthy_tissue_dice": summarise_cells(rows_of(rows, HEALTHY, "healthy"), "dice", seed, "healthy cohort"),
    }


def _false_volume(scans: Sequence[Row]) -> Record:
    volumes = numbers_in(scans, "volume_predicted_ml")
    return {
        "mean": mean(volumes),
        "p95": float(np.percentile(volumes, 95)) if volumes else None,
        "max": max(volumes, default=None),
        "n": len(volumes),
        "undefined": len(scans) - len(volumes),
    }
