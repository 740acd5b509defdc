"""Report the held-out cases: scores.csv, summary.json, report.html, and a picture of every case."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medseg.files.predictions import PREDICTION
from medseg.files.records import CaseRecord, read_case, read_scheme
from medseg.ops.scoring.rows import HEALTHY, UNKNOWN, columns
from medseg.ops.scoring.settings import GridRule
from medseg.report.facts import gather_facts
from medseg.report.pictured import Scans
from medseg.report.reading import read_curve
from medseg.report.settings import ReportSettings
from medseg.stages.reporting.guarding import Guard
from medseg.stages.reporting.material import Background, Material
from medseg.stages.reporting.picturing import Place, load_pictured
from medseg.stages.reporting.writing import write_report
from medseg.values.digests import digest_of
from medseg.values.labels import LabelScheme
from medseg.values.machine import Machine

NOT_SCORED = "the case was not scored"


def run(settings: ReportSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Write scores.csv, summary.json, report.html and cases/CASE.png of every case that has a prediction.

    A held-out case without scores is listed as failed and counts as Dice 0. Absent may be `curve`, `plan`, `index`,
    `calibration`, `card` (of the model package), `settings` (a text) and `provenance` (JSON pairs of name and value).
    Refuses a prediction that does not lie on the grid of its scan.
    """
    scheme = read_scheme(inputs["scheme"]).scheme
    split = _read_json(inputs["split"])
    records = {case: read_case(inputs[f"cases/{case}"]) for case in sorted(split["held_out"])}
    scores = {case: _scores_of(record, scheme, inputs) for case, record in records.items()}
    material = Material(
        scheme=scheme,
        scores=list(scores.values()),
        settings=settings,
        scans=_scans(records, scores, scheme, inputs),
        background=_background(split, records, scheme, inputs),
    )
    write_report(out, material)


def _scores_of(record: CaseRecord, scheme: LabelScheme, inputs: Mapping[str, Path]) -> dict[str, Any]:
    folder = inputs.get(f"scores/{record.case}")
    if folder is None:
        return _unscored(record, scheme)
    found: dict[str, Any] = _read_json(folder / "scores.json")
    return found


def _unscored(record: CaseRecord, scheme: LabelScheme) -> dict[str, Any]:
    """Stand in for missing scores with the worst Dice, so that the case cannot fall out of the means.

    A region that was not annotated stays undefined, and healthy tissue with the tumour.
    """
    cohort = "tumour" if record.tumour_voxels else "healthy"
    if not scheme.is_annotated(scheme.tumour, record.annotated):
        cohort = UNKNOWN
    start = {"case": record.case, "subject": record.subject, "site": record.site, "cohort": cohort}
    start["reason"] = NOT_SCORED
    worst = {name: 0.0 if scheme.is_annotated(name, record.annotated) else None for name in scheme.regions}
    worst[HEALTHY] = worst[scheme.tumour]
    rows = [dict.fromkeys(columns) | start | {"region": name, "dice": dice} for name, dice in worst.items()]
    return {"case": record.case, "rows": rows, "failed": NOT_SCORED, "lesions": []}


def _scans(
    records: Mapping[str, CaseRecord], scores: Mapping[str, Any], scheme: LabelScheme, inputs: Mapping[str, Path]
) -> Scans:
    """Return what loads each case that has a prediction; one that was resampled to be scored is drawn so.

    Where a model package tells what it was trained on, each is held against that when it is loaded.
    """
    found, guard = {}, Guard.read(inputs["card"]) if "card" in inputs else None
    for case, record in records.items():
        folder = inputs.get(f"predictions/{case}")
        if folder is not None and (folder / PREDICTION).is_file():
            grid: GridRule = "resample" if scores[case].get("notes") else "refuse"
            place = Place(record, inputs["data"], folder / PREDICTION, grid, guard)
            found[case] = partial(load_pictured, place, scheme)
    return found


def _background(
    split: Mapping[str, Any], records: Mapping[str, CaseRecord], scheme: LabelScheme, inputs: Mapping[str, Path]
) -> Background:
    made = [*(_optional(inputs, "provenance") or []), ("Digest of the held-out files", _digest(records.values()))]
    return Background(
        facts=gather_facts(split, scheme, _optional(inputs, "plan")),
        settings=inputs["settings"].read_text(encoding="utf-8") if "settings" in inputs else "",
        provenance=[(str(name), str(value)) for name, value in made],
        curve=read_curve(inputs["curve"]) if "curve" in inputs else [],
        calibration=_optional(inputs, "calibration"),
        refused=_refused(inputs.get("index")),
        warnings={case: _warnings(record) for case, record in records.items()},
    )


def _digest(records: Iterable[CaseRecord]) -> str:
    """Return a digest of the channels and masks of cases, whatever they are called on disk."""
    files = {one.case: [*one.channels.values(), *([one.mask] if one.mask else [])] for one in records}
    return digest_of({case: [file.sha256 for file in own] for case, own in files.items()})


def _warnings(record: CaseRecord) -> list[str]:
    """Say what the index warned of in a scan."""
    return [f"{one.rule}, got {one.value}" for one in record.findings if one.severity == "warn"]


def _refused(path: Path | None) -> list[dict[str, str]]:
    if path is None:
        return []
    found = _read_json(path / "cases.json" if path.is_dir() else path)["cases"]
    return [{"case": one["case"], **one["refused"]} for one in found if one.get("refused")]


def _optional(inputs: Mapping[str, Path], name: str) -> Any:
    return _read_json(inputs[name]) if name in inputs else None


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
