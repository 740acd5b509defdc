"""Packages opened for inference: one function from windows to logits for each, and what they agree on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from medseg.engines.device import layout_of, ordered, place
from medseg.engines.inference.frame import Forward
from medseg.engines.packages.package import CARD, WEIGHTS, Card, load_model
from medseg.networks.planewise import PlanewiseUNet
from medseg.networks.unet import UNet
from medseg.values.error import Refusal, wrong_setting
from medseg.values.machine import Machine

# Members answer for the same windows of the same prepared image, so they must have learned the same things from it.
_SAME = ("plan", "channels", "channel_names", "scheme", "activation", "prepare", "preparation")


def open_members(folders: Sequence[Path], machine: Machine, device: torch.device) -> tuple[list[Forward], Card]:
    """Return one function per package, in the order of `folders`, and the card of all of them together.

    Each takes windows (B, C, *space) float32 on `device`, of the plan's patch without a 2D plan's flat axis, and
    returns logits (B, K, *space) there. Networks are in eval mode and have float32 weights; call them under
    `torch.inference_mode`, and open them outside of it. `machine.runtime` says what computes: onnx and openvino take
    the ONNX model of the package, made first and kept in `machine.store` where there is none.
    Refuses packages that are missing or damaged, those that were not trained for the same images and answers, and
    (exit 2) a runtime that is not installed.
    """
    if not folders:
        raise wrong_setting("model", "a model package is needed", "none", "set model=DIR")
    opened = [_member(package_folder(folder), machine, device) for folder in folders]
    return [member for member, _ in opened], together(folders, [card for _, card in opened])


def package_folder(named: Path) -> Path:
    """Return the folder of a package: `named` itself, or model/ in it where `named` is the folder of a run."""
    inner = named / "model"
    has_own = any((named / name).is_file() for name in (CARD, WEIGHTS))
    return inner if not has_own and (inner / CARD).is_file() else named


def together(folders: Sequence[Path], cards: Sequence[Card]) -> Card:
    """Return the card of models that answer together: the first, less what holds only for one of them.

    Mirrors are those that all have learned, missing channels must be known to all. Calibration, forecast and
    post-processing were fitted to one model alone: of several they are kept where all cards say the same.
    Refuses cards that differ in what members share, and names the first difference.
    """
    first = cards[0]
    for folder, other in zip(folders[1:], cards[1:], strict=True):
        for name in _SAME:
            if getattr(other, name) != getattr(first, name):
                where, (mine, theirs) = _difference(name, getattr(first, name), getattr(other, name))
                rule = f"all models have the same {where}, which is {mine} in {folders[0]}"
                raise Refusal(str(folder), rule, theirs, "name the folds of one experiment, or one model alone")
    own = ("calibration", "forecast", "postprocessing")
    kept = {name: getattr(first, name) if _alike(cards, name) else None for name in own}
    axes = tuple(axis for axis in first.mirror_axes if all(axis in card.mirror_axes for card in cards))
    lacking = all(card.missing_channels for card in cards)
    return first.model_copy(update={**kept, "mirror_axes": axes, "missing_channels": lacking})


def _alike(cards: Sequence[Card], name: str) -> bool:
    return all(getattr(card, name) == getattr(cards[0], name) for card in cards)


def _difference(path: str, mine: object, theirs: object) -> tuple[str, tuple[object, object]]:
    """Follow two values that differ down to the first part that does: its dotted path, and both sides of it."""
    fields = list(getattr(type(mine), "model_fields", ())) if type(mine) is type(theirs) else []
    if fields:
        name = next(name for name in fields if getattr(mine, name) != getattr(theirs, name))
        return _difference(f"{path}.{name}", getattr(mine, name), getattr(theirs, name))
    if isinstance(mine, dict) and isinstance(theirs, dict) and list(mine) == list(theirs):
        name = next(name for name in mine if mine[name] != theirs[name])
        return _difference(f"{path}.{name}", mine[name], theirs[name])
    return path, (mine, theirs)


def _member(folder: Path, machine: Machine, device: torch.device) -> tuple[Forward, Card]:
    if machine.runtime == "torch":
        return _torch_member(folder, machine, device)
    from medseg.engines.exporting.finding import onnx_of
    from medseg.engines.exporting.runtimes import runtime_of

    content, card = onnx_of(folder, machine.runtime, machine)
    return runtime_of(machine.runtime, content, machine, device), card


def _torch_member(folder: Path, machine: Machine, device: torch.device) -> tuple[Forward, Card]:
    """Open a package for PyTorch; images take the memory order of the weights, as in training.

    A 3D U-Net on a CPU answers a few planes at a time, unless the machine asks for another order or norm.
    """
    network, card = load_model(folder)
    network = place(network.float(), device, machine)
    layout = layout_of(machine, network)
    as_is = machine.layout == "channels_first" or machine.norm == "plain"
    if isinstance(network, UNet) and card.plan.plane is None and device.type == "cpu" and not as_is:
        return PlanewiseUNet(network), card

    def forward(windows: Tensor) -> Tensor:
        logits: Tensor = network(ordered(windows, layout))
        return logits

    return forward, card
