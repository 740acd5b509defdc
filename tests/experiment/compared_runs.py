"""Folders with scores as a run and as `evaluate` leave them, from a few numbers: what `medseg compare` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from medseg.ops.scoring.rows import columns
from medseg.report.scores import write_scores

Row = dict[str, Any]
TRUTH_ML = 4.0


def scan(case: str, dice: float | None, **cells: Any) -> list[Row]:
    """Make the rows of a scan: `t...` has a tumour, `h...` is healthy; `cells` go into the row of the tumour.

    A healthy scan with a Dice of 0 has 2 ml marked, one with None nothing. `t1-a` and `t1-b` are of one person.
    """
    ill = case.startswith("t")
    predicted = TRUTH_ML * (0.5 + (dice or 0) / 2) if ill else (0.0 if dice is None else 2.0)
    known = {"case": case, "subject": case.split("-")[0], "cohort": "tumour" if ill else "healthy"}
    tumour = {
        "dice": dice,
        "iou": None if dice is None else dice / (2 - dice),
        "hd95_mm": None if dice is None else 20 * (1 - dice),
        "volume_truth_ml": TRUTH_ML if ill else 0.0,
        "volume_predicted_ml": predicted,
        "volume_error_ml": predicted - (TRUTH_ML if ill else 0.0),
    }
    core = {"dice": None if dice is None else dice / 2, "volume_truth_ml": 1.0 if ill else 0.0}
    parts = {
        "core": core,
        "tumour": tumour | cells,
        "healthy": {"dice": 0.9},
        "all": {"pixel_accuracy": 0.99, "miou": 0.8},
    }
    reason = {"reason": cells.get("reason")}
    return [dict.fromkeys(columns) | known | {"region": name} | own | reason for name, own in parts.items()]


def scans(values: Mapping[str, float | None]) -> list[Row]:
    """Make the rows of several scans from their Dice."""
    return [row for case, dice in values.items() for row in scan(case, dice)]


def write_evaluated(folder: Path, rows: Sequence[Row], tumour: str = "tumour", settings: Row | None = None) -> Path:
    """Write what `evaluate` leaves: scores.csv, summary.json and, where `settings` are given, evaluate.json."""
    folder.mkdir(parents=True)
    write_scores(folder / "scores.csv", rows)
    (folder / "summary.json").write_text(json.dumps({"tumour": tumour}), encoding="utf-8")
    if settings is not None:
        (folder / "evaluate.json").write_text(json.dumps({"settings": settings}), encoding="utf-8")
    return folder


def write_run(folder: Path, rows: Sequence[Row], **settings: Any) -> Path:
    """Write what a run leaves: its report and settings.yaml; `settings` go over those of a plain run."""
    write_evaluated(folder / "report", rows)
    tree = {
        "name": folder.name,
        "seed": 0,
        "debug": False,
        "data": {"kind": "folder", "root": "scans"},
        "split": {"held_out": "cases.txt", "folds": 0, "fold": 0},
        "network": {"kind": "unet3d", "width": 8},
        "score": {"nsd_tolerance_mm": 1.0, "empty": "undefined", "lesions": "none"},
        "report": {"title": folder.name},
        "machine": {"device": "cpu"},
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(tree | settings), encoding="utf-8")
    return folder
