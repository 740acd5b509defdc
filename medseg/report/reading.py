"""Read back what a run or an evaluation left in its folder: numbers, rows, settings, the training curve."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from medseg.report.scores import Row, read_scores
from medseg.values.error import Refusal

Curve = list[dict[str, float | None]]
Json = dict[str, Any]
Kind = Literal["run", "evaluation"]
Found = TypeVar("Found")
_LONGEST_VALUE = 200


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
        return _read(path, str) if path.is_file() else ""

    def record(self, name: str) -> Json:
        """Return the content of a JSON file of the folder, {} where it is missing."""
        return self.tree(name, json.loads)

    def tree(self, name: str, parse: Callable[[str], Any]) -> Json:
        """Return what `parse` finds in the text of a file of the folder, {} where it is missing or empty."""
        path = self.path / name
        return _read(path, lambda text: _object(parse(text) or {})) if path.is_file() else {}


def read_kept(path: Path) -> Kept:
    """Read a run's folder, or one that `medseg evaluate` wrote; refuses one without sound scores and summary."""
    places: dict[Kind, Path] = {"run": path / "report", "evaluation": path}
    for kind, report in places.items():
        if (report / "summary.json").is_file() and (report / "scores.csv").is_file():
            summary = _read(report / "summary.json", lambda text: _object(json.loads(text)))
            curve = path / "curve.csv"
            kept = _kept_whole(curve, read_curve) if curve.is_file() else []
            rows = _kept_whole(report / "scores.csv", read_scores)
            return Kept(path, kind, report, summary, rows, kept)
    rule = "a finished run has report/summary.json and report/scores.csv, an evaluation summary.json and scores.csv"
    value = "neither" if path.is_dir() else "no such folder"
    raise Refusal(str(path), rule, value, "check the path, or run it to the end first")


def read_curve(path: Path) -> Curve:
    """Read curve.csv: one row per step, None where a column was not measured then."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(text) if text else None for name, text in row.items()} for row in csv.DictReader(file)]


def _read(path: Path, parse: Callable[[str], Found]) -> Found:
    return _kept_whole(path, lambda path: parse(path.read_text(encoding="utf-8")))


def _kept_whole(path: Path, read: Callable[[Path], Found]) -> Found:
    """Return what `read` finds; refuses a file that is not as medseg left it."""
    try:
        return read(path)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        rule, value = "the file is as medseg wrote it", str(error)[:_LONGEST_VALUE]
        raise Refusal(str(path), rule, value, "copy the folder again, or make it again") from error


def _object(content: object) -> Json:
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__} where names and values belong")
    return content
