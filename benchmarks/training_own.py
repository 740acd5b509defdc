"""Our training on the plan and the cases that nnU-Net made: see `training`.

    python benchmarks/training_own.py FOLDER loop|bare [machine setting=value ...]

`loop` is all that `medseg train` does for a step: `full` patches cut from memory-mapped cases, the step, the journal,
the clock, what listeners are told. `bare` runs the same network forward and backward on one batch, again and again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from rounds import serve

from medseg.engines.device import computing, layout_of, ordered, place
from medseg.engines.ranks import ALONE
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.sampling.supplying.batches import Sampler
from medseg.engines.sampling.supplying.supply import Supply, supplied
from medseg.engines.training.clock import Clock
from medseg.engines.training.course import Course
from medseg.engines.training.fit import fit
from medseg.engines.training.interrupt import Interrupts
from medseg.engines.training.keeping.journal import Journal
from medseg.engines.training.keeping.state import State, start
from medseg.engines.training.rules import Rules
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.setup import Means, build_stepper
from medseg.engines.training.validation import Examination
from medseg.files.prepared import read_prepared
from medseg.networks.build import build_network
from medseg.networks.settings import UNet3D
from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan

TRAINING = TrainingSettings(
    steps=1_000_000, optimiser="sgd", learning_rate=1e-2, weight_decay=3e-5, momentum=0.99, warmup=0.0
)
FULL = Path(__file__).resolve().parents[1] / "conf" / "augment" / "full.yaml"


def plan_of(folder: Path) -> Plan:
    """Return nnU-Net's plan as ours."""
    facts = json.loads((folder / "plan.json").read_text())
    architecture = Architecture(
        dimensions=3,
        channels=1,
        outputs=3,
        features=tuple(facts["features"]),
        strides=tuple(tuple(steps) for steps in facts["strides"]),
        kernels=tuple(tuple(sizes) for sizes in facts["kernels"]),
    )
    spacing = tuple(float(edge) for edge in facts["spacing"])
    return Plan(
        spacing_mm=spacing, patch=tuple(facts["patch"]), batch=facts["batch"], plane=None, architecture=architecture
    )


def sampler_of(folder: Path, plan: Plan) -> Sampler:
    cases = [read_prepared(path) for path in sorted((folder / "prepared").iterdir())]
    augment = AugmentSettings.model_validate_json(json.dumps(yaml.safe_load(FULL.read_text())))
    return Sampler(0, cases, plan, PatchSettings(), augment)


def loop(state: State, folder: Path, plan: Plan, machine: Machine) -> None:
    """Serve steps of the whole loop."""
    rules = Rules(TRAINING, folder, 1e9, "", plan.batch)
    course = Course(rules, state, Journal(folder), Clock(ALONE, Interrupts()), Examination([], [], lambda case: None))
    means = Means(machine, ALONE, plan.batch)
    stepper = build_stepper(state, build_loss(LossSettings()), TRAINING, 0, means)
    with supplied(sampler_of(folder, plan), Supply(machine, torch.device("cpu"))) as source:
        steps = fit(stepper, course.within_budget(source), course.pace)

        def step() -> int:
            course.after(next(steps))
            return plan.batch

        serve(step, 0)


def bare(network: torch.nn.Module, folder: Path, plan: Plan, machine: Machine) -> Callable[[], int]:
    """Return the forward and backward pass of one fixed batch."""
    with supplied(sampler_of(folder, plan), Supply(machine, torch.device("cpu"))) as source:
        images, classes, _ = next(source)
    images = ordered(images, layout_of(machine, network))
    loss = build_loss(LossSettings())
    network.train()

    def step() -> int:
        network.zero_grad()
        loss(network(images), classes).backward()
        return plan.batch

    return step


def main(folder: Path, kind: str, words: list[str]) -> None:
    chosen: dict[str, Any] = dict(word.split("=", 1) for word in words)
    machine = Machine.model_validate(
        {"device": "cpu", "threads": 2} | {k: yaml.safe_load(v) for k, v in chosen.items()}
    )
    plan = plan_of(folder)
    with computing(machine) as device:
        network = place(build_network(UNet3D(deep_supervision=True), plan.architecture, 0), device, machine)
        if kind == "loop":
            loop(start(network, TRAINING), folder, plan, machine)
        else:
            serve(bare(network, folder, plan, machine), 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
