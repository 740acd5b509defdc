"""What a run will need: memory of a training step, disk for the prepared scans, time."""

from __future__ import annotations

import json
import shutil
from math import prod
from pathlib import Path

from medseg.experiment.order import Outcome
from medseg.experiment.settings import ExperimentSettings
from medseg.ops.planning import Wishes, memory_gb
from medseg.values.plan import Plan


def needs(settings: ExperimentSettings, outcome: Outcome) -> list[str]:
    """Say in a few lines what the run will need, as far as it is known before the fingerprint has been taken."""
    lines = [f"time         training {_budget(settings)}"]
    if "fingerprint" in outcome.stages:
        folder = outcome.stages["fingerprint"].folder
        plan = Plan.model_validate_json((folder / "plan.json").read_text(encoding="utf-8"))
        lines += [
            f"memory       about {_step_gb(plan, settings):.1f} GB for a training step "
            f"(patch {plan.patch}, batch {plan.batch}, features {plan.architecture.features})",
            f"disk         about {_disk_mb(folder, outcome, plan):.0f} MB of prepared scans",
        ]
    else:
        lines.append("memory, disk known once the fingerprint has been taken (medseg prepare)")
    free = shutil.disk_usage(_existing(Path.cwd())).free / 1e9
    return [*lines, f"free         {free:.0f} GB on the disk"]


def _budget(settings: ExperimentSettings) -> str:
    training = settings.training
    return f"{training.minutes:g} minutes" if training.minutes is not None else f"{training.step_budget} steps"


def _step_gb(plan: Plan, settings: ExperimentSettings) -> float:
    network = settings.network
    wishes = Wishes(network.dimensions, network.width, network.widest, network.levels, None, None, plan.plane, 0.0)
    axes = [axis for axis in range(3) if axis != plan.plane]
    strides = []
    for stride in plan.architecture.strides:
        whole = [1, 1, 1]
        for axis, step in zip(axes, stride, strict=True):
            whole[axis] = step
        strides.append((whole[0], whole[1], whole[2]))
    return memory_gb(plan.patch, strides, wishes, plan.batch)


def _disk_mb(folder: Path, outcome: Outcome, plan: Plan) -> float:
    fingerprint = json.loads((folder / "fingerprint.json").read_text(encoding="utf-8"))
    shapes = fingerprint["shapes_at_common_spacing"]
    mean = sum(prod(shape) for shape in shapes) / len(shapes)
    split = json.loads((outcome.stages["split"].folder / "split.json").read_text(encoding="utf-8"))
    cases = sum(len(split[part]) for part in ("train", "validation", "held_out"))
    return float(cases * mean * (4 * plan.architecture.channels + 1) / 1e6)


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
