"""What a run will need: memory of a training step, disk for the prepared scans, time."""

from __future__ import annotations

import json
import shutil
from math import prod
from pathlib import Path

from medseg.experiment.order import Outcome
from medseg.experiment.settings import ExperimentSettings
from medseg.values.machine import Machine
from medseg.values.plan import Plan


def needs(settings: ExperimentSettings, outcome: Outcome, machine: Machine) -> list[str]:
    """Say in a few lines what the run will need, as far as it is known before the fingerprint has been taken."""
    lines = [f"time         training {_budget(settings)}"]
    if "fingerprint" in outcome.stages:
        folder = outcome.stages["fingerprint"].folder
        plan = Plan.model_validate_json((folder / "plan.json").read_text(encoding="utf-8"))
        lines += _step(plan, settings, machine)
        lines.append(f"disk         about {_disk_mb(folder, outcome, plan):.0f} MB of prepared scans")
    else:
        lines.append("memory, disk known once the fingerprint has been taken (medseg prepare)")
    free = shutil.disk_usage(_existing(Path.cwd())).free / 1e9
    return [*lines, f"free         {free:.0f} GB on the disk"]


def _budget(settings: ExperimentSettings) -> str:
    training = settings.training
    return f"{training.minutes:g} minutes" if training.minutes is not None else f"{training.step_budget} steps"


def _step(plan: Plan, settings: ExperimentSettings, machine: Machine) -> list[str]:
    """Say what a training step will hold, in the words of the check before the first step."""
    from medseg.engines.device import device_of  # imports torch
    from medseg.engines.training.foreseeing.preflight import amount, stored
    from medseg.stages.training.foresight import foresee, free_on

    device = device_of(machine)
    wish = foresee(settings.network, settings.training, plan, machine, device)
    what = f"patch {plan.patch}, batch {plan.batch}, features {plan.architecture.features}"
    if wish is None:
        return [f"memory       not known for this network ({what})"]
    free, place = free_on(device)
    return [
        f"memory       about {amount(wish.bytes)} for a training step ({what}), {amount(free)} free in {place}",
        f"disk         about {amount(stored(wish.load))} of checkpoints and weights",
    ]


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
