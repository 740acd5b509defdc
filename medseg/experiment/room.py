"""Room that a run will need: told by a plan, and demanded before the first scan is prepared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.engines.ranks import current
from medseg.experiment.settings import ExperimentSettings
from medseg.pipeline.store import Finished
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine
from medseg.values.plan import Plan

if TYPE_CHECKING:
    from medseg.engines.training.foreseeing.preflight import Wish

Stages = Mapping[str, Finished]


def plan_of(stages: Stages) -> Plan:
    """Return the plan of the fingerprint."""
    return Plan.model_validate_json((stages["fingerprint"].folder / "plan.json").read_text(encoding="utf-8"))


def wish_of(settings: ExperimentSettings, stages: Stages, machine: Machine) -> Wish | None:
    """Return what this process's part of the training will hold; None where that cannot be foreseen.

    The scans of validation are not prepared yet: they are taken to be as large as those of training.
    """
    from medseg.engines.device import device_of  # imports torch
    from medseg.stages.training.foresight import foresee
    from medseg.stages.training.pausing import Scans, with_pauses

    device = device_of(machine)
    wish = foresee(settings.network, settings.training, plan_of(stages), machine, device, current())
    parts = json.loads((stages["split"].folder / "split.json").read_text(encoding="utf-8"))
    shapes = shapes_of(stages) if parts["validation"] else []
    scans = Scans(shapes, settings.inference.for_validation(), settings.loss.activation)
    return with_pauses(wish, settings.network, scans, machine, device)


def shapes_of(stages: Stages) -> Sequence[Sequence[int]]:
    """Return the shapes (X, Y, Z) that training scans will have when they are prepared."""
    found = json.loads((stages["fingerprint"].folder / "fingerprint.json").read_text(encoding="utf-8"))
    shapes: list[list[int]] = found["shapes_at_common_spacing"]
    return shapes


def prepared_bytes(stages: Stages, cases: int) -> int:
    """Return about how many bytes so many prepared scans take: as many voxels each as those of training on average."""
    shapes, channels = shapes_of(stages), plan_of(stages).architecture.channels
    mean = sum(prod(shape) for shape in shapes) / len(shapes)
    return round(cases * mean * (4 * channels + 1))


def demand_disk(stages: Stages, cases: int, store: Path) -> None:
    """Refuse (exit 2) to prepare so many scans where the disk of the store has no room for them."""
    need, free = prepared_bytes(stages, cases), free_on_disk(store)
    if need > free:
        rule = f"{cases} prepared scans (about {need / 1e9:.1f} GB) fit on the disk of {store}"
        remedy = "set machine.store to a folder with more room"
        raise wrong_setting("machine.store", rule, f"{free / 1e9:.1f} GB free", remedy)


def demand_training(settings: ExperimentSettings, stages: Stages, machine: Machine) -> None:
    """Refuse (exit 2) a training that will not fit in memory or on the disk: before its scans are prepared."""
    wish = wish_of(settings, stages, machine)
    if wish is not None:
        from medseg.engines.device import device_of
        from medseg.stages.training.foresight import demand_room

        demand_room(wish, existing(Path(machine.store)), device_of(machine), current())


def free_on_disk(folder: Path) -> int:
    """Return the free bytes of the disk that a folder lies on, or will lie on."""
    return shutil.disk_usage(existing(folder)).free


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
