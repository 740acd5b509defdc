"""The report as one HTML file that needs nothing else: no network, no other files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from medseg.ops.scoring.rows import looked_for
from medseg.report.case_table import cases_table
from medseg.report.charts import curve_chart, dice_chart
from medseg.report.overlays import Panel
from medseg.report.tables import comparison_table, lesion_table, measures_table
from medseg.report.templates import environment
from medseg.report.wording import Json, Row, answer, count, number, piece, remarks
from medseg.values.labels import LabelScheme

SMOOTH_SHARE = 1 / 40


@dataclass(frozen=True, slots=True)
class Example:
    """A case to show: its row of the tumour region, and its pictures."""

    row: Row
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Content:
    """Everything a report shows. `curve` rows have step, loss and validation_dice (None: not measured then).

    `examples` holds (heading, examples); `refused` case, subject, rule, value and remedy; `facts` (name, value).
    """

    title: str
    scheme: LabelScheme
    summary: Json
    rows: Sequence[Row]
    curve: Sequence[Mapping[str, float | None]] = ()
    examples: Sequence[tuple[str, Sequence[Example]]] = ()
    refused: Sequence[Mapping[str, str]] = ()
    facts: Sequence[tuple[str, str]] = field(default=())


def render_page(content: Content) -> str:
    """Render the report; the same content gives the same text."""
    scheme, summary = content.scheme, content.summary
    charts, note = draw_curves(content.curve)
    order = [scheme.tumour, *(name for name in scheme.regions if name != scheme.tumour)]
    return (
        environment()
        .get_template("page.html")
        .render(
            title=content.title,
            region=scheme.tumour,
            piece=piece(scheme.tumour),
            answer=answer(summary, scheme.tumour),
            remarks=remarks(summary),
            comparison=comparison_table(summary, scheme.tumour),
            lesion_sizes=lesion_table(summary),
            measures=measures_table(summary, order, scheme.tumour),
            dice=draw_dice(content.rows, order),
            curves=charts,
            curve_note=note,
            examples=[
                {"heading": head, "cases": [_example(e, scheme) for e in group]} for head, group in content.examples
            ],
            cases=cases_table(content.rows, order, scheme.tumour),
            failed=summary["failed"],
            refused=content.refused,
            facts=content.facts,
        )
    )


def draw_dice(rows: Sequence[Row], regions: Sequence[str]) -> dict[str, Any]:
    """Draw the Dice of every case and region that has one, and say how many have none."""
    own = {name: [row for row in rows if row["region"] == name] for name in regions}
    pairs = {n: [(str(r["case"]), float(r["dice"])) for r in rs if r["dice"] is not None] for n, rs in own.items()}
    missing = {name: len(own[name]) - len(pairs[name]) for name in regions}
    unknown = {name: sum(not looked_for(row) for row in own[name]) for name in regions}
    empty = {name: missing[name] - unknown[name] for name in regions}
    words = [
        _listed("Undefined, because both truth and prediction are empty", empty),
        _listed("Undefined, because nobody annotated it in that scan", unknown),
    ]
    return {"chart": dice_chart(pairs), "undefined": " ".join(filter(None, words))}


def _listed(reason: str, counts: Mapping[str, int]) -> str:
    listed = ", ".join(f"{n} for {name}" for name, n in counts.items() if n)
    return f"{reason}: {listed}." if listed else ""


def draw_curves(curve: Sequence[Mapping[str, float | None]]) -> tuple[list[Markup], str]:
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
        charts.append(curve_chart(*dice, "Validation Dice", span=(0.0, 1.0)))
        best = max(range(len(dice[1])), key=lambda i: dice[1][i])
        words.append(
            f"Dice on whole validation scans; the best, {number(dice[1][best])}, came at step {dice[0][best]:.0f}."
        )
    return charts, " ".join(words)


def _measured(curve: Sequence[Mapping[str, float | None]], column: str) -> tuple[list[float], list[float]] | None:
    points = [(row["step"], row.get(column)) for row in curve]
    kept = [(step, value) for step, value in points if step is not None and value is not None]
    return ([step for step, _ in kept], [value for _, value in kept]) if kept else None


def _example(example: Example, scheme: LabelScheme) -> dict[str, Any]:
    row = example.row
    volumes = (
        f"truth {number(row['volume_truth_ml'], 'ml')} ml, predicted {number(row['volume_predicted_ml'], 'ml')} ml"
    )
    facts = volumes if row["dice"] is None or row["cohort"] != "tumour" else f"Dice {number(row['dice'])}, {volumes}"
    panels = [_panel(panel, str(row["case"]), scheme.tumour) for panel in example.panels]
    return {"case": row["case"], "facts": facts, "panels": panels}


def _panel(panel: Panel, case: str, region: str) -> dict[str, Any]:
    what = {
        "image": f"image of {case}",
        "truth": f"true {region} of {case}",
        "prediction": f"predicted {region} of {case}",
        "agreement": f"right, missed and false {region} of {case}",
    }[panel.kind]
    where = f"{panel.plane} slice {panel.slice} of {panel.slices}"
    caption = f"{panel.kind}, {panel.plane} {panel.slice}/{panel.slices}"
    source = "data:image/png;base64," + b64encode(panel.png).decode("ascii")
    return {"source": source, "alt": f"{what}, {where}", "caption": caption, "side": panel.picture.width}
