"""The picture of the README: worst, median and best held-out phantom of a finished run.

python benchmarks/demo_picture.py runs/phantom docs/demo.png
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from PIL import Image


def main(run: Path, out: Path) -> None:
    """Join three of the report's pictures, one above the other."""
    with (run / "report" / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["region"] == "tumour" and row["cohort"] == "tumour"]
    ranked = [row["case"] for row in sorted(rows, key=lambda row: float(row["dice"]))]
    chosen = [ranked[0], ranked[len(ranked) // 2], ranked[-1]]
    pictures = [Image.open(run / "report" / "cases" / f"{case}.png").convert("RGB") for case in chosen]
    width = max(picture.width for picture in pictures)
    whole = Image.new("RGB", (width, sum(picture.height for picture in pictures)))
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    whole.resize((width * 2 // 3, top * 2 // 3), Image.Resampling.LANCZOS).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
