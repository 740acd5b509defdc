"""The report as one HTML file that needs nothing else: no network, no other files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from medseg.report.case_table import cases_table, cohort_title
from medseg.report.certainty import draw_certainty
from medseg.report.figures import Curve, draw_curves, draw_dice, draw_differences, draw_sizes
from medseg.report.gallery import Groups, gallery
from medseg.report.measures import measures_table, sites_table
from medseg.report.opening import badly_table, opening, question
from medseg.report.tables import comparison_table, lesion_table
from medseg.report.templates import environment
from medseg.report.verdicts import BAD, Verdict, judge
from medseg.report.wording import Json, Kind, Row, answer, piece
from medseg.values.labels import LabelScheme


@dataclass(frozen=True, slots=True)
class Origin:
    """How a result came about: short facts, everything that was set, and what it was made with.

    facts, provenance: (name, value).  settings: a text.  refused: case, subject, rule, value and remedy.  notes: (case,
    what was done to its prediction before it was scored).
    """

    facts: Sequence[tuple[str, str]] = ()
    settings: str = ""
    provenance: Sequence[tuple[str, str]] = ()
    refused: Sequence[Mapping[str, str]] = ()
    notes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """Everything a report shows.

    rows: those of scores.csv.  curve: rows with step, loss and validation_dice (None: not measured then).  calibration:
    content of calibration.json.  warnings: by case, what was noticed about its scan.  unlike: by case, what of its scan
    is unlike those that the model was trained on.  examples: (heading, examples).
    viewer: the piece of page that shows cases in 3-D, which has a script `openCase(case)` for the cases of `openable`.
    """

    title: str
    scheme: LabelScheme
    summary: Json
    rows: Sequence[Row]
    kind: Kind = "run"
    curve: Curve = ()
    calibration: Json | None = None
    warnings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unlike: Mapping[str, Sequence[str]] = field(default_factory=dict)
    examples: Groups = ()
    viewer: Markup = field(default_factory=Markup)
    openable: Collection[str] = ()
    origin: Origin = Origin()

    @property
    def noticed(self) -> Mapping[str, Sequence[str]]:
        """By case, everything that was noticed about its scan."""
        told = {case: list(lines) for case, lines in self.warnings.items()}
        for case, lines in self.unlike.items():
            told.setdefault(case, []).extend(f"unlike the training scans: {line}" for line in lines)
        return told


def render_page(content: Content) -> str:
    """Render the report; the same content gives the same text."""
    region = content.scheme.tumour
    order = [region, *(name for name in content.scheme.regions if name != region)]
    verdicts = judge(content.rows, region, content.noticed)
    parts = {
        "title": content.title,
        "region": region,
        "piece": piece(region),
        "kind": content.kind,
        "scans": "held-out scans" if content.kind == "run" else "scans",
        "viewer": content.viewer,
        "openable": content.openable,
        "failed": content.summary["failed"],
        "examples": gallery(content.examples, content.scheme, verdicts),
    }
    parts |= _answers(content, verdicts) | _tables(content, order, verdicts) | _figures(content, order)
    parts |= _origin(content.origin)
    return environment().get_template("page.html").render(parts)


def _answers(content: Content, verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    summary, region, kind = content.summary, content.scheme.tumour, content.kind
    return {
        "asked": question(summary, region, kind),
        "answer": answer(summary, region, kind),
        "opening": opening(summary, verdicts, region, kind),
        "badly": badly_table(verdicts, content.openable),
        "bad": f"{BAD:g}",
    }


def _tables(content: Content, order: Sequence[str], verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    summary, region = content.summary, content.scheme.tumour
    cases = cases_table(content.rows, order, region, verdicts, content.unlike)
    return {
        "comparison": comparison_table(summary, region),
        "lesion_sizes": lesion_table(summary),
        "measures": measures_table(summary, order, region),
        "sites": sites_table(summary, order, region),
        "cases": cases,
        "cohorts": [(name, cohort_title(name, region)) for name in cases["cohorts"]],
    }


def _figures(content: Content, order: Sequence[str]) -> dict[str, Any]:
    charts, note = draw_curves(content.curve)
    return {
        "dice": draw_dice(content.rows, order),
        "sizes": draw_sizes(content.rows, order),
        "differences": draw_differences(content.rows, order, content.summary.get("volumes") or {}),
        "certainty": draw_certainty(content.summary, content.calibration, content.scheme.tumour),
        "curves": charts,
        "curve_note": note,
    }


def _origin(origin: Origin) -> dict[str, Any]:
    return {
        "facts": origin.facts,
        "settings": origin.settings,
        "provenance": origin.provenance,
        "refused": origin.refused,
        "notes": origin.notes,
    }
