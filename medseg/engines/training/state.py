"""All that training changes as it goes, and how it becomes tensors and plain facts for a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.engines.training.optimiser import build_optimiser
from medseg.engines.training.settings import TrainingSettings


@dataclass(slots=True)
class Tally:
    """Counts and times. `elapsed` is seconds of training, validation included, over all restarts.

    `validations` counts the points of the budget where one was due, `scored` those that were carried out. `cases` is
    how many scans one validation scores, None until the first one has shown what a scan costs.
    """

    step: int = 0
    elapsed: float = 0.0
    validations: int = 0
    scored: int = 0
    validation_seconds: float = 0.0
    cases: int | None = None
    dice: float | None = None
    best_dice: float | None = None
    best_step: int | None = None


@dataclass(slots=True, eq=False)
class State:
    """The network in training, the average of its weights, the optimiser, the best weights so far, and the tally."""

    network: nn.Module
    average: nn.Module
    optimiser: Optimizer
    best: dict[str, Tensor] | None = None
    tally: Tally = field(default_factory=Tally)

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor that an exact continuation needs, under names with one prefix per part."""
        named = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best or {},
            "optimiser": _optimiser_tensors(self.optimiser),
        }
        return {f"{part}/{name}": tensor for part, tensors in named.items() for name, tensor in tensors.items()}

    def facts(self) -> dict[str, object]:
        """Return the tally as plain values."""
        return asdict(self.tally)

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> None:
        """Become what `tensors()` and `facts()` were taken from."""
        self.network.load_state_dict(_part(tensors, "network"))
        self.average.load_state_dict(_part(tensors, "average"))
        _restore_optimiser(self.optimiser, _part(tensors, "optimiser"))
        device = next(self.network.parameters()).device
        self.best = {name: tensor.to(device) for name, tensor in _part(tensors, "best").items()} or None
        self.tally = Tally(**facts)  # type: ignore[arg-type]

    def note_validation(self, dice: float | None) -> None:
        """Keep the averaged weights if no earlier ones scored better; of equals the later ones."""
        tally = self.tally
        tally.dice = dice
        if dice is not None and (tally.best_dice is None or dice >= tally.best_dice):
            tally.best_dice, tally.best_step = dice, tally.step
            self.best = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}

    def chosen(self) -> dict[str, Tensor]:
        """Return the weights to keep: the best validated ones, or the last average where nothing was validated."""
        return dict(self.average.state_dict()) if self.best is None else self.best


def start(network: nn.Module, settings: TrainingSettings) -> State:
    """Return the state before the first step; `network` lies on its device already."""
    average = copy.deepcopy(network).requires_grad_(False).eval()
    return State(network, average, build_optimiser(network, settings))


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}/"
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    return {
        f"{number}/{name}": value
        for number, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def _restore_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimiser its tensors back, each in the memory order of its weight, which the file does not keep."""
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        number, name = path.split("/", 1)
        weight = weights[int(number)]
        like_weight = torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor
        state.setdefault(int(number), {})[name] = like_weight
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
