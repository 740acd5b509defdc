"""Thresholding beside the network, on the held-out head phantoms of a finished run.

    python benchmarks/phantom.py runs/phantom benchmarks/results/phantom.json

Makes the phantoms again from the run's own settings (they are the same bytes), fits the best single threshold on the
training subjects with knowledge of their truth, and applies it to the held-out ones.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from statistics import mean

import numpy as np
import yaml

from medseg.ops.body import BodySettings, body_mask
from medseg.ops.phantom import PhantomSettings, make_phantom
from medseg.ops.phantom_threshold import Scale, threshold_baseline

SCALES: tuple[Scale, ...] = ("zscore", "percentile")


def case_of(settings: PhantomSettings, name: str):
    image, mask = make_phantom(settings, int(name.removeprefix("phantom_")))
    body = body_mask(image.voxels, BodySettings(kind="otsu"))
    return image.voxels[0], body, np.asarray(mask.voxels[0] > 0)


def main(run: Path, out: Path) -> None:
    """Print the table and write the JSON."""
    settings = yaml.safe_load((run / "settings.yaml").read_text())
    phantom = PhantomSettings.model_validate_json(json.dumps(settings["data"]))
    held_out = json.loads((run / "report" / "summary.json").read_text())["held_out"]
    every = [f"phantom_{number:03d}" for number in range(1, phantom.subjects + 1)]
    training = [case_of(phantom, name) for name in every if name not in set(held_out)]
    tested = [case_of(phantom, name) for name in held_out]
    results: dict[str, float] = {}
    for scale in SCALES:
        for largest in (False, True):
            _, dice = threshold_baseline(training, tested, scale, largest)
            results[f"threshold, {scale}{', largest component' if largest else ''}"] = mean(dice)
    with (run / "report" / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["region"] == "tumour" and row["cohort"] == "tumour"]
    results["3D U-Net (this run)"] = mean(float(row["dice"]) for row in rows)
    print(f"| method | mean tumour Dice on {len(rows)} held-out scans with tumour |\n|---|---|")
    for name, value in results.items():
        print(f"| {name} | {value:.3f} |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"held_out": held_out, "mean_tumour_dice": results}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
