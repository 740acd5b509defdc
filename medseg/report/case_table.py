"""The table of all scans, one line each: it can be sorted, filtered, and shown for another region."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from medseg.ops.scoring.rows import HEALTHY, UNKNOWN
from medseg.report.verdicts import Verdict
from medseg.report.wording import Cells, Row, number, piece, region_title

MEASURES = (
    ("hd95_mm", "HD95, mm", "mm"),
    ("nsd", "NSD", "share"),
    ("sensitivity", "sensitivity", "share"),
    ("precision", "precision", "share"),
    ("volume_truth_ml", "truth, ml", "ml"),
    ("volume_predicted_ml", "predicted, ml", "ml"),
    ("lesions_truth", "lesions", "count"),
    ("lesions_found", "found", "count"),
    ("false_lesions", "false", "count"),
)
"""Columns that show the measures of one region: column of scores.csv, heading, unit."""

# The parts of the table that can be picked, and the kinds of verdicts that belong to them.
PARTS = {
    "all": ("all", ()),
    "badly": ("did badly", ("failed", "bad", "alarm")),
    "failed": ("failed", ("failed",)),
    "alarm": ("false alarms", ("alarm",)),
}


def cases_table(
    rows: Sequence[Row],
    order: Sequence[str],
    region: str,
    verdicts: Mapping[str, Verdict] | None = None,
    unlike: Collection[str] = (),
) -> Cells:
    """Make the table of all cases, one line each: Dice in every region in `order`, the other measures in `region`.

    Columns for site and patient come only where they say something. `measured` holds, by region, the cells of the
    measure columns of every line, so that a page can show another region; `first` is the place of the first of them.
    unlike: cases whose scan is unlike those that the model was trained on; their lines say so.
    """
    cases = _by_case(rows)
    judged = verdicts or {}
    names = [name for name in (*order, HEALTHY) if any(name in own for own in cases.values())]
    mains = {case: own[region] for case, own in cases.items()}
    notes = {case: _note(mains[case], region, judged.get(case), case in unlike) for case in cases}
    texts = _text_columns(mains, region, notes)
    heads = [_head(name) for name in texts]
    heads += [_head(f"Dice {region_title(name, region)}", True) for name in names]
    heads += [_head(name.replace("lesion", piece(region)), True) for _, name, _ in MEASURES]
    lines = []
    for case, own in cases.items():
        cells = [_text(column[case]) for column in texts.values()]
        cells += [_figure(own.get(name, {}).get("dice"), "share") for name in names] + _measures(own[region])
        lines.append(
            {
                "case": case,
                "cells": cells,
                "marks": _marks(mains[case], judged.get(case)),
                "note": _told(mains[case], region, notes[case]),
            }
        )
    return {
        "heads": heads,
        "rows": [line["cells"] for line in lines],
        "lines": lines,
        "first": len(texts) + len(names),
        "regions": {name: region_title(name, region) for name in names},
        "measured": {name: [_pairs(own.get(name, {})) for own in cases.values()] for name in names},
        "parts": _parts(mains, judged),
        "cohorts": sorted({str(row["cohort"]) for row in mains.values()}),
    }


def _by_case(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        cases.setdefault(str(row["case"]), {})[str(row["region"])] = row
    return cases


def _text_columns(mains: Mapping[str, Row], region: str, notes: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Return the columns of text by heading, each by case; all but scan and cohort only where they tell something."""
    columns: dict[str, Mapping[str, str]] = {"scan": {case: case for case in mains}}
    if any(str(row["subject"]) != case for case, row in mains.items()):
        columns["patient"] = {case: str(row["subject"]) for case, row in mains.items()}
    if any(row.get("site") for row in mains.values()):
        columns["site"] = {case: str(row.get("site") or "") for case, row in mains.items()}
    columns["cohort"] = {case: cohort_title(str(row["cohort"]), region) for case, row in mains.items()}
    if any(notes.values()):
        columns["what happened"] = notes
    return columns


def cohort_title(cohort: str, region: str) -> str:
    """Name a cohort: scans with tumour after the region, the others as they are called."""
    return region if cohort == "tumour" else cohort


def _measures(row: Row) -> list[Cells]:
    return [_figure(row.get(column), unit) for column, _, unit in MEASURES]


def _pairs(row: Row) -> list[tuple[str, Any]]:
    """Return text and value of each measure, for the page's script."""
    return [(cell["text"], cell["sort"]) for cell in _measures(row)]


def _note(main: Row, region: str, verdict: Verdict | None, unlike: bool) -> str:
    """Say what a reader must know of a scan, from its row of the region, its verdict, and whether it is unlike."""
    failed = "failed" if main.get("reason") else ""
    unknown = f"{region} not annotated" if main["cohort"] == UNKNOWN else ""
    short = verdict.short if verdict is not None and verdict.kind in ("bad", "alarm") else ""
    strange = "unlike the training scans" if unlike else ""
    return ", ".join(filter(None, (failed, unknown, short, strange)))


def _told(main: Row, region: str, note: str) -> str:
    """Say the most important of a scan on one line, for the viewer."""
    dice = "" if main["dice"] is None else f"Dice of {region} {number(main['dice'])}"
    return "; ".join(filter(None, (cohort_title(str(main["cohort"]), region), dice, note)))


def _marks(main: Row, verdict: Verdict | None) -> str:
    """Return what the page filters by: cohort and kind of verdict, as words."""
    return " ".join(filter(None, (f"in-{main['cohort']}", verdict.kind if verdict else "")))


def _parts(mains: Mapping[str, Row], judged: Mapping[str, Verdict]) -> list[tuple[str, str, str, int]]:
    """Return name, label, wanted kinds and size of each part of the table."""
    kinds = [judged[case].kind if case in judged else "" for case in mains]
    sizes = {name: sum(not wanted or kind in wanted for kind in kinds) for name, (_, wanted) in PARTS.items()}
    return [(name, label, " ".join(wanted), sizes[name]) for name, (label, wanted) in PARTS.items()]


def _head(name: str, is_number: bool = False) -> Cells:
    return {"name": name, "number": is_number}


def _text(text: str) -> Cells:
    return {"text": text, "number": False}


def _figure(value: float | None, unit: str) -> Cells:
    return {"text": number(value, unit), "sort": "" if value is None else repr(value), "number": True}
