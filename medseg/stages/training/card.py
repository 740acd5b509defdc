"""What the model package says about its weights."""

from __future__ import annotations

import medseg
from medseg.engines.packages.package import Card
from medseg.engines.training.keeping.state import State
from medseg.engines.training.transferring.transfer import Transfer
from medseg.stages.training.material import Material
from medseg.stages.training.settings import TrainStageSettings
from medseg.stages.training.starting import in_short


def card_of(
    settings: TrainStageSettings, material: Material, state: State, stamp: str, started: Transfer | None = None
) -> Card:
    """Return the card of a finished training; `started` says which first weights were those of a package."""
    tally, flip = state.tally, settings.augment.flip
    best = tally.best_step if settings.training.weights == "best" else None
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
        step=tally.step if best is None else best,
        steps=tally.step,
        planned_steps=settings.training.step_budget,
        stopped_early=tally.cooling is not None,
        validation_dice=tally.dice if best is None else tally.best_dice,
        started_from=in_short(started),
        prepare=settings.prepare,
        preparation=material.preparation,
        inference=settings.inference,
        familiar=material.familiar,
    )


def _missing_channels(settings: TrainStageSettings, material: Material) -> bool:
    """Tell whether training has shown cases without some channel, real ones or by channel dropout."""
    lacking = any(case.missing for case in material.training)
    return lacking or settings.augment.channel_dropout.chance > 0
