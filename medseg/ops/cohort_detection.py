"""Whether a tumour was noticed at all: subject by subject, lesion by lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medseg.ops.cohort_cells import Record, number_in, share, subjects_of
from medseg.ops.scoring.rows import UNKNOWN, Row

# Lesion sizes in ml are told apart at these bounds (lower bound inside).
_BIN_EDGES_ML = (0.0, 0.1, 1.0, 10.0)
Lesion = tuple[str, float, bool]


def judge_subjects(rows: Sequence[Row]) -> Record:
    """Judge subjects by the rows of the tumour region: sensitivity and specificity.

    One with tumour is found by any true overlap, a healthy one is clean without any false voxel in any scan. A subject
    with a scan in which nobody looked for tumour, and with none that has tumour, is not judged. A scan without a
    prediction finds nothing and is not clean.
    """
    ill = subjects_of(rows, lambda row: row["cohort"] == "tumour")
    found = subjects_of(rows, lambda row: row["cohort"] == "tumour" and (number_in(row, "dice") or 0) > 0)
    well = subjects_of(rows) - ill - subjects_of(rows, lambda row: row["cohort"] == UNKNOWN)
    alarmed = subjects_of(rows, lambda row: row["volume_predicted_ml"] != 0)
    sick, sound = sorted(ill), sorted(well)
    return {
        "tumour_subjects": len(ill),
        "found": len(found),
        **share("sensitivity", [name in found for name in sick], sick),
        "healthy_subjects": len(well),
        "clean": len(well - alarmed),
        **share("specificity", [name not in alarmed for name in sound], sound),
    }


def lesions_of(scores: Sequence[Mapping[str, Any]]) -> list[Lesion]:
    """Return subject, volume in ml and whether it was found, of every lesion of the tumour region."""
    found = []
    for case in scores:
        subject = next((str(row["subject"]) for row in case["rows"]), str(case["case"]))
        found += [(subject, float(lesion["ml"]), bool(lesion["found"])) for lesion in case["lesions"]]
    return sorted(found)


def recall_by_size(lesions: Sequence[Lesion]) -> Record:
    """Return how many lesions were found, of all and by volume; a lesion on a bound belongs to the larger ones."""
    bounds = zip(_BIN_EDGES_ML, (*_BIN_EDGES_ML[1:], None), strict=True)
    return _recall(lesions) | {"bins": [_bin(lesions, low, high) for low, high in bounds]}


def _bin(lesions: Sequence[Lesion], low: float, high: float | None) -> Record:
    inside = [lesion for lesion in lesions if low <= lesion[1] < (high or float("inf"))]
    return {"from_ml": low, "to_ml": high} | _recall(inside)


def _recall(lesions: Sequence[Lesion]) -> Record:
    hits = [hit for _, _, hit in lesions]
    return {"n": len(hits), "found": sum(hits), **share("recall", hits, [subject for subject, _, _ in lesions])}
