"""What a finished training leaves: the model package, and the best and last weights, averaged and raw."""

from __future__ import annotations

from pathlib import Path

from medseg.engines.packages.package import Card, save_model
from medseg.engines.training.keeping.checkpoint import discard
from medseg.engines.training.keeping.state import State
from medseg.engines.training.settings import TrainingSettings
from medseg.files.tensors import save_tensors

WEIGHTS = "weights"


def keep(out: Path, state: State, training: TrainingSettings, card: Card) -> None:
    """Write weights/ (best, best_raw, last, last_raw), then model/ with the averaged ones that the settings choose.

    The card is written last: a training with a card is finished.
    """
    folder, kept = out / WEIGHTS, state.kept()
    folder.mkdir(exist_ok=True)
    for name, tensors in kept.items():
        save_tensors(folder / f"{name}.safetensors", tensors)
    save_model(out / "model", kept[training.weights], card)


def tidy(out: Path) -> None:
    """Delete what a finished training needs no more; also after a crash between its card and this."""
    for name in ("checkpoint", "failure"):
        discard(out / name)
