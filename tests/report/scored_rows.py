"""Rows of scores.csv, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medseg.ops.scoring.rows import columns

Row = dict[str, Any]


def row(case: str, dice: float | None, region: str = "tumour", **cells: Any) -> Row:
    """Make a row: a tumour scan of 10 ml, 10 ml predicted, half of it right, unless cells say otherwise."""
    usual: Mapping[str, Any] = {
        "subject": case,
        "cohort": "tumour",
        "sensitivity": 0.5,
        "precision": 0.5,
        "volume_truth_ml": 10.0,
        "volume_predicted_ml": 10.0,
        "volume_error_ml": 0.0,
        "lesions_truth": 1,
        "lesions_found": 1,
        "false_lesions": 0,
    }
    return dict.fromkeys(columns) | {"case": case, "region": region, "dice": dice} | dict(usual) | cells


def healthy(case: str, predicted_ml: float, **cells: Any) -> Row:
    """Make the row of a healthy scan with so much marked in it."""
    dice = None if predicted_ml == 0 else 0.0
    false = 0 if predicted_ml == 0 else 1
    own = {"cohort": "healthy", "volume_truth_ml": 0.0, "volume_predicted_ml": predicted_ml, "lesions_truth": 0}
    return row(case, dice, **(own | {"lesions_found": 0, "false_lesions": false} | cells))
