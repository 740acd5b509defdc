"""What training leaves for people: curve.csv, one row per step, and log.jsonl with the seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch

from medseg.engines.training.fit import Step

HEADER = b"step,loss,learning_rate,validation_dice"


class Journal:
    """Writes both files; losses are read from the device only in `flush`.

    A row of the curve is left open after its learning rate, so that a validation can follow even after a restart.
    """

    def __init__(self, folder: Path, lengths: tuple[int, int] = (0, 0)) -> None:
        """Continue the files from `lengths` (bytes of curve and log); what lies beyond is cut off."""
        self._curve = _opened(folder / "curve.csv", lengths[0])
        self._log = _opened(folder / "log.jsonl", lengths[1])
        self._waiting: list[tuple[Step, float]] = []
        self.loss: float | None = None
        if lengths[0] == 0:
            self._curve.write(HEADER)

    def step(self, step: Step, seconds: float) -> None:
        """Note a step and the seconds of training at its end."""
        self._waiting.append((step, seconds))

    def validation(self, step: int, dice: float | None, cases: Mapping[str, float | None], seconds: float) -> None:
        """Note a validation after `step`: the mean Dice, and the Dice of every case scored."""
        self.flush()
        self._curve.write(b"" if dice is None else f"{dice:.9g}".encode())
        self._log_line({"step": step, "validation_dice": dice, "cases": dict(cases), "seconds": round(seconds, 3)})

    def flush(self) -> None:
        """Write the steps noted so far; waits for the device."""
        if not self._waiting:
            return
        losses = torch.stack([step.loss for step, _ in self._waiting]).tolist()
        norms = torch.stack([step.norm for step, _ in self._waiting]).tolist()
        for (step, seconds), loss, norm in zip(self._waiting, losses, norms, strict=True):
            self._curve.write(f"\n{step.number},{loss:.9g},{step.rate:.9g},".encode())
            numbers = {"loss": loss, "learning_rate": step.rate, "gradient_norm": norm, "seconds": round(seconds, 3)}
            self._log_line({"step": step.number, **numbers})
        self.loss = losses[-1]
        self._waiting.clear()

    def lengths(self) -> tuple[int, int]:
        """Bring everything to the disk and return how many bytes curve and log have."""
        self.flush()
        for file in (self._curve, self._log):
            file.flush()
            os.fsync(file.fileno())
        return self._curve.tell(), self._log.tell()

    def finish(self) -> None:
        """End the last row; nothing can be noted any more."""
        self.flush()
        self._curve.write(b"\n")
        self.close()

    def close(self) -> None:
        """Close the files as they are."""
        self._curve.close()
        self._log.close()

    def _log_line(self, record: Mapping[str, object]) -> None:
        self._log.write(json.dumps(record).encode() + b"\n")


def long_enough(folder: Path, lengths: tuple[int, int]) -> bool:
    """Return whether curve and log still hold what a checkpoint counted on."""
    files = (folder / "curve.csv", folder / "log.jsonl")
    return all(file.is_file() and file.stat().st_size >= length for file, length in zip(files, lengths, strict=True))


def _opened(path: Path, length: int) -> BinaryIO:
    file: BinaryIO = path.open("r+b" if length else "wb")
    file.truncate(length)
    file.seek(length)
    return file
