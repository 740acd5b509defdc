"""Means and charts of a run as pieces for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medseg.ops.scoring.rows import HEALTHY
from medseg.report.figures import draw_curves, draw_dice
from medseg.report.notebook.frames import frame
from medseg.report.notebook.shown import Shown, shown, table
from medseg.report.reading import Json, Kept
from medseg.report.scores import Row
from medseg.report.verdicts import judge
from medseg.report.wording import interval, number, region_title
from medseg.values.error import Refusal

if TYPE_CHECKING:
    from pandas import DataFrame

HEADLINE = ("dice", "hd95_mm", "nsd")
_HEADS = ("region", "measure", "mean", "95 % CI", "median", "n", "undefined")


def measures_of(summary: Json, names: Sequence[str] = ()) -> Shown:
    """Make the table of mean, interval, median and counts of measures in every region; refuses an unknown measure."""
    known = {name for found in summary["regions"].values() for name in found}
    for name in names:
        if name not in known:
            raise Refusal(name, "a measure of the summary", "no such measure", f"known: {', '.join(sorted(known))}")
    lines = []
    for region in regions_of(summary):
        for name in names or HEADLINE:
            found, unit = summary["regions"][region].get(name), _unit(name)
            if found:
                values = (number(found["mean"], unit), interval(found["ci95"], unit), number(found["median"], unit))
                title = region_title(region, summary["tumour"])
                lines.append([title, name, *values, found["n"], found["undefined"]])
    return table(_HEADS, lines, numbers=range(2, 7))


def charts_of(kept: Kept, region: str) -> Shown:
    """Draw the training curves and the Dice of every scan."""
    dice = draw_dice(kept.rows, [name for name in regions_of(kept.summary) if name != HEALTHY])
    return shown(charts=[*draw_curves(kept.curve)[0], dice["chart"]])


def verdicts_of(rows: Sequence[Row], region: str) -> DataFrame:
    """Make the table of scans that did badly, and why."""
    found = judge(rows, region).values()
    lines = [{"case": v.case, "dice": v.dice, "what": v.short, "why": "; ".join(v.reasons)} for v in found]
    return frame(lines, ("case", "dice", "what", "why"))


def regions_of(summary: Json) -> list[str]:
    """Return the regions that have a Dice, the tumour first, healthy tissue last."""
    names = [name for name, found in summary["regions"].items() if "dice" in found]
    return sorted(names, key=lambda name: (name == HEALTHY, name != summary["tumour"], name))


def _unit(name: str) -> str:
    return next((unit for unit in ("mm", "ml") if name.endswith(f"_{unit}")), "share")
