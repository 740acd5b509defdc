"""How fast a CUDA device trains the U-Net of nnU-Net's brain tumour plan, and which settings that takes.

    python benchmarks/gpu.py benchmarks/results/gpu.json [--minutes 8] [--only NAME ...] [--dry-run]

One command, on data that it makes itself, beside the same network trained in nnU-Net's way (gpu_peer.py). It needs
torch with Triton, numpy, scipy, PyYAML, pydantic and safetensors, and this repository, which need not be installed.
Each part runs in a process of its own with a time limit, the most telling ones first; once warm it has two CPU threads
on two cores. The JSON is written after each. `--dry-run` does the same on a CPU with tiny sizes and with nothing to
compile; what needs CUDA is "not measured". The tests that need the device are another command, and pytest and
hypothesis as well: python -m pytest -m gpu $(grep -rl pytest.mark.gpu tests)

Columns: `bare` are steps on batches that lie on the device; `device` and `host` are the whole loop, batches drawn,
cut and changed by the thread that works ahead, from cases on the device or in memory of the computer. `idle` is the
share of the time in which no kernel and no copy runs, from the profiler. `of matrix` is the rate of the convolutions,
their operations over the time in their kernels, as a share of a bfloat16 matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpu_parts import NOT_DRY, PARTS, Part, limit
from gpu_table import table

HERE = Path(__file__).resolve().parent
SHORTEST_SECONDS = 20


def serve(name: str, out: Path, dry: bool) -> None:
    """Measure one part in this process, and write what is known after each piece."""
    import gpu_cases
    import gpu_clock
    import gpu_norm
    import torch

    size, part, known = gpu_cases.TINY if dry else gpu_cases.BRAIN, PARTS[name], {"here": _here(torch)}

    def keep(more: Part) -> None:
        known.update(more)
        draft = out.with_suffix(".draft")
        draft.write_text(json.dumps(known))
        draft.replace(out)  # this process may be stopped at any moment

    keep({})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if part["kind"] == "ceilings":
        keep(gpu_clock.ceilings(device))
        return
    if part["kind"] == "norm":
        keep(gpu_norm.measure(size, device))
        return
    import gpu_own
    import gpu_peer

    from medseg.values.error import Refusal

    voxels = part["batch"] * size.patch**3
    keep({"batch": part["batch"], "voxels": voxels, "flops": gpu_own.flops(size, part["batch"])})
    measure: Callable[..., None] = gpu_own.measure if part["kind"] == "own" else gpu_peer.measure
    try:
        measure(part, size, keep)
    except Refusal as refusal:
        keep({"refused": str(refusal)})


def _here(torch: Any) -> Part:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"no CUDA device, {platform.machine()}"
    return {
        "device": device,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,  # a build for CUDA is no device
        "python": platform.python_version(),
    }


def run(name: str, dry: bool, seconds: float) -> Part:
    """Measure a part in a process of its own; return what it knew at its end, and `error` where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder) / "out.json", Path(folder) / "errors.txt"
        words = [sys.executable, __file__, str(out), "--part", name, *(["--dry-run"] if dry else [])]
        paths = [str(HERE.parent), str(HERE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        where = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with errors.open("w") as file:
            process = subprocess.Popen(words, env=where, stdout=file, stderr=file, start_new_session=True)
            try:
                code: int | str = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = f"stopped after {seconds:.0f} s"
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # compilers may be left
            process.wait()
        known: Part = json.loads(out.read_text()) if out.is_file() else {}
        if code != 0:
            known["error"] = f"{code}: {' | '.join(errors.read_text().strip().splitlines()[-4:])}"[:800]
        return known


def main(out: Path, names: Sequence[str], minutes: float, dry: bool) -> None:
    """Run all parts that the time allows, and print the table."""
    deadline, parts = time.monotonic() + 60 * minutes, {}
    out.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        left = deadline - time.monotonic()
        print(f"{60 * minutes - left:4.0f} s  {name}", file=sys.stderr, flush=True)
        seconds = min(limit(PARTS[name]), left)
        parts[name] = run(name, dry, seconds) if seconds > SHORTEST_SECONDS else {"error": "no time was left"}
        out.write_text(json.dumps({"dry_run": dry, "parts": parts}, indent=1))
    print(table(parts, dry))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="NAME", help="by default all parts")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        serve(asked.part, asked.out, asked.dry_run)
    else:
        usual = [name for name in PARTS if not (asked.dry_run and name in NOT_DRY)]
        main(asked.out, asked.only or usual, asked.minutes, asked.dry_run)
