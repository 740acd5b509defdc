"""Checkpoints that survive a crash at any moment: written whole, checked when read, the last two kept."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from medseg.files.tensors import load_tensors, save_tensors, sync_folder
from medseg.values.digests import digest_of, digest_of_file

logger = logging.getLogger(__name__)
KEPT = 2
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Tensors by name, and plain facts beside them."""

    tensors: Mapping[str, Tensor]
    facts: Facts


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of `step` as a folder of its own, whole or not at all; older ones than the last two go."""
    folder.mkdir(parents=True, exist_ok=True)
    draft, final = folder / "draft", folder / f"step-{step:010d}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    save_tensors(draft / "tensors.safetensors", checkpoint.tensors)
    content = {"facts": dict(checkpoint.facts), "tensors_sha256": digest_of_file(draft / "tensors.safetensors")}
    with (draft / "checkpoint.json").open("w", encoding="utf-8") as file:
        json.dump({**content, "sha256": digest_of(content)}, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    sync_folder(folder)
    for old in _folders(folder)[KEPT:]:
        shutil.rmtree(old)


def latest_checkpoint(folder: Path, fits: Callable[[Facts], bool]) -> Checkpoint | None:
    """Return the newest checkpoint that is undamaged and whose facts fit, or None; passing one over is logged."""
    for place in _folders(folder):
        checkpoint = _read(place)
        if checkpoint is not None and fits(checkpoint.facts):
            return checkpoint
        logger.warning("%s is damaged or from another run: looking for an earlier one", place)
    return None


def _folders(folder: Path) -> list[Path]:
    """Return the finished checkpoints, newest first."""
    return sorted(folder.glob("step-*"), reverse=True)


def _read(place: Path) -> Checkpoint | None:
    try:
        content = json.loads((place / "checkpoint.json").read_text(encoding="utf-8"))
        claimed = content.pop("sha256")
        whole = digest_of(content) == claimed
        if not whole or digest_of_file(place / "tensors.safetensors") != content["tensors_sha256"]:
            return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return Checkpoint(load_tensors(place / "tensors.safetensors"), content["facts"])
