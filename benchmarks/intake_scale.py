"""Many small scans: how long the doctor takes, how much memory, and how quickly it is done again.

    python -m benchmarks.intake_scale benchmarks/results/intake_scale.json [--cases 1000 10000] [--side 16]

Makes synthetic scans of SIDE^3 voxels with masks (.nii.gz, two folders), runs `medseg check` on them cold, again
without any change, and again after one more case was added. Memory is the largest sum of resident memory over the
process tree, sampled every 20 ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.process_tree import Measured, measure
from medseg.files.nifti.writing import write_image, write_mask
from medseg.values.streams import stream
from medseg.values.volume import Volume

AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])


def make(folder: Path, numbers: range, side: int) -> None:
    """Write scans of noise with a brighter ball, and the ball as mask."""
    axes = np.indices((side, side, side), np.float32)
    for number in numbers:
        chance = stream(0, "intake_scale", number)
        centre = chance.uniform(side / 4, 3 * side / 4, (3, 1, 1, 1))
        ball = ((axes - centre) ** 2).sum(axis=0) < (side / 5) ** 2
        voxels = chance.normal(100, 20, ball.shape) + 60 * ball
        image = np.rint(voxels).astype(np.float32)[None]
        write_image(folder / "images" / f"case_{number:06d}.nii.gz", Volume(image, AFFINE))
        write_mask(folder / "labels" / f"case_{number:06d}.nii.gz", Volume(ball.astype(np.uint8)[None], AFFINE))


def check(folder: Path, data: Path) -> Measured:
    """Run the doctor in `folder`, where its store is."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "medseg", "check", f"data.root={data}", "data.labels={ball: 1}", "out=checked"]
    found = measure(command, folder)
    if found.code != 0:
        raise SystemExit(found.output[-3000:])
    return found


def scale(folder: Path, cases: int, side: int) -> dict[str, float]:
    """Measure one size of data set."""
    data = folder / "data"
    make(data, range(cases), side)
    print(f"{cases} scans made", flush=True)
    cold, again = check(folder / "work", data), check(folder / "work", data)
    make(data, range(cases, cases + 1), side)
    more = check(folder / "work", data)
    page = (folder / "work" / "checked" / "check.html").stat().st_size / 2**20
    return {
        "cases": cases,
        "cold_seconds": round(cold.seconds, 2),
        "cold_peak_mb": round(cold.peak_mb),
        "again_seconds": round(again.seconds, 2),
        "again_peak_mb": round(again.peak_mb),
        "one_more_seconds": round(more.seconds, 2),
        "one_more_peak_mb": round(more.peak_mb),
        "page_mb": round(page, 1),
    }


def main(words: Sequence[str]) -> None:
    """Measure every size, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--side", type=int, default=16)
    asked = parser.parse_args(words)
    rows = []
    for cases in asked.cases:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(scale(Path(folder), cases, asked.side))
    print("| scans | first time s | peak MB | again s | one scan more s | page MB |\n|---|---|---|---|---|---|")
    for row in rows:
        names = ("cases", "cold_seconds", "cold_peak_mb", "again_seconds", "one_more_seconds", "page_mb")
        print(f"| {' | '.join(str(row[name]) for name in names)} |")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps({"side": asked.side, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
