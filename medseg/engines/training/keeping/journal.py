"""What training leaves for people: curve.csv, one row per step, and log.jsonl with the seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from medseg.engines.training.keeping.failure import Diverged, loss_diverged
from medseg.engines.training.stepping.step import Step
from medseg.files.tensors import sync_folder

HEADER = b"step,loss,learning_rate,validation_dice"


class Follower(Protocol):
    """Something else that shows the curve: it is given what the journal writes, once that is known."""

    def steps(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Take steps: `step`, `loss`, `learning_rate`, `gradient_norm` and `seconds` of each."""

    def validation(self, record: Mapping[str, Any]) -> None:
        """Take a validation: `step`, `validation_dice` (or None), `cases` and `seconds`."""

    def save(self) -> None:
        """Bring everything so far to the disk: training may go on from here after a crash."""

    def close(self) -> None:
        """Nothing more will come."""


@dataclass(frozen=True, slots=True, eq=False)
class _Noted:
    """A step whose loss and norm are on their way."""

    step: Step
    seconds: float

    def row(self) -> dict[str, float]:
        step = self.step
        numbers = {"loss": step.loss, "learning_rate": step.rate, "gradient_norm": step.norm}
        return {"step": step.number, **numbers, "seconds": self.seconds}


class Journal:
    """Writes both files; nobody waits for the device, except in `flush`.

    A row of the curve is left open after its learning rate, so that a validation can follow even after a restart.
    """

    def __init__(
        self, folder: Path | None, lengths: tuple[int, int] = (0, 0), followers: Sequence[Follower] = ()
    ) -> None:
        """Continue the files from `lengths` (bytes of curve and log); what lies beyond is cut off.

        Without a folder (in a process that does not lead) nothing is written.
        """
        self._curve = _opened(folder, "curve.csv", lengths[0])
        self._log = _opened(folder, "log.jsonl", lengths[1])
        self._waiting: list[_Noted] = []
        self._followers = followers
        self.loss: float | None = None
        self._failed: Diverged | None = None
        if lengths[0] == 0:
            self._curve.write(HEADER)
        if folder is not None:
            sync_folder(folder)

    def step(self, step: Step, seconds: float) -> None:
        """Note a step and the seconds of training at its end."""
        self._waiting.append(_Noted(step, round(seconds, 3)))

    def validation(self, step: int, dice: float | None, cases: Mapping[str, float | None], seconds: float) -> None:
        """Note a validation after `step`: the mean Dice, and the Dice of every case scored."""
        self.flush()
        self._curve.write(b"" if dice is None else f"{dice:.9g}".encode())
        record = {"step": step, "validation_dice": dice, "cases": dict(cases), "seconds": round(seconds, 3)}
        self._log_line(record)
        for follower in self._followers:
            follower.validation(record)

    def note(self, record: Mapping[str, object]) -> None:
        """Add a line of its own kind to the log, after the steps so far."""
        self.flush()
        self._log_line(record)

    def flush(self, wait: bool = True) -> None:
        """Write the steps noted so far; without `wait`, those that the device has done."""
        done = self._waiting if wait else list(takewhile(lambda one: one.step.ready, self._waiting))
        if not done:
            return
        rows = [one.row() for one in done]
        for row in rows:
            self._curve.write(f"\n{row['step']},{row['loss']:.9g},{row['learning_rate']:.9g},".encode())
            self._log_line(row)
        for follower in self._followers:
            follower.steps(rows)
        self.loss, self._waiting = rows[-1]["loss"], self._waiting[len(done) :]
        wrong = next((row for row in rows if not isfinite(row["loss"])), None)
        if wrong is not None and self._failed is None:
            numbers = (wrong[name] for name in ("loss", "learning_rate", "gradient_norm"))
            self._failed = loss_diverged(int(wrong["step"]), *numbers)

    def demand_finite(self) -> None:
        """Refuse the first of all steps noted so far whose loss is no finite number; waits for the device."""
        self.flush()
        if self._failed is not None:
            raise self._failed

    def lengths(self) -> tuple[int, int]:
        """Bring everything to the disk and return how many bytes curve and log have."""
        self.flush()
        for file in (self._curve, self._log):
            file.flush()
            os.fsync(file.fileno())
        for follower in self._followers:
            follower.save()
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
        for follower in self._followers:
            follower.close()

    def _log_line(self, record: Mapping[str, object]) -> None:
        line = json.dumps({name: plain(value) for name, value in record.items()}, allow_nan=False)
        self._log.write(line.encode() + b"\n")


def plain(value: object) -> object:
    """Return what JSON can hold: a number that is not finite (the norm of a step that fp16 skipped) as text."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def long_enough(folder: Path, lengths: tuple[int, int]) -> bool:
    """Return whether curve and log still hold what a checkpoint counted on."""
    files = (folder / "curve.csv", folder / "log.jsonl")
    return all(file.is_file() and file.stat().st_size >= length for file, length in zip(files, lengths, strict=True))


def _opened(folder: Path | None, name: str, length: int) -> BinaryIO:
    if folder is None:
        return Path(os.devnull).open("wb")
    file: BinaryIO = (folder / name).open("r+b" if length else "wb")
    file.truncate(length)
    file.seek(length)
    return file
