"""The charts of a report: from rows, summary and training curve to drawings with a sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from medseg.ops.scoring.rows import looked_for
from medseg.report.charts.curves import curve_chart
from medseg.report.charts.paper import MANY
from medseg.report.charts.points import Level, Point, difference_chart, size_chart
from medseg.report.charts.strips import dice_chart
from medseg.report.sentences.findings import concordance_sentence, volume_sentence
from medseg.report.wording import Cells, Json, Row, count, number

SMOOTH_SHARE = 1 / 40
MOST_REGIONS = 6  # so many regions get a chart of their own

Curve = Sequence[Mapping[str, float | None]]


def draw_dice(rows: Sequence[Row], regions: Sequence[str]) -> dict[str, Any]:
    """Draw the Dice of every case and region that has one, and say how many have none."""
    own = {name: _of(rows, name) for name in regions}
    pairs = {n: [(str(r["case"]), float(r["dice"])) for r in rs if r["dice"] is not None] for n, rs in own.items()}
    missing = {name: len(own[name]) - len(pairs[name]) for name in regions}
    unknown = {name: sum(not looked_for(row) for row in own[name]) for name in regions}
    empty = {name: missing[name] - unknown[name] for name in regions}
    words = [
        _listed("Undefined, because both truth and prediction are empty", empty),
        _listed("Undefined, because nobody annotated it in that scan", unknown),
    ]
    many = any(len(found) >= MANY for found in pairs.values())
    return {"chart": dice_chart(pairs), "undefined": " ".join(filter(None, words)), "many": many}


def draw_curves(curve: Curve) -> tuple[list[Markup], str]:
    """Draw loss and validation Dice over the steps, those that were measured, and describe them in a sentence."""
    loss, dice = _measured(curve, "loss"), _measured(curve, "validation_dice")
    charts, words = [], []
    if loss:
        smooth = max(1, round(len(loss[0]) * SMOOTH_SHARE))
        charts.append(curve_chart(*loss, "Training loss", smooth=smooth))
        words.append(
            f"The loss of {count(len(loss[0]), 'step')}" + (f", running mean over {smooth}." if smooth > 1 else ".")
        )
    if dice:
        charts.append(curve_chart(*dice, "Validation Dice", ends=(0.0, 1.0)))
        best = max(range(len(dice[1])), key=lambda i: dice[1][i])
        words.append(
            f"Dice on whole validation scans; the best, {number(dice[1][best])}, came at step {dice[0][best]:.0f}."
        )
    return charts, " ".join(words)


def draw_sizes(rows: Sequence[Row], regions: Sequence[str]) -> list[Markup]:
    """Draw Dice against the true volume, a chart per region (the first six) with two scans or more that hold it."""
    charts = []
    for region in regions[:MOST_REGIONS]:
        points = [_sized(row) for row in _of(rows, region) if row["dice"] is not None and row.get("volume_truth_ml")]
        if len(points) > 1:
            charts.append(size_chart(points, region))
    return charts


def draw_differences(rows: Sequence[Row], regions: Sequence[str], volumes: Json) -> list[Cells]:
    """Draw predicted minus true volume over their mean, a chart per region (the first six) with two scans or more.

    volumes: `volumes` of the summary, which are those of scans that truly hold the region; only these are drawn.
    """
    drawn = []
    for region in regions[:MOST_REGIONS]:
        points = [point for row in _of(rows, region) if (point := _differing(row))]
        found = volumes.get(region)
        if len(points) > 1 and found:
            chart = difference_chart(points, _levels(found["bland_altman"]), region)
            drawn.append({"region": region, "chart": chart, "words": _agreement(found, region)})
    return drawn


def _of(rows: Sequence[Row], region: str) -> list[Row]:
    return [row for row in rows if row["region"] == region]


def _listed(reason: str, counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{n} for {name}" for name, n in counts.items() if n)
    return f"{reason}: {listed}." if listed else ""


def _measured(curve: Curve, column: str) -> tuple[list[float], list[float]] | None:
    points = [(row["step"], row.get(column)) for row in curve]
    kept = [(step, value) for step, value in points if step is not None and value is not None]
    return ([step for step, _ in kept], [value for _, value in kept]) if kept else None


def _sized(row: Row) -> Point:
    case, dice, volume = str(row["case"]), float(row["dice"]), float(row["volume_truth_ml"])
    failed = bool(row.get("reason"))
    words = f"{case}: Dice {dice:.3f}, {number(volume, 'ml')} ml" + (", failed" if failed else "")
    return Point(case, volume, dice, words, failed)


def _differing(row: Row) -> Point | None:
    truth, predicted = row.get("volume_truth_ml"), row.get("volume_predicted_ml")
    if not truth or predicted is None:
        return None
    words = f"{row['case']}: {number(predicted, 'ml')} ml predicted, {number(truth, 'ml')} ml true"
    return Point(str(row["case"]), (truth + predicted) / 2, predicted - truth, words)


def _levels(found: Json) -> list[Level]:
    if found["bias"] is None:
        return []
    levels = [Level(f"mean {number(found['bias'], 'ml')}", found["bias"], _known(found["bias_ci95"]), main=True)]
    ends = zip(("lower", "upper"), found["limits"], strict=True)
    levels += [
        Level(f"{name} limit {number(value, 'ml')}", value, _known(found[f"{name}_ci95"]))
        for name, value in ends
        if value is not None
    ]
    return levels


def _known(ends: Sequence[float | None]) -> tuple[float, float] | None:
    low, high = ends
    return None if low is None or high is None else (low, high)


def _agreement(found: Json, region: str) -> str:
    """Say how far volumes are off and how well they agree."""
    return f"{volume_sentence(found['bland_altman'], region)} {concordance_sentence(found['concordance'])}"
