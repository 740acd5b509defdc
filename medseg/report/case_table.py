"""The table of all held-out scans, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medseg.ops.scoring.rows import HEALTHY, UNKNOWN
from medseg.report.wording import Cells, Row, number, piece, region_title

CASE_COLUMNS = (
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


def cases_table(rows: Sequence[Row], order: Sequence[str], region: str) -> Cells:
    """Make the table of all cases, one line each: Dice in every region in `order`, the other measures in `region`."""
    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        cases.setdefault(row["case"], {})[row["region"]] = row
    names = [name for name in (*order, HEALTHY) if any(name in own for own in cases.values())]
    heads = [_head("scan"), _head("cohort"), *(_head(f"Dice {region_title(name, region)}", True) for name in names)]
    heads += [_head(name.replace("lesion", piece(region)), True) for _, name, _ in CASE_COLUMNS]
    remarks = any(_remark(own[region], region) for own in cases.values())
    return {
        "heads": heads + ([_head("remark")] if remarks else []),
        "rows": [_case_line(own, names, region, remarks) for own in cases.values()],
    }


def _case_line(own: Mapping[str, Row], names: Sequence[str], region: str, remarks: bool) -> list[Cells]:
    main = own[region]
    cells = [_text(main["case"]), _text(region if main["cohort"] == "tumour" else main["cohort"])]
    cells += [_figure(own.get(name, {}).get("dice"), "share") for name in names]
    cells += [_figure(main.get(column), unit) for column, _, unit in CASE_COLUMNS]
    return cells + ([_text(_remark(main, region))] if remarks else [])


def _remark(main: Row, region: str) -> str:
    """Say what a reader must know of a scan, from its row of the region."""
    failed = "failed" if main.get("reason") else ""
    unknown = f"{region} not annotated" if main["cohort"] == UNKNOWN else ""
    return ", ".join(filter(None, (failed, unknown)))


def _head(name: str, is_number: bool = False) -> Cells:
    return {"name": name, "number": is_number}


def _text(text: str) -> Cells:
    return {"text": text, "number": False}


def _figure(value: float | None, unit: str) -> Cells:
    return {"text": number(value, unit), "sort": "" if value is None else repr(value), "number": True}
