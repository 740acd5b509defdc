"""How long a refusal takes and what memory it costs.

    python -m benchmarks.refusals benchmarks/results/refusals.json

Every kind of bad file of the tests is made and read once, by a process that has read sound ones before.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from medseg.files.scans import scan_image, scan_mask
from medseg.pipeline.meter import Meter
from medseg.values.error import Refusal
from tests.intake.bad_files import KINDS
from tests.intake.kinds import Kind


def read(kind: Kind, path: Path) -> bool:
    """Read a file as the tests do; say whether it was refused."""
    try:
        if kind.what == "mask":
            scan_mask(path, limit_voxels=kind.limit)
        else:
            scan_image(path, kind.component)
    except Refusal:
        return True
    return False


def measured(kind: Kind, folder: Path) -> dict[str, object]:
    """Make a file of a kind, read it, and return what that took."""
    folder.mkdir()
    made = kind.make(folder)
    meter = Meter()
    before = time.perf_counter()
    refused = read(kind, made.path)
    seconds = time.perf_counter() - before
    return {
        "kind": kind.name,
        "bomb": kind.bomb,
        "refused": refused,
        "seconds": round(seconds, 4),
        "peak_mb": meter.read()["peak_memory_mb"],
    }


def main(out: Path) -> None:
    """Measure all kinds, print the slowest, write the JSON."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("NIfTI-1, packed", "NRRD", "DICOM: CT"):  # warm: readers are imported, the child process runs
            kind = next(kind for kind in KINDS if kind.name == name)
            measured(kind, Path(scratch) / f"warm {name.replace('/', ' ')}")
        rows = [measured(kind, Path(scratch) / str(number)) for number, kind in enumerate(KINDS)]
    refused = [row for row in rows if row["refused"]]
    bombs = [row for row in refused if row["bomb"]]
    print(f"{len(rows)} kinds, {len(refused)} refused, {len(bombs)} of them bombs or lies")
    print("| refused | seconds | peak MB of the process |\n|---|---|---|")
    for row in sorted(refused, key=lambda row: -float(str(row["seconds"])))[:5]:
        print(f"| {row['kind']} | {row['seconds']} | {row['peak_mb']} |")
    out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
