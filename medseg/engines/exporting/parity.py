"""How far an exported network is from PyTorch's answer on the same windows."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from medseg.engines.inference.frame import Activation, Forward
from medseg.values.error import Refusal
from medseg.values.settings import Settings

LIMIT = 1e-3
BATCHES = (1, 3)


class Parity(Settings):
    """The largest differences from PyTorch on the CPU, over all windows, voxels and outputs."""

    windows: Literal["scan", "noise"] = Field(description="what was looked at: windows of a scan, or noise like one")
    batches: tuple[int, ...] = Field(BATCHES, description="how many windows at once")
    logits: float = Field(description="largest difference of a logit")
    relative: float = Field(description="the same, divided by the largest logit")
    probabilities: float = Field(description="largest difference of a probability")


def compare(
    ours: Forward, exported: Forward, windows: Tensor, origin: Literal["scan", "noise"], activation: Activation
) -> Parity:
    """Compare two functions on the windows `(N, C, *space)`, of which each batch takes the first ones.

    Refuses an export whose logits have another shape, are not finite, or differ by more than a thousandth of the
    largest one.
    """
    most, largest, probable = 0.0, 0.0, 0.0
    with torch.inference_mode():
        for batch in BATCHES:
            wanted, found = ours(windows[:batch]).float(), exported(windows[:batch]).float()
            if wanted.shape != found.shape or not (wanted.isfinite().all() and found.isfinite().all()):
                rule = f"logits are finite, of shape {tuple(wanted.shape)}"
                raise Refusal("export", rule, _looks(found), "report this with the card of the model")
            most = max(most, float((wanted - found).abs().max()))
            largest = max(largest, float(wanted.abs().max()))
            apart = _probabilities(wanted, activation) - _probabilities(found, activation)
            probable = max(probable, float(apart.abs().max()))
    relative = most / largest if largest else most
    if not relative <= LIMIT:
        rule = f"the exported network answers as PyTorch does, to {LIMIT:g} of the largest logit"
        raise Refusal("export", rule, f"{relative:.3g}", "use the package itself, with machine.runtime=torch")
    return Parity(windows=origin, logits=most, relative=relative, probabilities=probable)


def _probabilities(logits: Tensor, activation: Activation) -> Tensor:
    return logits.softmax(1) if activation == "softmax" else logits.sigmoid()


def _looks(logits: Tensor) -> str:
    return f"{tuple(logits.shape)}{'' if logits.isfinite().all() else ' with NaN or infinity'}"
