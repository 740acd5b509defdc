"""What the report's tables say, cell by cell, from a summary and the rows of scores.csv."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.ops.scoring.rows import ALL, HEALTHY
from medseg.report.wording import (
    UNDEFINED,
    Cells,
    Json,
    count,
    interval,
    number,
    part,
    piece,
    region_title,
    tissue,
    unknown_scans,
)

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Overlap": {
        "dice": ("Dice", "share"),
        "iou": ("IoU", "share"),
        "sensitivity": ("sensitivity", "share"),
        "precision": ("precision", "share"),
        "specificity": ("specificity", "share"),
    },
    "Distance of surfaces": {
        "hd95_mm": ("Hausdorff 95 %, mm", "mm"),
        "assd_mm": ("average distance, mm", "mm"),
        "nsd": ("surface Dice (NSD)", "share"),
    },
    "Volume": {
        "volume_truth_ml": ("truth, ml", "ml"),
        "volume_predicted_ml": ("predicted, ml", "ml"),
        "volume_error_ml": ("error, ml", "ml"),
    },
    "Lesions": {
        "lesion_dice": ("lesion Dice", "share"),
        "lesion_hd95_mm": ("lesion Hausdorff 95 %, mm", "mm"),
        "lesion_f1": ("lesion F1", "share"),
        "false_lesions": ("false ones per scan", "share"),
    },
}


def comparison_table(summary: Json, region: str) -> Cells:
    """Make the report's first table: the region where it is, and what happens where it is not."""
    tumour, healthy = summary["cohorts"]["tumour"], summary["cohorts"]["healthy"]
    rows = [_mean(f"Dice of {region}, on scans with {region}", tumour["dice"], _failures(summary))]
    rows += _labels(summary)
    where = "all scans" if healthy["n"] else "outside the truth, inside the body"
    rows.append(_mean(f"Dice of {tissue(region)}", tumour["healthy_tissue_dice"], where))
    rows += _healthy(healthy) + _detection(tumour, region)
    note = f"A scan in which {region} was not found counts as Dice 0."
    if not healthy["n"]:
        note += " There are no healthy scans in the held-out set, so false alarms on them cannot be told."
    if unknown := unknown_scans(summary):
        note += f" In {count(unknown, 'scan')} {region} was not annotated: they are in neither cohort."
    title = f"{region[:1].upper()}{region[1:]} against {tissue(region)}"
    return {"heading": title, "note": note, "rows": rows}


def lesion_table(summary: Json) -> list[Cells]:
    """List the lesions that were found by size; sizes without any are left out, and a single size says nothing new."""
    bins = [b for b in summary["cohorts"]["tumour"]["lesions"]["bins"] if b["n"]]
    if len(bins) < 2:
        return []
    return [
        {"size": _size(b), "lesions": b["n"], "found": b["found"], "share": f"{100 * b['recall']:.0f} %"} for b in bins
    ]


def measures_table(summary: Json, order: Sequence[str], region: str) -> Cells:
    """Make the table of every measure (rows) in every region (columns, in `order`), without measures nobody has."""
    names = [name for name in (*order, HEALTHY) if name in summary["regions"]]
    groups = []
    for group, measures in GROUPS.items():
        rows = []
        for measure, (name, unit) in measures.items():
            found = [summary["regions"][r].get(measure) for r in names]
            if any(s and s["n"] for s in found):
                rows.append({"name": name, "cells": [_cell(s, unit) for s in found]})
        if rows:
            title = f"{piece(region)}s".capitalize() if group == "Lesions" else group
            groups.append({"name": title, "rows": rows})
    titles = [region_title(name, region) for name in names]
    return {"regions": titles, "groups": groups, "notes": _classes(summary["regions"].get(ALL, {}))}


def _mean(question: str, found: Json, remark: str = "") -> Cells:
    notes = [remark, f"median {number(found['median'])}" if found["n"] else ""]
    notes.append(f"{found['undefined']} undefined" if found["undefined"] else "")
    answer = number(found["mean"])
    return _line(question, answer, "; ".join(filter(None, notes)), interval(found["ci95"]), count(found["n"], "scan"))


def _line(question: str, answer: str, remark: str = "", ends: str = "", n: str = "") -> Cells:
    return {"question": question, "answer": answer, "interval": ends, "n": n, "remark": remark}


def _failures(summary: Json) -> str:
    n = len(summary["failed"])
    return f"{n} failed, counted as 0" if n else ""


def _labels(summary: Json) -> list[Cells]:
    """Add the mean over single labels where it says something that the region's own line does not."""
    mean = summary["mean_dice"]
    same = mean["mean"] == summary["cohorts"]["tumour"]["dice"]["mean"]
    return [] if same or not mean["n"] else [_mean("Mean Dice over the single labels", mean)]


def _healthy(healthy: Json) -> list[Cells]:
    if not healthy["n"]:
        return []
    volume = healthy["false_positive_ml"]
    spread = f"95th percentile {number(volume['p95'], 'ml')} ml, largest {number(volume['max'], 'ml')} ml"
    if volume["undefined"]:
        spread += f"; {volume['undefined']} undefined"
    mean = number(volume["mean"], "ml") + (" ml" if volume["n"] else "")
    return [
        _line(
            "Healthy scans without a single false voxel", part(healthy["clean"], healthy["n"]), "", "", _scans(healthy)
        ),
        _line(
            "False volume on healthy scans, mean", mean, spread if volume["n"] else "", "", count(volume["n"], "scan")
        ),
    ]


def _detection(tumour: Json, region: str) -> list[Cells]:
    found, lesions = tumour["detection"], tumour["lesions"]
    ill, well = found["tumour_subjects"], found["healthy_subjects"]
    lines = []
    if ill:
        words = "at least one true voxel marked"
        lines.append(
            _line(
                f"Patients with {region} that were noticed", part(found["found"], ill), words, "", count(ill, "patient")
            )
        )
    if well:
        words = "in none of their scans"
        lines.append(
            _line(
                "Healthy patients with nothing marked",
                part(found["clean"], well),
                words,
                "",
                count(well, "patient"),
            )
        )
    if lesions["n"]:
        noun = piece(region)
        share = part(lesions["found"], lesions["n"])
        lines.append(_line(f"Single {noun}s found", share, "", "", count(lesions["n"], noun)))
    return lines


def _scans(cohort: Json) -> str:
    return count(cohort["n"], "scan")


def _size(found: Json) -> str:
    low, high = found["from_ml"], found["to_ml"]
    if high is None:
        return f"{low:g} ml and more"
    return f"under {high:g} ml" if low == 0 else f"{low:g} to {high:g} ml"


def _cell(found: Json | None, unit: str) -> Cells:
    if not found or not found["n"]:
        return {"mean": UNDEFINED, "interval": "", "more": ""}
    more = [f"median {number(found['median'], unit)}", f"n {found['n']}"]
    if found["undefined"]:
        more.append(f"{found['undefined']} undefined")
    return {
        "mean": number(found["mean"], unit),
        "interval": interval(found["ci95"], unit),
        "more": ", ".join(more),
    }


def _classes(found: Json) -> list[str]:
    if not found or not found["miou"]["n"]:
        return []
    miou, accuracy = found["miou"], found["pixel_accuracy"]
    return [
        f"Over all classes, background included: mean IoU {number(miou['mean'])} {interval(miou['ci95'])}, "
        f"pixel accuracy {number(accuracy['mean'])} (high wherever background prevails)."
    ]
