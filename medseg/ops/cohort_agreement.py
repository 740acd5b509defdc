"""How predicted volumes agree with true ones, region by region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from medseg.ops.cohort_cells import Record, number_in, plain, rows_of
from medseg.ops.scoring.rows import ALL, HEALTHY, Row
from medseg.ops.statistics.agreement import bland_altman, concordance


def volume_agreement(rows: Sequence[Row], seed: int) -> dict[str, Record]:
    """Return Bland-Altman and concordance of the volumes in ml of every region, over scans that truly hold it.

    Scans without the region would agree by holding nothing, and say little about size; their false volume stands among
    the healthy scans. A scan whose prediction failed has no predicted volume and is counted as undefined.
    """
    names = sorted({str(row["region"]) for row in rows} - {HEALTHY, ALL})
    return {name: _agreement(_holding(rows, name), seed, name) for name in names}


def _holding(rows: Sequence[Row], region: str) -> list[Row]:
    return [row for row in rows_of(rows, region) if (number_in(row, "volume_truth_ml") or 0) > 0]


def _agreement(rows: Sequence[Row], seed: int, region: str) -> Record:
    truth = [number_in(row, "volume_truth_ml") for row in rows]
    predicted = [number_in(row, "volume_predicted_ml") for row in rows]
    subjects = [str(row["subject"]) for row in rows]
    found = asdict(bland_altman(truth, predicted, subjects, seed, "volumes", region))
    return {"bland_altman": plain(found), "concordance": plain(asdict(concordance(truth, predicted, subjects)))}
