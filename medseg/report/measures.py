"""Tables of measures, cell by cell: by region, and by site."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.ops.scoring.rows import ALL, HEALTHY
from medseg.report.wording import UNDEFINED, Cells, Json, interval, number, part, piece, region_title

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
        "panoptic_quality": ("panoptic quality", "share"),
        "segmentation_quality": ("segmentation quality", "share"),
        "recognition_quality": ("recognition quality", "share"),
        "false_positive_ml": ("false volume, ml", "ml"),
        "false_negative_ml": ("missed volume, ml", "ml"),
    },
    "Probabilities": {
        "ece": ("calibration error", "share"),
        "brier": ("Brier score", "share"),
    },
}
"""Measures as the tables name them: group, then column of scores.csv, with its name and what it counts."""


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


def sites_table(summary: Json, order: Sequence[str], region: str) -> Cells:
    """Make the table of sites, one line each; {} where sites are not known, or there is only one."""
    sites: Json = summary.get("sites") or {}
    if len(sites) < 2:
        return {}
    heads = [f"Dice, scans with {region}", "healthy scans, nothing marked"]
    heads += [f"Dice {name}" for name in order if name != region]
    return {"heads": heads, "rows": [_site(name, own, order, region) for name, own in sorted(sites.items())]}


def _site(name: str, own: Json, order: Sequence[str], region: str) -> Cells:
    clean = {"mean": part(own["healthy"]["clean"], own["healthy"]["n"]), "interval": "", "more": ""}
    found = [own["dice"], *(own["regions"].get(other) for other in order if other != region)]
    dice = [_cell(one, "share") | ({"more": f"n {one['n']}"} if one and one["n"] else {}) for one in found]
    cells = [dice[0], clean, *dice[1:]]
    return {"site": name or "not known", "n": own["n"], "subjects": own["subjects"], "cells": cells}


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
