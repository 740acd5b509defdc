"""Memory that training was foreseen to hold, beside what it held: one process per plan, on the CPU.

    python benchmarks/preflight.py FOLDER benchmarks/results/preflight.json [plan ...]

Each process takes a few steps on one made-up case, validates another one and writes a checkpoint after each step. Its
own log says what the first steps held, and what was held at most by the end. Ends with 1 where what was foreseen and
what was held differ by more than a factor of 1.5.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 4
RANGE = (1 / 1.5, 1.5)


@dataclass(frozen=True)
class Setup:
    """A plan: channels, patch, batch, features of the levels, classes, and what of the settings matters for memory.

    `scan` is the size of the scan that is validated; none: 12 voxels larger than the patch.
    """

    channels: int
    patch: tuple[int, int, int]
    batch: int
    features: tuple[int, ...]
    outputs: int = 3
    deep: bool = False
    optimiser: str = "adamw"
    machine: tuple[tuple[str, Any], ...] = ()
    scan: tuple[int, int, int] | None = None


SETUPS = {
    "phantom": Setup(2, (40, 40, 40), 2, (16, 32, 64, 128)),
    "hippocampus of nnU-Net": Setup(1, (40, 56, 40), 9, (32, 64, 128, 256), deep=True, optimiser="sgd"),
    "hippocampus, microbatch 3": Setup(
        1, (40, 56, 40), 9, (32, 64, 128, 256), deep=True, optimiser="sgd", machine=(("microbatch", 3),)
    ),
    "BraTS-like": Setup(4, (128, 128, 128), 1, (32, 64, 128, 256, 320, 320), 4),
    "BraTS-like, recompute": Setup(
        4, (128, 128, 128), 1, (32, 64, 128, 256, 320, 320), 4, machine=(("recompute", True),)
    ),
    "slices": Setup(2, (192, 160, 1), 16, (32, 64, 128, 256, 320)),
    "small patches, a large scan": Setup(2, (24, 24, 24), 2, (16, 32, 64), scan=(56, 56, 56)),
    "many weights, small patches": Setup(1, (32, 32, 32), 1, (64, 128, 256, 320, 320)),
}


def train(name: str, folder: Path) -> None:
    """Take a few steps in this process."""
    from medseg.engines.inference.settings import InferenceSettings
    from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
    from medseg.engines.training.settings import TrainingSettings
    from medseg.files.prepared import PreparedCase, write_prepared
    from medseg.files.records import SchemeRecord, write_record
    from medseg.networks.settings import UNet2D, UNet3D
    from medseg.ops.guard import Familiar
    from medseg.ops.intensity import ChannelNormalisation
    from medseg.ops.loss_settings import LossSettings
    from medseg.ops.preparing import Preparation, PrepareSettings
    from medseg.stages.train import run
    from medseg.stages.training.settings import TrainStageSettings
    from medseg.values.machine import Machine
    from medseg.values.plan import Architecture, Plan

    one = SETUPS[name]
    plane = one.patch.index(1) if 1 in one.patch else None
    space = 3 if plane is None else 2
    strides = ((1,) * space, *((2,) * space for _ in one.features[1:]))
    architecture = Architecture(
        dimensions=space, channels=one.channels, outputs=one.outputs, features=one.features, strides=strides,
        kernels=((3,) * space,) * len(one.features),
    )  # fmt: skip
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=one.patch, batch=one.batch, plane=plane, architecture=architecture)
    labels = {f"label{number}": number for number in range(1, one.outputs)}
    scheme = SchemeRecord(labels=labels, regions={"all": tuple(labels.values())}, tumour="all")
    shape = tuple(size + 12 for size in one.patch)
    for case, grid in (("case", shape), ("scan", one.scan or shape)):
        chance = np.random.default_rng(0)
        classes = chance.integers(0, one.outputs, grid).astype(np.uint8)
        image = chance.normal(size=(one.channels, *grid)).astype(np.float32)
        seeds = {number: np.argwhere(classes == number)[:100].astype(np.int32) for number in labels.values()}
        write_prepared(folder / case, PreparedCase(case, image, classes, seeds, (1.0, 1.0, 1.0), {}))
        del image, classes
    write_record(folder / "plan.json", plan)
    write_record(folder / "scheme.json", scheme)
    network = UNet3D(deep_supervision=one.deep) if plane is None else UNet2D(deep_supervision=one.deep)
    training = TrainingSettings.model_validate({"steps": STEPS, "optimiser": one.optimiser})
    settings = TrainStageSettings(
        seed=0, network=network, loss=LossSettings(), patches=PatchSettings(), augment=AugmentSettings(),
        training=training, inference=InferenceSettings(), prepare=PrepareSettings(),
    )  # fmt: skip
    zscore = {f"channel{number}": ChannelNormalisation(kind="zscore") for number in range(one.channels)}
    write_record(folder / "preparation.json", Preparation(spacing_mm=(1.0, 1.0, 1.0), normalisations=zscore))
    write_record(folder / "familiar.json", Familiar(cases=1))
    inputs = {name: folder / f"{name}.json" for name in ("plan", "scheme", "preparation", "familiar")}
    inputs |= {"train/case": folder / "case", "validation/scan": folder / "scan"}
    machine = Machine.model_validate({"device": "cpu", "threads": 1, "checkpoint_seconds": 1e-9, **dict(one.machine)})
    (folder / "out").mkdir()
    run(settings, inputs, folder / "out", machine)


def measured(name: str, folder: Path) -> dict[str, float]:
    """Train in a process of its own; return MB foreseen and held, by the first steps and at most."""
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, __file__, "--train", name, str(folder)], check=True)
    lines = [json.loads(line) for line in (folder / "out/log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps, whole = (next(line for line in lines if key in line) for key in ("held_mb", "most_held_mb"))
    keys = ("foreseen_mb", "held_mb")
    return {key: steps[key] for key in keys} | {f"most_{key}": whole[f"most_{key}"] for key in keys}


def main(folder: Path, out: Path, names: list[str]) -> None:
    """Print the table and write the JSON."""
    rows = {name: measured(name, folder / str(number)) for number, name in enumerate(names or SETUPS)}
    print("| plan | step: foreseen MB | held MB | foreseen / held | at most: foreseen MB | held MB | foreseen / held |")
    print("|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        cells = []
        for prefix in ("", "most_"):
            foreseen, held = row[f"{prefix}foreseen_mb"], row[f"{prefix}held_mb"]
            row[f"{prefix}ratio"] = round(foreseen / held, 2)
            cells += [f"{foreseen:.0f}", f"{held:.0f}", f"{foreseen / held:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n")
    if any(not RANGE[0] <= row[key] <= RANGE[1] for row in rows.values() for key in ("ratio", "most_ratio")):
        raise SystemExit("an estimate is wrong by more than a factor of 1.5")


if __name__ == "__main__":
    if sys.argv[1] == "--train":
        train(sys.argv[2], Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]), sys.argv[3:])
