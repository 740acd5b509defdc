"""What differs between runs, for Python programs and notebooks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.experiment.comparing.command import compare
from medseg.experiment.comparing.settings import CompareSettings
from medseg.experiment.comparing.writing import RECORD
from medseg.report.notebook.frames import frame
from medseg.report.notebook.shown import Shown
from medseg.report.notebook.viewing import framed

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("first", "second", "region", "measure", "difference", "low", "high", "p", "p_holm", "n", "undefined", "wins",
           "ties", "losses", "better", "seeds_alone")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs on the same scans, compared. record: content of compare.json.  page: text of compare.html."""

    record: dict[str, Any]
    page: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """What differs, in plain words."""
        return tuple(self.record["sentences"])

    @property
    def table(self) -> DataFrame:
        """A pandas table, a row for each pair, region and measure: the second minus the first, over all scans.

        low, high: 95 % interval.  p_holm: p after Holm's correction for all pairs.  wins, ties, losses: scans, as the
        second sees them.  better: "higher" or "lower".  seeds_alone: how far apart two runs may lie by seeds alone.
        """
        lines = [
            {
                **pair,
                "region": region,
                "measure": measure,
                **found,
                **dict(zip(("low", "high"), found["ci95"], strict=True)),
            }
            for pair in self.record["pairs"]
            for region, own in pair["regions"].items()
            for measure, found in own.items()
        ]
        return frame([{name: line[name] for name in COLUMNS} for line in lines], COLUMNS)

    def show(self, height: int = 900) -> Shown:
        """Show the page that `medseg compare` writes, in a frame `height` pixels high; nothing is fetched for it."""
        return framed("Comparison", self.page, height)

    def __repr__(self) -> str:
        return "\n".join(self.sentences)


def compare_into(settings: CompareSettings) -> Comparison:
    """Compare runs, write compare.json and compare.html into `settings.out`, and return what is in them."""
    page = compare(settings).page
    record = json.loads((Path(settings.out) / RECORD).read_text(encoding="utf-8"))
    return Comparison(record, page.read_text(encoding="utf-8"))
