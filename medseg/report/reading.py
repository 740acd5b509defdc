"""Read back what a run or an evaluation left in its folder: numbers, rows, settings, the training curve."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medseg.report.scores import Row, read_scores
from medseg.values.error import Refusal

Curve = list[dict[str, float | None]]
Json = dict[str, Any]
Kind = Literal["run", "evaluation"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder that was read. kind: "run" of an experiment, or "evaluation" of label maps from anywhere.

    report: where scores.csv, summary.json and report.html lie.  rows: those of scores.csv.  curve: those of curve.csv,
    none where nothing was trained.
    """

    path: Path
    kind: Kind
    report: Path
    summary: Json
    rows: list[Row]
    curve: Curve

    def text(self, name: str) -> str:
        """Return the text of a file of the folder, "" where it is missing."""
        path = self.path / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def record(self, name: str) -> Json:
        """Return the content of a JSON file of the folder, {} where it is missing."""
        found: Json = json.loads(self.text(name) or "{}")
        return found


def read_kept(path: Path) -> Kept:
    """Read a run's folder, or one that `medseg evaluate` wrote; refuses one without scores and summary."""
    places: dict[Kind, Path] = {"run": path / "report", "evaluation": path}
    for kind, report in places.items():
        if (report / "summary.json").is_file() and (report / "scores.csv").is_file():
            summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
            curve = path / "curve.csv"
            kept = read_curve(curve) if curve.is_file() else []
            return Kept(path, kind, report, summary, read_scores(report / "scores.csv"), kept)
    rule = "a finished run has report/summary.json and report/scores.csv, an evaluation summary.json and scores.csv"
    value = "neither" if path.is_dir() else "no such folder"
    raise Refusal(str(path), rule, value, "check the path, or run it to the end first")


def read_curve(path: Path) -> Curve:
    """Read curve.csv: one row per step, None where a column was not measured then."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(text) if text else None for name, text in row.items()} for row in csv.DictReader(file)]
