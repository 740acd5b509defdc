"""Fifty small scans with five broken ones, killed (SIGKILL) twice on the way: 45 masks, five reasons, the same bytes.

    python benchmarks/batch.py benchmarks/results/batch.json [--scans 50]

One batch runs undisturbed; another is killed when a third and when two thirds of its masks lie there, and the same
command is given again until it ends. Masks are compared byte for byte, and every file of the killed batch that bears
the name of a mask is read whole right after each kill.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from inference_data import write_model

BROKEN = ("cut", "empty", "constant", "nan", "text")
PATCH, WIDTHS = 32, (8, 16, 32)


def write_scans(folder: Path, count: int) -> None:
    """Write `count` scans of the size of a hippocampus, the last five of them broken, each in another way."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count - len(BROKEN)):
        shape = generator.integers((31, 40, 24), (44, 60, 48))
        save(folder / f"scan_{number:02}.nii.gz", generator.normal(100, 20, shape))
    image = generator.normal(100, 20, (36, 50, 36))
    whole = save(folder / "broken_cut.nii.gz", image).read_bytes()
    (folder / "broken_cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "broken_empty.nii.gz").write_bytes(b"")
    save(folder / "broken_constant.nii.gz", np.full((36, 50, 36), 7.0))
    image[3, 4, 5] = np.nan
    save(folder / "broken_nan.nii.gz", image)
    (folder / "broken_text.nii.gz").write_text("not a scan\n")


def save(path: Path, voxels: np.ndarray[Any, Any]) -> Path:
    nibabel.Nifti1Image(voxels.astype(np.float32), np.eye(4)).to_filename(path)
    return path


def start(folder: Path, out: Path) -> subprocess.Popen[str]:
    words = [f"model={folder / 'model'}", f"images={folder / 'images'}", f"out={out}", "machine.device=cpu"]
    command = [sys.executable, "-m", "medseg", "segment", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def masks(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.nii.gz"))}


def kill_at(folder: Path, out: Path, count: int) -> dict[str, int]:
    """Kill the command when `count` masks lie there; every mask that lies there then can be read whole."""
    process = start(folder, out)
    while process.poll() is None and len(list(out.glob("*.nii.gz"))) < count:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    readable = [np.asarray(nibabel.load(path).dataobj).shape for path in out.glob("*.nii.gz")]
    return {"killed_at": count, "code": process.returncode, "whole_masks": len(readable)}


def finish(folder: Path, out: Path) -> dict[str, Any]:
    """Let the command end; return its exit code, the masks and the reasons."""
    process = start(folder, out)
    told = process.communicate()[1]
    cases = json.loads((out / "segment.json").read_text())["cases"]
    reasons = {name: one["reason"] for name, one in cases.items() if one["status"] != "done"}
    return {"code": process.returncode, "masks": len(masks(out)), "reasons": reasons, "told": told.splitlines()[-8:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--scans", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scans(folder / "images", asked.scans)
        write_model(folder / "model", WIDTHS, PATCH, 1, 2)
        good = asked.scans - len(BROKEN)
        whole = finish(folder, folder / "undisturbed")
        kills = [kill_at(folder, folder / "killed", count) for count in (good // 3, 2 * good // 3)]
        end = finish(folder, folder / "killed")
        same = masks(folder / "killed") == masks(folder / "undisturbed")
        left = sorted(str(p.relative_to(folder)) for p in (folder / "killed").rglob("*") if "tmp" in p.name)
    found = {"scans": asked.scans, "undisturbed": whole, "kills": kills, "end": end, "same_bytes": same, "left": left}
    text = json.dumps(found, indent=1).replace(name, "FOLDER")
    asked.result.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
