"""Report the held-out cases: scores.csv, summary.json, report.html, and a picture of every case."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.files.records import CaseRecord, read_case, read_scheme
from medseg.files.scans import read_mask
from medseg.ops.cohorts import summarise
from medseg.ops.orientation import to_canonical
from medseg.ops.scoring.rows import UNKNOWN, columns
from medseg.report.choice import choose
from medseg.report.facts import gather_facts
from medseg.report.overlays import Panel, draw_case, join
from medseg.report.page import Content, Example, render_page
from medseg.report.reading import read_curve
from medseg.report.scores import write_scores
from medseg.report.settings import ReportSettings
from medseg.report.wording import answer
from medseg.stages.cases import load_channels, load_mask
from medseg.values.error import Refusal
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine
from medseg.values.progress import tell

PREDICTION = "prediction.nii.gz"
NOT_SCORED = "the case was not scored"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Scores:
    """All rows of the held-out cases in order, the failed cases with reasons, and the tumour's lesions."""

    rows: list[Row]
    failed: list[dict[str, str]]
    lesions: list[Row]


def run(settings: ReportSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Write scores.csv, summary.json, report.html and cases/CASE.png of every case that has a prediction.

    A held-out case without scores is listed as failed and counts as Dice 0. `curve`, `plan` and `index` may be absent.
    Refuses a prediction whose shape is not that of its scan.
    """
    scheme = read_scheme(inputs["scheme"]).scheme
    split = _read_json(inputs["split"])
    records = {case: read_case(inputs[f"cases/{case}"]) for case in sorted(split["held_out"])}
    scores = _gather(records, scheme, inputs)
    summary = _summarise(scores, scheme, list(records), settings.seed)
    write_scores(out / "scores.csv", scores.rows)
    _write_json(out / "summary.json", summary)
    drawable = [case for case in records if _prediction(case, inputs)]
    groups = choose(scores.rows, scheme.tumour, drawable, settings.examples)
    panels = _draw_cases(
        [records[case] for case in drawable], scheme, inputs, out, {c for g in groups for c in g.cases}
    )
    own = {row["case"]: row for row in scores.rows if row["region"] == scheme.tumour}
    content = Content(
        title=settings.title or f"Segmentation of {scheme.tumour}: results on held-out patients",
        scheme=scheme,
        summary=summary,
        rows=scores.rows,
        curve=read_curve(inputs["curve"]) if "curve" in inputs else [],
        examples=[(g.heading, [Example(own[case], panels[case]) for case in g.cases]) for g in groups],
        refused=_refused(inputs.get("index")),
        facts=gather_facts(split, scheme, _read_json(inputs["plan"]) if "plan" in inputs else None),
    )
    (out / "report.html").write_text(render_page(content), encoding="utf-8")


def _summarise(scores: _Scores, scheme: LabelScheme, held_out: Sequence[str], seed: int) -> dict[str, Any]:
    single = [name for name, members in scheme.regions.items() if len(members) == 1]
    summary = summarise(
        scores.rows,
        tumour=scheme.tumour,
        headline=single or [scheme.tumour],
        held_out=held_out,
        failed=scores.failed,
        lesions=scores.lesions,
        seed=seed,
    )
    return {"answer": answer(summary, scheme.tumour), "tumour": scheme.tumour, **summary}


def _gather(records: Mapping[str, CaseRecord], scheme: LabelScheme, inputs: Mapping[str, Path]) -> _Scores:
    scores = _Scores([], [], [])
    for case, record in records.items():
        folder = inputs.get(f"scores/{case}")
        found = _read_json(folder / "scores.json") if folder else _unscored(record, scheme)
        scores.rows.extend(found["rows"])
        scores.lesions.extend(found["lesions"])
        if found["failed"] is not None:
            scores.failed.append({"case": case, "reason": str(found["failed"])})
    return scores


def _unscored(record: CaseRecord, scheme: LabelScheme) -> dict[str, Any]:
    """Stand in for missing scores with the worst Dice, so that the case cannot fall out of the means.

    A region that was not annotated stays undefined.
    """
    cohort = "tumour" if record.tumour_voxels else "healthy"
    if not scheme.is_annotated(scheme.tumour, record.annotated):
        cohort = UNKNOWN
    start = {"case": record.case, "subject": record.subject, "cohort": cohort, "reason": NOT_SCORED}
    worst = {name: 0.0 if scheme.is_annotated(name, record.annotated) else None for name in scheme.regions}
    rows = [dict.fromkeys(columns) | start | {"region": name, "dice": dice} for name, dice in worst.items()]
    return {"rows": rows, "failed": NOT_SCORED, "lesions": []}


def _draw_cases(
    records: Sequence[CaseRecord], scheme: LabelScheme, inputs: Mapping[str, Path], out: Path, kept: set[str]
) -> dict[str, list[Panel]]:
    """Write a picture per case, and return the panels of those that the page shows."""
    panels = {}
    for number, record in enumerate(records, start=1):
        drawn = _draw(record, scheme, inputs)
        target = out / "cases" / f"{record.case}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(join(drawn))
        if record.case in kept:
            panels[record.case] = drawn
        tell("report", number, len(records), "case")
    return panels


def _draw(record: CaseRecord, scheme: LabelScheme, inputs: Mapping[str, Path]) -> list[Panel]:
    """Draw the first channel that the case has; ignored voxels are not predicted, and unknown truth is not shown."""
    image = load_channels(record, inputs["data"])
    truth = load_mask(record, inputs["data"])
    predicted = to_canonical(read_mask(inputs[f"predictions/{record.case}"] / PREDICTION))
    if predicted.shape != image.shape:
        remedy = "predict it again from the scan that the index knows"
        raise Refusal(record.case, f"the prediction has the scan's shape {image.shape}", predicted.shape, remedy)
    masks = [scheme.region(volume.voxels[0], scheme.tumour) for volume in (truth, predicted)]
    if scheme.ignore is not None:
        masks[1] &= truth.voxels[0] != scheme.ignore
    shown = next(index for index, name in enumerate(record.channel_names) if name in record.channels)
    panels = draw_case(image.voxels[shown], masks[0], masks[1], image.spacing_mm)
    known = scheme.is_annotated(scheme.tumour, record.annotated)
    return panels if known else [panel for panel in panels if panel.kind in ("image", "prediction")]


def _prediction(case: str, inputs: Mapping[str, Path]) -> bool:
    folder = inputs.get(f"predictions/{case}")
    return folder is not None and (folder / PREDICTION).is_file()


def _refused(path: Path | None) -> list[dict[str, str]]:
    if path is None:
        return []
    found = _read_json(path / "cases.json" if path.is_dir() else path)["cases"]
    return [{"case": one["case"], **one["refused"]} for one in found if one.get("refused")]


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
