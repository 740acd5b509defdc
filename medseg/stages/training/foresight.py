"""What a training will need, foreseen from its settings and plan; refused before its first step where it cannot fit."""

from __future__ import annotations

import sys
from math import ceil
from pathlib import Path

import torch

from medseg.engines.ranks import ALONE, Ranks
from medseg.engines.room import free_on_device, free_on_host
from medseg.engines.training.foreseeing.load import StepPlan, load_of
from medseg.engines.training.foreseeing.preflight import Wish, demand_disk, demand_memory, demand_memory_between
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.precision import precision_of
from medseg.engines.training.stepping.setup import Means, check_division
from medseg.networks.build import build_network
from medseg.networks.settings import NetworkSettings
from medseg.networks.shapes import shapes_alone
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Plan


def foresee(
    network: NetworkSettings,
    training: TrainingSettings,
    plan: Plan,
    machine: Machine,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> Wish | None:
    """Return what a step of one process will hold on `device`; None for a network that cannot be walked by shapes."""
    with shapes_alone():
        built = build_network(network, plan.architecture, 0, plan.patch)
    own = ceil(plan.batch / ranks.world)
    step = StepPlan(plan, training, own, precision_of(training, device))
    divisible = _divisible(built, machine, ranks)
    load, sparing = load_of(built, step, machine.recompute), load_of(built, step, recompute=True)
    if load is None:
        return None
    at_once = min(own, machine.microbatch or own)
    return Wish(plan, load, at_once, divisible, None if machine.recompute else sparing)


def demand_room(wish: Wish | None, out: Path, device: torch.device, ranks: Ranks = ALONE) -> None:
    """Refuse (exit 2) a training that does not fit in memory or on the disk of `out`."""
    if wish is None:
        return
    demand_free_memory(wish, device, ranks)
    if ranks.leads:
        demand_disk(wish.load, out)


def demand_free_memory(wish: Wish, device: torch.device, ranks: Ranks = ALONE) -> None:
    """Refuse (exit 2) a training that needs more memory than is free now; what is not known is not held against it."""
    free, place = free_on(device)
    host = free_on_host() // ranks.local_world or sys.maxsize
    here = free or sys.maxsize if device.type == "cuda" else host
    demand_memory(wish, here, place)
    demand_memory_between(wish, here, host, place)


def free_on(device: torch.device) -> tuple[int, str]:
    """Return the bytes that are free where a training on `device` computes, and the name of that place."""
    if device.type == "cuda":
        return free_on_device(device), f"the memory of {torch.cuda.get_device_name(device)}"
    return free_on_host(), "the memory of the computer"


def _divisible(network: torch.nn.Module, machine: Machine, ranks: Ranks) -> bool:
    try:
        check_division(network, Means(machine.model_copy(update={"microbatch": 1}), ranks))
    except Refusal:
        return False
    return True
