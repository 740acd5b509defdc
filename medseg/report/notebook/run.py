"""A finished run, or an evaluation of label maps, for Python programs: tables, curves, cases."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.files.plain_yaml import read_yaml
from medseg.ops.scoring.rows import HEALTHY
from medseg.report.notebook.case import Case
from medseg.report.notebook.frames import frame, scores_frame
from medseg.report.notebook.shown import Shown, table
from medseg.report.notebook.tables import charts_of, measures_of, verdicts_of
from medseg.report.pictured import Pictured
from medseg.report.reading import Json, Kept
from medseg.report.scores import Row
from medseg.report.tables import comparison_table
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme

if TYPE_CHECKING:
    from pandas import DataFrame

SETTINGS = {"run": "settings.yaml", "evaluation": "evaluate.json"}


@dataclass(frozen=True)
class Run:
    """A finished run, or what `medseg evaluate` wrote. Nothing here changes its folder.

    kept: what was read of the folder.  scheme: labels and regions, asked for by a viewer.  load: reads image, truth and
    prediction of a case; refuses where they are out of reach.
    """

    kept: Kept
    scheme: Callable[[], LabelScheme]
    load: Callable[[str], Pictured]

    @property
    def path(self) -> Path:
        """The folder."""
        return self.kept.path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def kind(self) -> str:
        """Where the label maps are from: "run", a model that was trained, or "evaluation", anywhere."""
        return self.kept.kind

    @property
    def region(self) -> str:
        """Name of the region that makes a scan a tumour scan."""
        return str(self.summary["tumour"])

    @property
    def answer(self) -> str:
        """The result in a few sentences."""
        return str(self.summary["answer"])

    @property
    def summary(self) -> Json:
        """Content of summary.json."""
        return self.kept.summary

    @property
    def scores(self) -> DataFrame:
        """All of scores.csv as a pandas table: a row per case and region, NaN where a measure is undefined.

        pandas leaves NaN out of a mean without a word; `summary` says how many are undefined.
        """
        return scores_frame(self.kept.rows)

    @property
    def curve(self) -> DataFrame:
        """All of curve.csv as a pandas table, empty where nothing was trained; NaN: not measured at that step."""
        return frame(self.kept.curve, None if self.kept.curve else ("step", "loss", "learning_rate", "validation_dice"))

    @property
    def settings(self) -> Json:
        """All that was set."""
        return self.kept.tree(SETTINGS[self.kind], read_yaml)

    @property
    def card(self) -> Json:
        """Content of model/card.json, {} where nothing was trained."""
        return self.kept.record("model/card.json")

    @property
    def calibration(self) -> Json:
        """Content of calibration.json, what validation scans say about trust; {} where there is none."""
        return self.kept.record("calibration.json")

    @property
    def stages(self) -> Json:
        """Seconds and memory of every stage and of every task, {} for an evaluation."""
        return self.kept.record("stages.json")

    @property
    def times(self) -> DataFrame:
        """A pandas table of the stages: how many tasks were run, reused or failed, their seconds, most memory."""
        rows = [{"stage": name, **found} for name, found in self.stages.get("stages", {}).items()]
        return frame(rows, ("stage", "run", "reused", "failed", "seconds", "peak_memory_mb"))

    @property
    def provenance(self) -> Json:
        """Versions, commit, device, digests of the data, {} for an evaluation."""
        return self.kept.record("provenance.json")

    @property
    def failed(self) -> dict[str, str]:
        """Why a prediction failed or is missing, by case."""
        return {one["case"]: one["reason"] for one in self.summary["failed"]}

    @property
    def verdicts(self) -> DataFrame:
        """A pandas table of the scans that did badly, the worst first, and why: what their numbers say, in words."""
        return verdicts_of(self.kept.rows, self.region)

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of all judged scans, in the order of scores.csv."""
        return tuple(dict.fromkeys(str(row["case"]) for row in self.kept.rows))

    def rows(self, region: str | None = None) -> DataFrame:
        """Return the scores of one region, the tumour's unless another is named, a row per case."""
        return scores_frame(self._rows(region or self.region))

    def case(self, name: str) -> Case:
        """Return a judged scan by its name; refuses an unknown one and names the nearest."""
        own = [row for row in self.kept.rows if row["case"] == name]
        if not own:
            raise _unknown(name, self.cases)
        picture = self.kept.report / "cases" / f"{name}.png"
        return Case(name, self.region, own, self.failed.get(name), picture, self.scheme, lambda: self.load(name))

    def worst(self, n: int = 3) -> list[Case]:
        """Return the `n` tumour scans with the lowest Dice, worst first; failed ones count as 0."""
        return self._by_dice()[:n]

    def best(self, n: int = 3) -> list[Case]:
        """Return the `n` tumour scans with the highest Dice, best first."""
        return self._by_dice()[::-1][:n]

    def false_alarms(self) -> list[Case]:
        """Return the healthy scans in which something was marked, most of it first."""
        rows = [row for row in self._rows(self.region) if row["cohort"] == HEALTHY and row["volume_predicted_ml"]]
        ordered = sorted(rows, key=lambda row: (-float(row["volume_predicted_ml"] or 0), str(row["case"])))
        return [self.case(str(row["case"])) for row in ordered]

    def comparison(self) -> Shown:
        """Show the table of tumour against healthy."""
        heads = ("question", "answer", "interval", "n", "remark")
        rows = comparison_table(self.summary, self.region)["rows"]
        return table(heads, [[row[head] for head in heads] for row in rows], numbers=(1, 2, 3))

    def measures(self, *names: str) -> Shown:
        """Show mean, interval, median and counts of measures (Dice, HD95 and NSD unless named) in every region.

        Refuses a measure that is not in the summary.
        """
        return measures_of(self.summary, names)

    def charts(self) -> Shown:
        """Show the training curves, where there are any, and the Dice of every scan."""
        return charts_of(self.kept, self.region)

    def __repr__(self) -> str:
        return f"{self.kind} {self.path}: {self.answer}"

    def _rows(self, region: str) -> list[Row]:
        known = list(dict.fromkeys(str(row["region"]) for row in self.kept.rows))
        if region not in known:
            raise Refusal(region, f"regions are {', '.join(known)}", region, "name one of them")
        return [row for row in self.kept.rows if row["region"] == region]

    def _by_dice(self) -> list[Case]:
        ill = [row for row in self._rows(self.region) if row["cohort"] == "tumour"]
        return [self.case(str(r["case"])) for r in sorted(ill, key=lambda r: (float(r["dice"] or 0), str(r["case"])))]


def _unknown(name: str, cases: tuple[str, ...]) -> Refusal:
    near: Any = difflib.get_close_matches(str(name), cases, n=3, cutoff=0.5)
    remedy = f"did you mean {' or '.join(near)}?" if near else "run.cases names them all"
    return Refusal(str(name), f"a judged scan of this folder, of which there are {len(cases)}", "no such case", remedy)
