"""The portable model package: weights.safetensors and card.json in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from torch import Tensor, nn

from medseg.engines.inference.settings import InferenceSettings
from medseg.files.records import SchemeRecord
from medseg.files.tensors import load_tensors, save_tensors, write_whole
from medseg.networks.build import build_network
from medseg.networks.settings import NetworkSettings
from medseg.networks.shapes import shapes_alone
from medseg.ops.calibration import Calibration
from medseg.ops.forecast import DiceForecast
from medseg.ops.guard import Familiar
from medseg.ops.postprocessing import Postprocessing
from medseg.ops.preparing import Preparation, PrepareSettings
from medseg.values.error import Refusal
from medseg.values.plan import Plan
from medseg.values.settings import Settings

WEIGHTS, CARD = "weights.safetensors", "card.json"
_LONGEST_VALUE = 300


class StartedFrom(Settings):
    """Which package the first weights came from (SHA-256), how many tensors, and the parts that stayed as they were."""

    weights: str
    taken: int
    adapted: int
    new: int
    frozen: tuple[str, ...] = ()


class Card(Settings):
    """All that is needed to use the weights, and where they come from.

    `channels` counts image channels and `channel_names` names them, as far as they are known; `missing_channels` tells
    whether training has shown that some may be missing, which then are 0 everywhere. `mirror_axes` are the axes that
    training flipped. `step` is the step whose averaged weights were kept, `steps` how many were taken of
    `planned_steps` (None where minutes were the budget); `stopped_early` where patience ended training before.
    `validation_dice` is the mean over validation scans. `medseg` is the version, `made_from` a digest of settings,
    plan, labels and the names of the cases. `started_from` is None where the first weights were random.
    `prepare` and `preparation` say what happens to a scan before the network sees it, `inference` how it is looked at
    unless other settings are given. `familiar` is what training scans looked like. Learned from validation cases, and
    None without them: `calibration` of the probabilities, `postprocessing` where some helped, and `forecast`.
    """

    medseg: str
    made_from: str
    plan: Plan
    network: NetworkSettings
    scheme: SchemeRecord
    activation: Literal["softmax", "sigmoid"]
    channels: int
    channel_names: tuple[str, ...] = ()
    missing_channels: bool = False
    mirror_axes: tuple[int, ...]
    step: int
    steps: int
    planned_steps: int | None = None
    stopped_early: bool = False
    validation_dice: float | None
    started_from: StartedFrom | None = None
    prepare: PrepareSettings
    preparation: Preparation
    inference: InferenceSettings
    familiar: Familiar
    calibration: Calibration | None = None
    postprocessing: Postprocessing | None = None
    forecast: DiceForecast | None = None


def save_model(folder: Path, weights: Mapping[str, Tensor], card: Card) -> None:
    """Write the package into `folder` (made if missing): same weights and card, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / WEIGHTS, weights)
    save_card(folder, card)


def copy_model(folder: Path, source: Path, card: Card) -> None:
    """Write the weights of the package `source`, byte for byte, into `folder` (made if missing), then another card."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / WEIGHTS, (source / WEIGHTS).read_bytes())
    save_card(folder, card)


def save_card(folder: Path, card: Card) -> None:
    """Write the card of a package, in place of the one that is there: the same card gives the same bytes."""
    write_whole(folder / CARD, (card.model_dump_json(indent=1) + "\n").encode())


def is_finished(folder: Path, made_from: str) -> bool:
    """Return whether `folder` already holds the package made from this; the card is written last."""
    try:
        return Card.model_validate_json((folder / CARD).read_text(encoding="utf-8")).made_from == made_from
    except (OSError, ValidationError, UnicodeDecodeError):
        return False


def read_card(folder: Path) -> Card:
    """Return the card of a package; refuses a folder without one, and a card whose parts do not fit together."""
    place, rule, remedy = str(folder / CARD), "is the card of a model", "name a folder that training made"
    try:
        card = Card.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
        misfit = _misfit(card)
    except ValidationError as error:
        found = error.errors()[0]
        told = f"{'.'.join(map(str, found['loc']))}: {found['msg']}".removeprefix(": ")
        raise Refusal(place, rule, told, remedy) from error
    except (OSError, UnicodeDecodeError, Refusal) as error:
        raise Refusal(place, rule, error, remedy) from error
    if misfit:
        raise Refusal(place, rule, misfit, remedy)
    return card


def _misfit(card: Card) -> str:
    """Say what in a card does not fit together, "" where all does."""
    one, labels = card.plan.architecture, card.scheme.scheme
    answers = len(labels.regions) if card.activation == "sigmoid" else len(labels.values)
    if not len(one.features) == len(one.strides) == len(one.kernels) >= 1:
        return "levels that do not fit together"
    if {len(numbers) for numbers in (*one.strides, *one.kernels)} != {one.dimensions}:
        return "levels that do not fit together"
    if (one.outputs, one.channels) != (answers, card.channels):
        return f"{one.channels} channels and {one.outputs} outputs where {card.channels} and {answers} are named"
    return "" if set(card.mirror_axes) <= {0, 1, 2} else f"mirror_axes {card.mirror_axes}"


def load_model(folder: Path) -> tuple[nn.Module, Card]:
    """Return the network on the CPU, in eval mode, and the card. Refuses a package that is incomplete or damaged.

    No memory is taken for a network before its weights are found to be those of the card.
    """
    card = read_card(folder)
    weights = load_tensors(folder / WEIGHTS)
    try:
        _check_fit(card, weights)
        network = build_network(card.network, card.plan.architecture, seed=0, patch=card.plan.patch)
        network.load_state_dict(weights)
    except (RuntimeError, ValueError, ArithmeticError) as error:  # whatever strange shapes make torch raise
        place, told = str(folder / WEIGHTS), str(error)[:_LONGEST_VALUE]
        raise Refusal(place, "the weights fit the card", told, "copy the whole package again") from error
    return network.requires_grad_(False).eval(), card


def _check_fit(card: Card, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError where the weights have other names or shapes than those of the card's network."""
    with shapes_alone():
        network = build_network(card.network, card.plan.architecture, seed=0, patch=card.plan.patch)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in (*wanted, *found):
        if found.get(name) != wanted.get(name):
            raise ValueError(f"{name} {found.get(name, 'missing')} where the card wants {wanted.get(name, 'none')}")
