"""Checkpoints that survive a crash at any moment: written whole, checked when read, the last two kept."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from medseg.files.tensors import load_tensors, save_tensors, sync_folder, write_whole
from medseg.values.digests import digest_of, digest_of_file
from medseg.values.error import Refusal

logger = logging.getLogger(__name__)
KEPT = 2
NAME = re.compile(r"step-([0-9]{10})(?:-([0-9]{1,6}))?")
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Tensors by name, and plain facts beside them."""

    tensors: Mapping[str, Tensor]
    facts: Facts


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> None:
    """Write the checkpoint of `step` as a folder of its own, whole or not at all; older ones than the last two go.

    A second one of the same step lies beside the first, so that at no moment there is less than before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "draft"
    discard(draft)
    draft.mkdir()
    save_tensors(draft / "tensors.safetensors", checkpoint.tensors)
    content = {"facts": dict(checkpoint.facts), "tensors_sha256": digest_of_file(draft / "tensors.safetensors")}
    text = json.dumps({**content, "sha256": digest_of(content)}, indent=1, sort_keys=True)
    write_whole(draft / "checkpoint.json", text.encode())
    draft.rename(_free_place(folder, step))
    sync_folder(folder)
    for old in _folders(folder)[KEPT:]:
        shutil.rmtree(old)


def latest_checkpoint(folder: Path, fits: Callable[[Checkpoint], bool]) -> tuple[Path, Checkpoint] | None:
    """Return the newest checkpoint that is undamaged and fits, and its folder, or None; each passed over is told of."""
    for stranger in _strangers(folder):
        logger.warning("%s is no checkpoint, so it is not looked at", stranger)
    for place in _folders(folder):
        checkpoint = read_checkpoint(place)
        if checkpoint is not None and fits(checkpoint):
            return place, checkpoint
        why = "is damaged" if checkpoint is None else "is from another training or lacks its curve"
        logger.warning("checkpoint %s %s, so training goes back to the one before it, or to its start", place, why)
    return None


def read_checkpoint(place: Path) -> Checkpoint | None:
    """Read the checkpoint in a folder to the CPU, or return None where anything in it is not as it was written."""
    try:
        content = json.loads((place / "checkpoint.json").read_text(encoding="utf-8"))
        claimed = content.pop("sha256")
        whole = digest_of(content) == claimed
        if not whole or digest_of_file(place / "tensors.safetensors") != content["tensors_sha256"]:
            return None
        return Checkpoint(load_tensors(place / "tensors.safetensors"), content["facts"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError, Refusal):
        return None


def keep_only_until(folder: Path, place: Path | None) -> None:
    """Delete checkpoints newer than the one that training goes on from (all where it starts anew): they are of no use.

    Left there, they would count as the newest two and sound ones be deleted for them.
    """
    for one in _folders(folder):
        if place is None or _order(one) > _order(place):
            shutil.rmtree(one)


def _free_place(folder: Path, step: int) -> Path:
    """Return a folder for a checkpoint of `step`, newer in order than those of the same step."""
    names = [found for found in map(NAME.fullmatch, (path.name for path in folder.iterdir())) if found]
    taken = [int(found[2] or 0) for found in names if int(found[1]) == step]
    return folder / (f"step-{step:010d}-{max(taken) + 1}" if taken else f"step-{step:010d}")


def _folders(folder: Path) -> list[Path]:
    """Return the finished checkpoints, newest first."""
    found = [path for path in _content(folder) if _is_checkpoint(path)]
    return sorted(found, key=_order, reverse=True)


def _strangers(folder: Path) -> list[Path]:
    return [path for path in _content(folder) if not _is_checkpoint(path) and path.name != "draft"]


def _content(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_checkpoint(path: Path) -> bool:
    return NAME.fullmatch(path.name) is not None and path.is_dir() and not path.is_symlink()


def _order(path: Path) -> tuple[int, int]:
    found = NAME.fullmatch(path.name)
    return (int(found[1]), int(found[2] or 0)) if found else (-1, 0)


def discard(path: Path) -> None:
    """Delete a folder, or whatever else lies in its place; what a link points to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
