"""TensorBoard: event files in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any

from medseg.engines.training.trackers.tracker import Row, Start, Tracker, later

_STEM = "events.out.tfevents."
SHOWN = {"loss": "training/loss", "learning_rate": "training/learning_rate", "gradient_norm": "training/gradient_norm"}


def open_tracker(start: Start) -> tuple[Tracker, str]:
    """Open a new event file in the folder; steps of earlier files after `start.step` are hidden by it."""
    from torch.utils.tensorboard import SummaryWriter  # takes a second, and needs the extra

    again = _put_first(start.folder)
    writer: Any = SummaryWriter(str(start.folder), purge_step=start.step + 1 if again else None)
    if not again:
        rows = "".join(f"| {name} | {value} |\n" for name, value in start.facts.items())
        writer.add_text("settings", f"| setting | value |\n|---|---|\n{rows}")
    return TensorBoard(writer, start.step if again else 0), f"tensorboard --logdir {start.folder.resolve()}"


def _put_first(folder: Path) -> bool:
    """Make sure that event files of before are read before a new one, and return whether there are any.

    They are read in the order of their names, which begin with a second: it must be an earlier one than now, also after
    a restart within a second or on a machine whose clock is behind.
    """
    now, files = int(time()), sorted(folder.glob(f"{_STEM}*"))
    for place, path in enumerate(files):
        second, rest = path.name.removeprefix(_STEM).split(".", 1)
        latest = now - len(files) + place
        if int(second) > latest:
            path.rename(folder / f"{_STEM}{latest:010d}.{rest}")
    return bool(files)


class TensorBoard:
    """Writes scalars; a thread of TensorBoard's brings them to the disk. `reached` is the last step written before."""

    def __init__(self, writer: Any, reached: int) -> None:
        self.writer, self.reached = writer, reached

    def steps(self, rows: Sequence[Row]) -> None:
        """Write the numbers of each step."""
        for row, moment in later(rows, self.reached):
            for name, tag in SHOWN.items():
                self.writer.add_scalar(tag, row[name], int(row["step"]), moment)
        self.writer.flush()

    def validation(self, step: int, dice: float | None) -> None:
        """Write the mean Dice."""
        if dice is not None and step > self.reached:
            self.writer.add_scalar("validation/dice", dice, step)
        self.writer.flush()

    def save(self) -> None:
        """Bring everything so far to the disk."""
        self.writer.flush()

    def close(self, finished: bool) -> None:
        """End the event file."""
        self.writer.close()
