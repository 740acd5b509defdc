"""Seconds and peak host memory of one segmentation, read to written, beside MONAI and nnU-Net, in the same run.

    python benchmarks/inference.py benchmarks/results/inference.json --peer PEER/bin/python [--device cuda] [--dry-run]

PEER is an environment with nnunetv2, pydantic and safetensors; MONAI is the one of this environment, where there is
one. medseg need not be installed; needed are torch, numpy, scipy, PyYAML, pydantic, safetensors, nibabel, Pillow and
Jinja2, and with `--device cuda` Triton. A scan of
4 x 240 x 240 x 155 voxels, windows of 128 voxels, overlap 0.5, Gaussian weights, three classes, without and with
mirrors; everybody has the same network, weights and windows, each in a process of its own, one after the other,
rounds in alternating order. Imports and loading of the weights are not measured (medseg's command loads its weights
within the measured time). The masks are compared at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inference_data import CASE, write_model, write_peer_plan, write_scan
from rounds import environment, machine

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # medseg need not be installed
SHAPE, PATCH, CHANNELS, CLASSES = (240, 240, 155), 128, 4, 3
WIDTHS = (16, 32, 64, 128, 160, 160)
FULL_WIDTHS = (32, 64, 128, 256, 320, 320)
OWN, MONAI, NNUNET = "medseg", "MONAI", "nnU-Net"
PROGRAMS = {OWN: "inference_own.py", MONAI: "inference_monai.py", NNUNET: "inference_nnunet.py"}


def segment(name: str, asked: argparse.Namespace, folder: Path, mode: str) -> dict[str, float]:
    """Let one contestant segment the scan in a process of its own; return its seconds and MB."""
    python = asked.peer if name == NNUNET else sys.executable
    out = folder / "out" / name / mode
    shutil.rmtree(out, ignore_errors=True)  # medseg would find its mask there, and do nothing
    out.mkdir(parents=True)
    command = [python, str(HERE / PROGRAMS[name]), str(folder), str(out), mode, asked.device]
    own = [] if name == NNUNET else os.environ.get("PYTHONPATH", "").split(os.pathsep)  # the peer has its own packages
    paths = [str(HERE.parent), str(HERE), *own]
    surroundings = {**environment(asked.threads), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def agreement(folder: Path, mode: str, names: list[str]) -> dict[str, float]:
    """Return the share of voxels with the same label as ours, for each peer."""
    from medseg.files.scans import read_mask

    masks = {}
    for name in names:
        path = next((folder / "out" / name / mode).glob("*.nii.gz"))
        masks[name] = read_mask(path).voxels[0]
    return {name: float((mask == masks[OWN]).mean()) for name, mask in masks.items() if name != OWN}


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write the scan and the model, then let everybody segment it, rounds alternating."""
    size = (48, 48, 40) if asked.dry_run else SHAPE
    patch = 32 if asked.dry_run else PATCH
    widths = (4, 8, 8) if asked.dry_run else FULL_WIDTHS if asked.device != "cpu" else WIDTHS
    write_scan(folder / "images", size, CHANNELS)
    write_model(folder / "model", widths, patch, CHANNELS, CLASSES)
    write_peer_plan(folder, patch, CHANNELS, CLASSES)
    names = [OWN, *([MONAI] if find_spec("monai") else []), *([NNUNET] if asked.peer else [])]
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for mode, rounds in (("plain", asked.rounds), ("mirror", asked.mirror_rounds)):
        for number in range(rounds):
            for name in names if number % 2 == 0 else reversed(names):
                one = segment(name, asked, folder, mode)
                found.setdefault(mode, {}).setdefault(name, []).append(one)
                print(f"{mode:7} {name:8} {one['seconds']:8.2f} s {one['peak_mb']:8.0f} MB", flush=True)
    same = {mode: agreement(folder, mode, names) for mode in found}
    return {"widths": widths, "shape": size, "patch": patch, "rounds": found, "same_labels": same}


def table(found: Mapping[str, Any]) -> str:
    """Return the medians as Markdown."""
    lines = ["| | medseg | MONAI | nnU-Net |", "|---|---|---|---|"]
    for mode, rounds in found["rounds"].items():
        for key, unit in (("seconds", "s"), ("peak_mb", "MB")):
            cells = [
                f"{statistics.median(one[key] for one in rounds[name]):.{1 if unit == 's' else 0}f} {unit}"
                if name in rounds
                else "not measured yet"
                for name in PROGRAMS
            ]
            lines.append(f"| {mode}, {'time' if unit == 's' else 'peak memory'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def here(libraries: Sequence[str]) -> dict[str, Any]:
    """Say where this was measured when no peer was."""
    import torch

    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    about = {"cores": os.cpu_count(), "python": platform.python_version(), "devices": devices}
    return about | {name: metadata.version(name) for name in libraries}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--peer", help="python of an environment with nnunetv2; without it nnU-Net is left out")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mirror-rounds", type=int, default=1)
    parser.add_argument("--dry-run", action="store_true", help="a small scan and network, to see that it works")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(asked, Path(folder))
    libraries = [name for name in ("torch", "monai", "numpy") if find_spec(name)]
    where = machine(asked.peer, libraries, ("torch", "nnunetv2")) if asked.peer else here(libraries)
    found |= {"machine": where, "device": asked.device, "case": CASE}
    asked.result.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
