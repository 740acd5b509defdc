"""From one row per case and region to the summary: regions, tumour scans against healthy scans, nothing dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from medseg.ops.scoring.rows import HEALTHY, UNKNOWN, Row, measures_of
from medseg.ops.statistics.summaries import Summary, summarise_values

# Lesion sizes in ml are told apart at these bounds (lower bound inside).
_BIN_EDGES_ML = (0.0, 0.1, 1.0, 10.0)


def summarise(
    rows: Sequence[Row],
    *,
    tumour: str,
    headline: Sequence[str],
    held_out: Sequence[str],
    failed: Sequence[Mapping[str, str]],
    lesions: Sequence[Row] = (),
    seed: int = 0,
) -> dict[str, object]:
    """Make the content of summary.json; the order of rows, cases and lesions does not matter.

    rows: `columns` of every held-out case and region.  headline: the regions whose mean Dice per case is `mean_dice`.
    failed: `case` and `reason`.  lesions: `ml` and `found` of every lesion of the tumour region.
    Rows of failed cases take part with their worst values. Undefined cells are counted, never guessed. Scans of unknown
    cohort belong to neither of the two; they are counted.
    """
    ordered = sorted(rows, key=lambda row: (str(row["subject"]), str(row["case"])))
    names = list(dict.fromkeys(str(row["region"]) for row in rows))
    return {
        "regions": {name: _region(_of(ordered, name), name, seed) for name in sorted(names)},
        "mean_dice": _mean_dice(ordered, headline, seed),
        "cohorts": {
            "tumour": _tumour_cohort(ordered, tumour, lesions, seed),
            "healthy": _healthy_cohort(ordered, tumour, seed),
            "unknown": {"n": sum(row["cohort"] == UNKNOWN for row in _of(ordered, tumour))},
        },
        "held_out": sorted(held_out),
        "failed": sorted((dict(entry) for entry in failed), key=lambda entry: entry["case"]),
    }


def _region(rows: Sequence[Row], name: str, seed: int) -> dict[str, object]:
    return {measure: _summary(rows, measure, seed, name) for measure in measures_of(name)}


def _mean_dice(rows: Sequence[Row], headline: Sequence[str], seed: int) -> dict[str, object]:
    """Average Dice over the headline regions of each case first, over cases then."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        if row["region"] in headline:
            cases.setdefault(str(row["case"]), []).append(row)
    means = [_mean(sorted(_numbers(case, "dice"))) for case in cases.values()]
    subjects = [str(case[0]["subject"]) for case in cases.values()]
    return _record(summarise_values(means, subjects, seed, "mean_dice"))


def _tumour_cohort(rows: Sequence[Row], tumour: str, lesions: Sequence[Row], seed: int) -> dict[str, object]:
    scans = [row for row in _of(rows, tumour) if row["cohort"] == "tumour"]
    return {
        "n": len(scans),
        "dice": _summary(scans, "dice", seed, "tumour cohort"),
        "healthy_tissue_dice": _summary(_of(rows, HEALTHY), "dice", seed, "all scans"),
        "detection": _detection(_of(rows, tumour)),
        "lesions": _recall_by_size(lesions),
    }


def _healthy_cohort(rows: Sequence[Row], tumour: str, seed: int) -> dict[str, object]:
    """Describe healthy scans; one whose prediction failed is not clean, and its false volume is undefined."""
    scans = [row for row in _of(rows, tumour) if row["cohort"] == "healthy"]
    tissue = [row for row in _of(rows, HEALTHY) if row["cohort"] == "healthy"]
    volumes = _numbers(scans, "volume_predicted_ml")
    clean = sum(volume == 0 for volume in volumes)
    return {
        "n": len(scans),
        "clean": clean,
        "clean_share": _share(clean, len(scans)),
        "false_positive_ml": {
            "mean": _mean(sorted(volumes)),
            "p95": float(np.percentile(volumes, 95)) if volumes else None,
            "max": max(volumes, default=None),
            "n": len(volumes),
            "undefined": len(scans) - len(volumes),
        },
        "healthy_tissue_dice": _summary(tissue, "dice", seed, "healthy cohort"),
    }


def _detection(rows: Sequence[Row]) -> dict[str, object]:
    """Judge subjects: one with tumour is found by any true overlap, a healthy one is clean without any false voxel.

    A subject with a scan in which nobody looked for tumour, and with none that has tumour, is not judged.
    """
    ill = {str(row["subject"]) for row in rows if row["cohort"] == "tumour"}
    found = _subjects(rows, lambda row: row["cohort"] == "tumour" and _positive(row["dice"]))
    well = {str(row["subject"]) for row in rows} - ill - _subjects(rows, lambda row: row["cohort"] == UNKNOWN)
    alarmed = _subjects(rows, lambda row: row["volume_predicted_ml"] != 0)
    clean = len(well - alarmed)
    return {
        "tumour_subjects": len(ill),
        "found": len(found),
        "sensitivity": _share(len(found), len(ill)),
        "healthy_subjects": len(well),
        "clean": clean,
        "specificity": _share(clean, len(well)),
    }


def _recall_by_size(lesions: Sequence[Row]) -> dict[str, object]:
    bounds = zip(_BIN_EDGES_ML, (*_BIN_EDGES_ML[1:], None), strict=True)
    return _recall(lesions) | {"bins": [_bin(lesions, low, high) for low, high in bounds]}


def _bin(lesions: Sequence[Row], low: float, high: float | None) -> dict[str, object]:
    inside = [row for row in lesions if low <= _number(row["ml"]) < (high or float("inf"))]
    return {"from_ml": low, "to_ml": high} | _recall(inside)


def _recall(lesions: Sequence[Row]) -> dict[str, object]:
    found = sum(bool(row["found"]) for row in lesions)
    return {"n": len(lesions), "found": found, "recall": _share(found, len(lesions))}


def _of(rows: Sequence[Row], region: str) -> list[Row]:
    return [row for row in rows if row["region"] == region]


def _subjects(rows: Sequence[Row], wanted: Callable[[Row], bool]) -> set[str]:
    return {str(row["subject"]) for row in rows if wanted(row)}


def _summary(rows: Sequence[Row], measure: str, seed: int, name: str) -> dict[str, object]:
    values = [None if row[measure] is None else _number(row[measure]) for row in rows]
    return _record(summarise_values(values, [str(row["subject"]) for row in rows], seed, name, measure))


def _record(summary: Summary) -> dict[str, object]:
    return asdict(summary) | {"ci95": list(summary.ci95)}


def _numbers(rows: Sequence[Row], measure: str) -> list[float]:
    return [_number(row[measure]) for row in rows if row[measure] is not None]


def _number(value: object) -> float:
    if not isinstance(value, (int, float)):
        raise TypeError(f"a measure is a number, got {value!r}")
    return float(value)


def _positive(value: object) -> bool:
    return value is not None and _number(value) > 0


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
