"""The tables of docs/results.md, from finished run folders.

    python benchmarks/tables.py runs/phantom runs/hippocampus_3d ...

For each run: the mean Dice of every region with its interval, the two cohorts, every held-out case, and seconds and
peak memory of every stage as stages.json has them.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any


def interval(entry: dict[str, Any]) -> str:
    low, high = entry["ci95"]
    spread = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    return "-" if entry["mean"] is None else f"{entry['mean']:.3f}{spread} (n {entry['n']})"


def tables(run: Path) -> str:
    """Return the Markdown of one run."""
    summary = json.loads((run / "report" / "summary.json").read_text())
    stages = json.loads((run / "stages.json").read_text())["stages"]
    card = json.loads((run / "model" / "card.json").read_text())
    lines = [f"### {run.name}", "", summary["answer"], ""]
    lines += [
        f"Steps taken {card['steps']}, weights of step {card['step']}, patch {card['plan']['patch']}, "
        f"features {card['plan']['architecture']['features']}.",
        "",
    ]
    lines += ["| region | Dice | HD95 mm | NSD |", "|---|---|---|---|"]
    for name, measures in summary["regions"].items():
        if "dice" in measures:
            distance = [measures[key]["mean"] if key in measures else None for key in ("hd95_mm", "nsd")]
            shown = ["-" if value is None else f"{value:.3f}" for value in distance]
            lines.append(f"| {name} | {interval(measures['dice'])} | {shown[0]} | {shown[1]} |")
    if summary["mean_dice"]:
        lines.append(f"| mean of the labels | {interval(summary['mean_dice'])} | | |")
    lines += ["", "| stage | seconds | peak memory MB |", "|---|---|---|"]
    lines += [f"| {name} | {one['seconds']:.1f} | {one['peak_memory_mb']:.0f} |" for name, one in stages.items()]
    return "\n".join([*lines, "", *cases(run, summary["tumour"]), ""])


def cases(run: Path, region: str) -> list[str]:
    """Return the rows of the table of held-out cases."""
    with (run / "report" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    healthy = {row["case"]: row["dice"] for row in rows if row["region"] == "healthy"}
    lines = [f"| case | {region} Dice | other tissue Dice | truth ml | predicted ml |", "|---|---|---|---|---|"]
    for row in rows:
        if row["region"] == region:
            values = (row["dice"], healthy.get(row["case"], ""), row["volume_truth_ml"], row["volume_predicted_ml"])
            shown = " | ".join(f"{float(value):.3f}" if value else "-" for value in values)
            lines.append(f"| {row['case']} | {shown} |")
    return lines


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        print(tables(Path(folder)))
