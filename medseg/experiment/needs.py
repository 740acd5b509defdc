"""What a run will need: memory of a training step, disk for the prepared scans, time."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.experiment.outcome import Outcome
from medseg.experiment.room import existing, free_on_disk, plan_of, prepared_bytes, wish_of
from medseg.experiment.settings import ExperimentSettings
from medseg.values.error import Refusal
from medseg.values.machine import Machine


def needs(settings: ExperimentSettings, outcome: Outcome, machine: Machine) -> list[str]:
    """Say in a few lines what the run will need, as far as it is known before the fingerprint has been taken."""
    lines = [f"time         training {_budget(settings)}"]
    if "fingerprint" in outcome.stages:
        scans = prepared_bytes(outcome.stages, _cases(outcome)) / 1e6
        lines += [*_training(settings, outcome, machine), f"disk         about {scans:.0f} MB of prepared scans"]
    else:
        lines.append("memory, disk known once the fingerprint has been taken (medseg prepare)")
    free = free_on_disk(Path(machine.store)) / 1e9
    return [*lines, f"free         {free:.0f} GB on the disk of {machine.store}"]


def _budget(settings: ExperimentSettings) -> str:
    training = settings.training
    return f"{training.minutes:g} minutes" if training.minutes is not None else f"{training.step_budget} steps"


def _training(settings: ExperimentSettings, outcome: Outcome, machine: Machine) -> list[str]:
    """Say what training will hold, in the words of the check before its first step, and whether that refuses it."""
    from medseg.engines.device import device_of  # imports torch
    from medseg.engines.training.foreseeing.preflight import amount, stored
    from medseg.stages.training.foresight import demand_room, free_on

    device, wish, plan = device_of(machine), wish_of(settings, outcome.stages, machine), plan_of(outcome.stages)
    what = f"patch {plan.patch}, batch {plan.batch}, features {plan.architecture.features}"
    if wish is None:
        return [f"memory       not known for this network ({what})"]
    free, place = free_on(device)
    host = f", and {amount(wish.pause.host)} of the computer" if wish.pause.host else ""
    lines = [
        f"memory       about {amount(wish.bytes)} for a training step ({what}), {amount(free)} free in {place}",
        f"memory       about {amount(wish.paused)} while a scan is validated{host}",
        f"disk         about {amount(stored(wish.load))} of checkpoints and weights",
    ]
    try:
        demand_room(wish, existing(Path(machine.store)), device)
    except Refusal as refusal:
        return [*lines, f"refused      {refusal}"]
    return lines


def _cases(outcome: Outcome) -> int:
    split = json.loads((outcome.stages["split"].folder / "split.json").read_text(encoding="utf-8"))
    return sum(len(split[part]) for part in ("train", "validation", "held_out"))
