"""All that training changes as it goes, and how it becomes tensors and plain facts for a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.optimiser import build_optimiser

PARTS = ("network", "average", "best", "best_raw")


@dataclass(slots=True)
class Tally:
    """Counts and times. `elapsed` is seconds of training, validation included, over all restarts.

    `points` counts the points where a validation was due, `scored` the validations that were carried out, the last of
    them after step `validated`. `cases` is how many scans one validation scores where the clock decides, None until
    the first one. `stale` counts the validations since the best one. `cooling` is the share of the budget where an
    early end was begun, with the learning rate's factor `cooling_factor`; None where none was.
    """

    step: int = 0
    elapsed: float = 0.0
    points: int = 0
    scored: int = 0
    validated: int = 0
    validation_seconds: float = 0.0
    cases: int | None = None
    dice: float | None = None
    best_dice: float | None = None
    best_step: int | None = None
    stale: int = 0
    cooling: float | None = None
    cooling_factor: float = 0.0


@dataclass(slots=True, eq=False)
class State:
    """The network in training, the average of its weights, the optimiser, the best weights so far, and the tally.

    `best` holds the average at the best validation and `best_raw` the network itself, empty before the first one.
    `scaler` holds the loss scale of fp16, empty for other precisions; the step fills it.
    """

    network: nn.Module
    average: nn.Module
    optimiser: Optimizer
    best: dict[str, Tensor] = field(default_factory=dict)
    best_raw: dict[str, Tensor] = field(default_factory=dict)
    scaler: dict[str, Tensor] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor that an exact continuation needs, under names with one prefix per part."""
        named = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "best_raw": self.best_raw,
            "optimiser": _optimiser_tensors(self.optimiser),
            "scaler": self.scaler,
        }
        return {f"{part}/{name}": tensor for part, tensors in named.items() for name, tensor in tensors.items()}

    def facts(self) -> dict[str, object]:
        """Return the tally as plain values."""
        return asdict(self.tally)

    def accepts(self, tensors: Mapping[str, Tensor], facts: object) -> bool:
        """Return whether `restore` can take these: every name, shape and type is that of this state."""
        own, shapes = _shapes(self.network.state_dict()), {p: _shapes(_part(tensors, p)) for p in PARTS}
        known = {field.name for field in fields(Tally)}
        return (
            shapes["network"] == shapes["average"] == own
            and all(shapes[part] in ({}, own) for part in ("best", "best_raw"))
            and _fits_optimiser(self.optimiser, _part(tensors, "optimiser"))
            and isinstance(facts, Mapping)
            and set(facts) == known
        )

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> None:
        """Become what `tensors()` and `facts()` were taken from."""
        self.network.load_state_dict(_part(tensors, "network"))
        self.average.load_state_dict(_part(tensors, "average"))
        _restore_optimiser(self.optimiser, _part(tensors, "optimiser"))
        device = next(self.network.parameters()).device
        # Copies: what was read may be a map of the checkpoint, whose file would then live on after it is deleted.
        self.best, self.best_raw, self.scaler = (
            {name: tensor.to(device, copy=True) for name, tensor in _part(tensors, part).items()}
            for part in ("best", "best_raw", "scaler")
        )
        self.tally = Tally(**facts)  # type: ignore[arg-type]

    def is_finite(self) -> bool:
        """Return whether every weight, raw and averaged, is a finite number; waits for the device."""
        weights = [*self.network.state_dict().values(), *self.average.state_dict().values()]
        return bool(torch.stack([weight.isfinite().all() for weight in weights if weight.is_floating_point()]).all())

    def note_validation(self, dice: float | None) -> None:
        """Keep the weights if no earlier ones scored better; of equals the later ones, yet they count as no better."""
        tally = self.tally
        tally.dice = dice
        if dice is None:
            return
        tally.stale = 0 if tally.best_dice is None or dice > tally.best_dice else tally.stale + 1
        if tally.best_dice is None or dice >= tally.best_dice:
            tally.best_dice, tally.best_step = dice, tally.step
            self.best = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}
            self.best_raw = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def kept(self) -> dict[str, dict[str, Tensor]]:
        """Return the weights to keep by name: averaged and raw, the best validated and the last ones.

        Where nothing was validated the last ones are the best.
        """
        last, last_raw = dict(self.average.state_dict()), dict(self.network.state_dict())
        best, best_raw = self.best or last, self.best_raw or last_raw
        return {"best": best, "best_raw": best_raw, "last": last, "last_raw": last_raw}


def start(network: nn.Module, settings: TrainingSettings) -> State:
    """Return the state before the first step; `network` lies on its device already."""
    average = copy.deepcopy(network).requires_grad_(False).eval()
    return State(network, average, build_optimiser(network, settings))


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f"{part}/"
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _fits_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether each tensor is named by the number of a weight and is one number or has its shape."""
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    shapes = {str(number): weight.shape for number, weight in enumerate(weights)}
    numbers = [(name.split("/", 1)[0], tensor) for name, tensor in tensors.items() if "/" in name]
    fitting = [tensor.ndim == 0 or tensor.shape == shapes.get(number) for number, tensor in numbers if number in shapes]
    return len(fitting) == len(tensors) and all(fitting)


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
