"""How a training is watched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.engines.training.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class Rules:
    """`stamp` tells the checkpoints of this training, in `out`, from those of another; `batch` is patches per step."""

    training: TrainingSettings
    out: Path
    checkpoint_seconds: float
    stamp: str
    batch: int
