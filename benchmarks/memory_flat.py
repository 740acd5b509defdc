"""Host memory over 2,000 training steps, and against the number of cases when they are memory-mapped.

    python benchmarks/memory_flat.py benchmarks/results/memory_flat.json [--steps 2000]

The train stage runs on the CPU in a process of its own, once on few and once on ten times as many cases of 2 x 64^3,
with its validations and checkpoints. While it runs, its memory is read four times a second from /proc: what it holds
itself (anonymous memory, which cannot be given back), and what it maps of files (the cases, which the system may drop
at any time). The first tenth of the time is the warm-up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.training.settings import TrainingSettings
from medseg.files.prepared import PreparedCase, write_prepared
from medseg.files.records import SchemeRecord, write_record
from medseg.networks.settings import UNet3D
from medseg.ops.guard import Familiar
from medseg.ops.intensity import ChannelNormalisation
from medseg.ops.loss_settings import LossSettings
from medseg.ops.preparing import Preparation, PrepareSettings
from medseg.ops.seeds import draw_seeds
from medseg.stages.train import run
from medseg.stages.training.settings import TrainStageSettings
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan

CASES, SIZE, VALIDATION, VALIDATION_SIZE = (20, 200), 64, 3, 24
TOLERANCE = 0.05
SAMPLE_SECONDS = 0.25
KINDS = {"own": "RssAnon", "files": "RssFile", "all": "VmRSS"}
PLAN = Plan(
    spacing_mm=(1.0, 1.0, 1.0),
    patch=(16, 16, 16),
    batch=2,
    plane=None,
    architecture=Architecture(
        dimensions=3,
        channels=2,
        outputs=3,
        features=(4, 8),
        strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3), (3, 3, 3)),
    ),
)


def generate(folder: Path, cases: int) -> None:
    """Write cases with a ball and its core in noise, and what else training reads."""
    generator = np.random.default_rng(0)
    write_record(folder / "plan.json", PLAN)
    scheme = SchemeRecord(labels={"core": 1, "rim": 2}, regions={"all": (1, 2)}, tumour="all")
    write_record(folder / "scheme.json", scheme)
    zscore = dict.fromkeys(("first", "second"), ChannelNormalisation(kind="zscore"))
    write_record(folder / "preparation.json", Preparation(spacing_mm=(1.0, 1.0, 1.0), normalisations=zscore))
    write_record(folder / "familiar.json", Familiar(cases=cases))
    for number in range(cases + VALIDATION):
        size = VALIDATION_SIZE if number >= cases else SIZE
        centre = generator.uniform(0.4 * size, 0.6 * size, 3)[:, None, None, None]
        away = np.sqrt(((np.indices((size,) * 3) - centre) ** 2).sum(axis=0)) / size
        classes = (away < 0.25).astype(np.uint8) * 2 - (away < 0.12).astype(np.uint8)
        image = generator.standard_normal((2, size, size, size), np.float32) + classes
        seeds = draw_seeds(str(number), classes, 0)
        case = PreparedCase(f"case_{number:03}", image, classes, seeds, (1.0, 1.0, 1.0), {})
        write_prepared(folder / ("validation" if number >= cases else "train") / case.case, case)


def train(folder: Path, steps: int) -> None:
    """Train, and write (own, files, all) in bytes, sample by sample, to memory.json."""
    inputs = {name: folder / f"{name}.json" for name in ("plan", "scheme", "preparation", "familiar")}
    for role in ("train", "validation"):
        inputs |= {f"{role}/{path.name}": path for path in (folder / role).iterdir()}
    settings = TrainStageSettings(
        seed=0,
        network=UNet3D(),
        loss=LossSettings(),
        patches=PatchSettings(),
        augment=AugmentSettings(),
        training=TrainingSettings(steps=steps, validation_cases=VALIDATION),
        inference=InferenceSettings(),
        prepare=PrepareSettings(),
    )
    out, samples, ended = folder / "out", [], threading.Event()
    out.mkdir()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            if (out / "curve.csv").exists():
                samples.append(_memory())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        run(settings, inputs, out, Machine(device="cpu", threads=1, checkpoint_seconds=5))
    finally:
        ended.set()
        sampler.join()
    (folder / "memory.json").write_text(json.dumps(samples))


def _memory() -> list[int]:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if line.endswith("kB")}
    return [sizes[name] for name in KINDS.values()]


def measure(folder: Path, cases: int, steps: int) -> dict[str, Any]:
    """Train on so many cases in a process of its own and say how its memory went."""
    folder.mkdir()
    generate(folder, cases)
    subprocess.run([sys.executable, __file__, "--train", str(folder), "--steps", str(steps)], check=True)
    samples = json.loads((folder / "memory.json").read_text())
    found: dict[str, Any] = {"cases": cases, "data_mb": _mb(cases * SIZE**3 * (2 * 4 + 1))}
    tenth = len(samples) // 10
    for place, kind in enumerate(KINDS):
        sizes = [row[place] for row in samples[tenth:]]
        first, last, peak = statistics.median(sizes[:tenth]), statistics.median(sizes[-tenth:]), max(sizes)
        found[kind] = {"early_mb": _mb(first), "late_mb": _mb(last), "peak_mb": _mb(peak)}
        found[kind]["growth"] = round(last / first - 1, 4)
    return found


def _mb(count: float) -> float:
    return round(float(count) / 2**20, 1)


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    titles = ("training cases", "size of the cases MB", "own memory after 10-20 % of the time MB", "after 90 %",
              "growth", "peak", "mapped files MB")  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for one in found:
        own = one["own"]
        lines.append(
            f"| {one['cases']} | {one['data_mb']:.0f} | {own['early_mb']:.1f} | {own['late_mb']:.1f} | "
            f"{100 * own['growth']:+.1f} % | {own['peak_mb']:.1f} | {one['files']['late_mb']:.0f} |"
        )
    return "\n".join(lines)


def main(words: Sequence[str]) -> None:
    """Measure, print the table and write the JSON; ends with 1 where memory grew by more than 5 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--train", type=Path, help="for the process that is measured")
    asked = parser.parse_args(words)
    if asked.train is not None:
        train(asked.train, asked.steps)
        return
    with tempfile.TemporaryDirectory() as scratch:
        found = [measure(Path(scratch) / str(count), count, asked.steps) for count in CASES]
    print(table(found))
    more = found[1]["own"]["late_mb"] / found[0]["own"]["late_mb"] - 1
    print(f"\n{CASES[1] // CASES[0]} times as many cases: {100 * more:+.1f} % of own memory")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"cores": os.cpu_count(), "steps": asked.steps, "runs": found, "more_with_more_cases": round(more, 4)}
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    if max(one["own"]["growth"] for one in found) > TOLERANCE or more > TOLERANCE:
        raise SystemExit("memory has grown by more than 5 %")


if __name__ == "__main__":
    main(sys.argv[1:])
