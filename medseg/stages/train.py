"""Train the network of the plan on the training cases, and keep the weights that did best on the validation cases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import medseg
from medseg.engines.device import computing, place
from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.inference.windows import predict_scores
from medseg.engines.sampling.batches import ahead, batches
from medseg.engines.sampling.cut import Batch
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.training.course import Course, Rules, resume
from medseg.engines.training.fit import fit
from medseg.engines.training.interrupt import Interrupts
from medseg.engines.training.package import Card, is_finished, save_model
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.state import State, start
from medseg.engines.training.validation import case_dice, validation_order
from medseg.files.prepared import PreparedCase, read_prepared
from medseg.files.records import SchemeRecord, read_scheme
from medseg.networks.build import build_network
from medseg.networks.settings import NetworkSettings
from medseg.ops.loss_readings import Table
from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss, membership_of
from medseg.values.digests import digest_of
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Plan
from medseg.values.settings import Settings


class TrainStageSettings(Settings):
    """Settings of the stage: every group that can change the weights."""

    seed: int
    network: NetworkSettings
    loss: LossSettings
    patches: PatchSettings
    augment: AugmentSettings
    training: TrainingSettings
    inference: InferenceSettings


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What was read: the plan, the labels, and the prepared cases by role."""

    plan: Plan
    scheme: SchemeRecord
    training: list[PreparedCase]
    validation: list[PreparedCase]


def run(settings: TrainStageSettings, inputs: Mapping[str, Path], out: Path, machine: Machine) -> None:
    """Read `plan`, `scheme`, `train/ID` and `validation/ID`; write model/, curve.csv and log.jsonl.

    A checkpoint of the same training in `out` is continued from; on the CPU, and with a budget in steps, weights and
    curve then get the same bytes as without the break. A signal to stop is obeyed after the step, with a checkpoint.
    A finished training in `out` is left as it is.
    """
    material = _read(inputs)
    stamp = _stamp(settings, material)
    if is_finished(out / "model", stamp):
        return
    with computing(machine) as device, Interrupts() as interrupts:
        network = build_network(settings.network, material.plan.architecture, settings.seed, material.plan.patch)
        state = start(place(network, device), settings.training)
        rules = Rules(settings.training, out, machine.checkpoint_seconds, stamp)
        cases = validation_order(settings.seed, material.validation)
        score = _scoring(state.average, settings, material, device, machine.memory_gb)
        course = Course(rules, state, resume(rules, state), interrupts, cases, score)
        _train(course, settings, material, device)
    save_model(out / "model", state.chosen(), _card(settings, material, state, stamp))
    shutil.rmtree(out / "checkpoint", ignore_errors=True)


def _train(course: Course, settings: TrainStageSettings, material: Material, device: torch.device) -> None:
    """Take the steps that are left, then finish."""
    loss = build_loss(settings.loss, _membership(settings, material), ignore=material.scheme.ignore is not None)
    course.validate_if_due()  # a stop may have come before the validation of the last step
    with closing(_source(course.state.tally.step + 1, settings, material, device)) as source:
        taken = course.within_budget(source)
        for step in fit(course.state, taken, loss, course.pace, settings.training, settings.seed):
            course.after(step)
    course.finish()


def _source(
    first_step: int, settings: TrainStageSettings, material: Material, device: torch.device
) -> Generator[Batch, None, None]:
    """Return the batches from `first_step` on; for a GPU a thread works ahead, a CPU has no core to spare for one."""
    source = batches(
        settings.seed, material.training, material.plan, settings.patches, settings.augment, device, first_step
    )
    return ahead(source) if device.type == "cuda" else source


def _scoring(
    network: nn.Module, settings: TrainStageSettings, material: Material, device: torch.device, memory_gb: float
) -> Callable[[PreparedCase], float | None]:
    """Return the function that segments a whole case with `network` and gives its Dice; without mirroring."""
    inference = settings.inference.model_copy(update={"mirror": False})
    plan, activation, membership = material.plan, settings.loss.activation, _membership(settings, material)

    def score(case: PreparedCase) -> float | None:
        scores = predict_scores(network, case.image, plan.patch, plan.plane, inference, activation, device, memory_gb)
        return case_dice(scores, case.classes, membership, case.annotated)

    return score


def _membership(settings: TrainStageSettings, material: Material) -> Table | None:
    """Return which classes belong to which region, None where outputs are classes."""
    if settings.loss.activation == "softmax":
        return None
    return membership_of(material.scheme.scheme)


def _read(inputs: Mapping[str, Path]) -> Material:
    plan = Plan.model_validate_json(inputs["plan"].read_text(encoding="utf-8"))
    scheme = read_scheme(inputs["scheme"])
    training, validation = (_cases(inputs, role, plan) for role in ("train/", "validation/"))
    if not training:
        raise Refusal("training set", "holds at least one case", 0, "add cases or lower split.held_out")
    return Material(plan, scheme, training, validation)


def _cases(inputs: Mapping[str, Path], role: str, plan: Plan) -> list[PreparedCase]:
    """Open the cases of a role in the order of their ids; the order of `inputs` does not matter."""
    cases = [read_prepared(path) for name, path in sorted(inputs.items()) if name.startswith(role)]
    for case in cases:
        if case.image.shape[0] != plan.architecture.channels:
            rule = f"a case has the plan's {plan.architecture.channels} channels"
            raise Refusal(case.case, rule, case.image.shape[0], "prepare all cases with the same data.channels")
    return cases


def _stamp(settings: TrainStageSettings, material: Material) -> str:
    """Return what a checkpoint must have been made with to be continued."""
    names = [[case.case for case in cases] for cases in (material.training, material.validation)]
    parts = [settings.model_dump(mode="json"), material.plan.model_dump(mode="json")]
    return digest_of([*parts, material.scheme.model_dump(mode="json"), names])


def _card(settings: TrainStageSettings, material: Material, state: State, stamp: str) -> Card:
    tally, flip = state.tally, settings.augment.flip
    axes = [axis for axis, name in enumerate("xyz") if flip.probability > 0 and name in flip.axes]
    return Card(
        medseg=medseg.__version__,
        made_from=stamp,
        plan=material.plan,
        network=settings.network,
        scheme=material.scheme,
        activation=settings.loss.activation,
        channels=material.plan.architecture.channels,
        channel_names=material.plan.channels,
        missing_channels=_missing_channels(settings, material),
        mirror_axes=tuple(axis for axis in axes if material.plan.patch[axis] > 1),
        step=tally.step if tally.best_step is None else tally.best_step,
        steps=tally.step,
        validation_dice=tally.best_dice,
    )


def _missing_channels(settings: TrainStageSettings, material: Material) -> bool:
    """Tell whether training has shown cases without some channel, real ones or by channel dropout."""
    lacking = any(case.missing for case in material.training)
    return lacking or settings.augment.channel_dropout.chance > 0
