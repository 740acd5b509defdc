"""Read a run folder back, for notebooks and other people's programs: numbers, tables, curves, pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from medseg.ops.scoring.rows import HEALTHY
from medseg.report.case_table import cases_table
from medseg.report.page import draw_curves, draw_dice
from medseg.report.scores import Row, read_scores
from medseg.report.tables import comparison_table
from medseg.report.templates import environment
from medseg.report.wording import Cells, interval, number
from medseg.values.error import Refusal

Curve = list[dict[str, float | None]]


class Shown:
    """A piece of HTML that a notebook shows as it is."""

    def __init__(self, html: str) -> None:
        self.html = html

    def _repr_html_(self) -> str:
        return self.html


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its folder, summary.json, the rows of scores.csv and of curve.csv."""

    path: Path
    summary: dict[str, Any]
    scores: list[Row]
    curve: Curve

    @property
    def region(self) -> str:
        """Name of the region that makes a scan a tumour scan."""
        return str(self.summary["tumour"])

    @property
    def answer(self) -> str:
        """The result in one or two sentences."""
        return str(self.summary["answer"])

    @property
    def settings(self) -> str:
        """Text of settings.yaml, "" where there is none."""
        path = self.path / "settings.yaml"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def stages(self) -> dict[str, Any]:
        """Content of stages.json, empty where there is none."""
        return _optional(self.path / "stages.json")

    @property
    def card(self) -> dict[str, Any]:
        """Content of model/card.json, empty where there is none."""
        return _optional(self.path / "model" / "card.json")

    def rows(self, region: str | None = None) -> list[Row]:
        """Return the rows of one region, the tumour's unless another is named."""
        return [row for row in self.scores if row["region"] == (region or self.region)]

    def worst(self, n: int = 3) -> list[Row]:
        """Return the `n` tumour scans with the lowest Dice, worst first; failed ones count as 0."""
        ill = [row for row in self.rows() if row["cohort"] == "tumour"]
        return sorted(ill, key=lambda row: (float(row["dice"] or 0), str(row["case"])))[:n]

    def show(self, case: str) -> Image.Image:
        """Return the picture of a held-out case; refuses one that the report made none of."""
        path = self.path / "report" / "cases" / f"{case}.png"
        if not path.is_file():
            raise Refusal(case, "only scans with a prediction have a picture", path, "see run.summary['failed']")
        with Image.open(path) as picture:
            return picture.copy()

    def comparison(self) -> Shown:
        """Show the table of tumour against healthy."""
        rows = comparison_table(self.summary, self.region)["rows"]
        heads = ("question", "answer", "interval", "n", "remark")
        return _table(heads, [[row[head] for head in heads] for row in rows], numbers={1, 2, 3})

    def measures(self, *names: str) -> Shown:
        """Show mean, interval, median and counts of some measures (Dice, HD95 and NSD unless named) in every region."""
        lines = []
        for region in self._regions():
            for name in names or ("dice", "hd95_mm", "nsd"):
                found, unit = self.summary["regions"][region].get(name), _unit(name)
                if found:
                    values = (number(found["mean"], unit), interval(found["ci95"], unit), number(found["median"], unit))
                    lines.append([region, name, *values, found["n"], found["undefined"]])
        heads = ("region", "measure", "mean", "95 % CI", "median", "n", "undefined")
        return _table(heads, lines, numbers={2, 3, 4, 5, 6})

    def cases(self) -> Shown:
        """Show the table of all held-out scans."""
        table = cases_table(self.scores, [r for r in self._regions() if r != HEALTHY], self.region)
        return _piece(heads=table["heads"], rows=table["rows"])

    def charts(self) -> Shown:
        """Show the training curves and the Dice of every scan."""
        dice = draw_dice(self.scores, [r for r in self._regions() if r != HEALTHY])
        return _piece(charts=[*draw_curves(self.curve)[0], dice["chart"]])

    def _regions(self) -> list[str]:
        """Return the regions that have a Dice, the tumour first, healthy tissue last."""
        names = [name for name, found in self.summary["regions"].items() if "dice" in found]
        return sorted(names, key=lambda name: (name == HEALTHY, name != self.region, name))


def open_run(path: str | Path) -> Run:
    """Open a run folder, e.g. "runs/phantom"; refuses one without a report."""
    folder = Path(path)
    if not (folder / "report" / "summary.json").is_file():
        raise Refusal(str(path), "a finished run has report/summary.json", "none", "run it to the end first")
    summary = json.loads((folder / "report" / "summary.json").read_text(encoding="utf-8"))
    curve = folder / "curve.csv"
    scores = read_scores(folder / "report" / "scores.csv")
    return Run(folder, summary, scores, read_curve(curve) if curve.is_file() else [])


def read_curve(path: Path) -> Curve:
    """Read curve.csv: one row per step, None where a column was not measured then."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(text) if text else None for name, text in row.items()} for row in csv.DictReader(file)]


def _table(heads: Sequence[str], lines: Sequence[Sequence[Any]], numbers: set[int]) -> Shown:
    cells: list[list[Cells]] = [[{"text": v, "number": i in numbers} for i, v in enumerate(line)] for line in lines]
    return _piece(heads=[{"name": head, "number": i in numbers} for i, head in enumerate(heads)], rows=cells)


def _piece(**parts: Any) -> Shown:
    empty: Mapping[str, Any] = {"heads": [], "rows": [], "charts": []}
    return Shown(environment().get_template("notebook.html").render({**empty, **parts}))


def _unit(name: str) -> str:
    return next((unit for unit in ("mm", "ml") if name.endswith(f"_{unit}")), "share")


def _optional(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
