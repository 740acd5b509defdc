"""Write the report: scores.csv, summary.json, report.html and a picture of every case."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medseg.files.appearing import appearing_at_once
from medseg.ops.cohorts import summarise
from medseg.report.choice import Group, choose
from medseg.report.gallery import Example
from medseg.report.overlays import Panel, draw_case, join
from medseg.report.page import Content, Origin, render_page
from medseg.report.pictured import Pictured
from medseg.report.scores import write_scores
from medseg.report.viewer.block import viewer_block
from medseg.report.viewer.layers import CaseLayers, make_layers, share_of
from medseg.report.wording import answer
from medseg.stages.reporting.material import Material
from medseg.values.labels import LabelScheme
from medseg.values.progress import tell


def write_report(out: Path, material: Material) -> None:
    """Write scores.csv, summary.json, report.html and cases/CASE.png of every case that can be drawn into `out`.

    The same material gives the same bytes, whatever the order of its cases. Scans are loaded one at a time; what
    loading one raises is raised, after the scores are on disk.
    """
    material = replace(material, scores=sorted(material.scores, key=lambda case: str(case["case"])))
    summary = summary_of(material)
    write_scores(out / "scores.csv", material.rows)
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    _put(out / "summary.json", text.encode("utf-8"))
    groups = choose(material.rows, material.scheme.tumour, list(material.scans), material.settings.examples)
    drawn = _draw(out, material, {case for group in groups for case in group.cases})
    _put(out / "report.html", render_page(_content(material, summary, groups, drawn)).encode("utf-8"))


def summary_of(material: Material) -> dict[str, Any]:
    """Return the content of summary.json; its mean Dice is that over the regions of a single label, if there are."""
    scheme = material.scheme
    single = [name for name, members in scheme.regions.items() if len(members) == 1]
    summary = summarise(
        material.scores,
        tumour=scheme.tumour,
        headline=single or [scheme.tumour],
        held_out=[str(case["case"]) for case in material.scores],
        seed=material.settings.seed,
    )
    return {"answer": answer(summary, scheme.tumour, material.kind), "tumour": scheme.tumour, **summary}


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What was drawn: the panels of cases that the page shows as pictures, and the layers of all for its viewer.

    unlike: by case, what of its scan is unlike those that the model was trained on.
    """

    panels: Mapping[str, Sequence[Panel]]
    layers: Sequence[CaseLayers]
    unlike: Mapping[str, Sequence[str]]


def _draw(out: Path, material: Material, kept: set[str]) -> _Drawn:
    """Write a picture of every case and keep of it what the page needs."""
    scheme, panels, layers, unlike = material.scheme, {}, [], {}
    share = share_of(len(material.scans))
    for number, case in enumerate(sorted(material.scans), start=1):
        pictured = material.scans[case]()
        drawn = _panels(pictured, scheme)
        _put(out / "cases" / f"{case}.png", join(drawn))
        if case in kept:
            panels[case] = drawn
        if pictured.unlike:
            unlike[case] = pictured.unlike
        layers.append(make_layers(case, pictured, scheme.regions[scheme.tumour], share))
        tell("report", number, len(material.scans), "cases")
    return _Drawn(panels, layers, unlike)


def _panels(pictured: Pictured, scheme: LabelScheme) -> list[Panel]:
    truth = scheme.region(pictured.truth, scheme.tumour) if pictured.known else None
    return draw_case(pictured.image, truth, scheme.region(pictured.predicted, scheme.tumour), pictured.spacing_mm)


def _content(material: Material, summary: Mapping[str, Any], groups: Sequence[Group], drawn: _Drawn) -> Content:
    known = material.background
    origin = Origin(known.facts, known.settings, known.provenance, known.refused, material.notes)
    own = {row["case"]: row for row in material.rows if row["region"] == material.scheme.tumour}
    examples = [(g.heading, [Example(own[case], drawn.panels[case]) for case in g.cases]) for g in groups]
    return Content(
        title=material.title,
        scheme=material.scheme,
        summary=summary,
        rows=material.rows,
        kind=material.kind,
        curve=known.curve,
        calibration=known.calibration,
        warnings=known.warnings,
        unlike=drawn.unlike,
        examples=examples,
        viewer=viewer_block(drawn.layers, material.scheme),
        openable=[layers.case for layers in drawn.layers],
        origin=origin,
    )


def _put(path: Path, content: bytes) -> None:
    with appearing_at_once(path) as file:
        file.write(content)
