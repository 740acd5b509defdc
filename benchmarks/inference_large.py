"""Peak memory where scans are large: 1 x 512 x 512 x 600 voxels of 0.8 mm, a network at 1.5 mm, 3 and 105 classes.

    python benchmarks/inference_large.py benchmarks/results/inference_large.json --peer PEER/bin/python [--dry-run]

medseg segments the scan by its command, read to written. Beside it nnU-Net's export of logits of the same shape at
1.5 mm: resampled to the scan's grid, decided, put in place; it is stopped at 20 GB of resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from inference_data import write_model, write_peer_plan, write_scan
from rounds import environment, machine

HERE = Path(__file__).resolve().parent
SHAPE, SPACING, PLANNED, PATCH, WIDTHS = (512, 512, 600), 0.8, 1.5, 64, (4, 8, 16)
MOST_GB = 20.0


def watched(command: list[str], threads: int) -> dict[str, Any]:
    """Run a command; return its seconds and largest resident memory, and whether it was stopped for it."""
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    began, peak, stopped = time.perf_counter(), 0, False
    with tempfile.TemporaryFile("w+") as errors:
        process = psutil.Popen(
            command, env={**environment(threads), "PYTHONPATH": paths}, stdout=subprocess.DEVNULL, stderr=errors
        )
        while process.poll() is None:
            try:
                peak = max(peak, process.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            if peak > MOST_GB * 1e9:
                process.kill()
                stopped = True
            time.sleep(0.02)
        code = process.wait()
        errors.seek(0)
        told = errors.read()
        if code and not stopped and "MemoryError" not in told:
            raise SystemExit(told[-3000:])
    found = {"seconds": time.perf_counter() - began, "peak_gb": peak / 1e9, "stopped": stopped}
    return found | ({"failed": told.strip().splitlines()[-1]} if code and not stopped else {})


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure both numbers of classes."""
    shape = (80, 80, 96) if asked.dry_run else SHAPE
    patch = 32 if asked.dry_run else PATCH
    write_scan(folder / "images", shape, 1, SPACING)
    found: dict[str, Any] = {}
    for classes in asked.classes:
        place = folder / str(classes)
        (place / "out").mkdir(parents=True)
        (place / "images").symlink_to(folder / "images")
        write_model(place / "model", WIDTHS, patch, 1, classes, PLANNED)
        write_peer_plan(place, patch, 1, classes)
        own = [sys.executable, str(HERE / "inference_own.py"), str(place), str(place / "out"), "plain", "cpu"]
        found[str(classes)] = {} if asked.peer_alone else {"medseg": watched(own, asked.threads)}
        print(classes, found[str(classes)], flush=True)
        if asked.peer:
            sizes = [*map(str, shape), str(SPACING), str(PLANNED), str(classes)]
            peer = [asked.peer, str(HERE / "inference_large_nnunet.py"), str(place), *sizes]
            found[str(classes)]["nnunet_export"] = watched(peer, asked.threads)
            print(classes, found[str(classes)], flush=True)
    return {"shape": shape, "patch": patch, "widths": WIDTHS, "classes": found}


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = ["| classes | medseg, read to written | nnU-Net, export alone |", "|---|---|---|"]
    for classes, both in found["classes"].items():
        cells = []
        for name in ("medseg", "nnunet_export"):
            one = both.get(name)
            if one is None:
                cells.append("not measured yet")
            elif "failed" in one:
                cells.append(f"failed: {one['failed'].split(': ', 1)[-1]}")
            elif one["stopped"]:
                cells.append(f"stopped at {MOST_GB:g} GB after {one['seconds']:.0f} s")
            else:
                cells.append(f"{one['peak_gb']:.2f} GB, {one['seconds']:.0f} s")
        lines.append(f"| {classes} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--peer", help="python of an environment with nnunetv2; without it nnU-Net is left out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-alone", action="store_true", help="leave medseg out")
    parser.add_argument("--classes", type=int, nargs="+", default=[3, 105], help="others keep what the result has")
    parser.add_argument("--dry-run", action="store_true", help="a small scan, to see that it works")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(asked, Path(folder))
    if asked.result.is_file():
        before = json.loads(asked.result.read_text())["classes"]
        found["classes"] = before | {name: before.get(name, {}) | one for name, one in found["classes"].items()}
    if asked.peer:
        found["machine"] = machine(asked.peer, ("torch", "numpy"), ("torch", "nnunetv2"))
    asked.result.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
