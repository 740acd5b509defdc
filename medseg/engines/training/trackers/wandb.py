"""Weights & Biases: offline unless the environment asks for more."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

from medseg.engines.training.trackers.tracker import Row, Start, Tracker

SHOWN = ("loss", "learning_rate", "gradient_norm")


def open_tracker(start: Start) -> tuple[Tracker, str]:
    """Open the run of this training; it stays on this computer unless the environment asks for more.

    That takes both WANDB_MODE=online and WANDB_API_KEY: without a key it would ask for one in the middle of a training.
    Offline a run is begun anew after a restart, because a crash loses what its process had not written.
    """
    online = os.environ.get("WANDB_MODE") == "online" and bool(os.environ.get("WANDB_API_KEY"))
    folder = start.folder.resolve()
    wanted = {f"WANDB_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "CACHE", "DATA")}
    if not online:
        wanted["WANDB_ERROR_REPORTING"] = "false"  # it would call home
        shutil.rmtree(folder / "wandb", ignore_errors=True)
    own = [name for name in wanted if name not in os.environ]
    os.environ.update({name: wanted[name] for name in own})
    import wandb

    quiet = wandb.Settings(
        silent=True, console="off", disable_git=True, disable_code=True, symlink=False, x_disable_stats=True
    )
    run: Any = wandb.init(
        project="medseg", id=start.identity[:16], name=start.identity[:12], dir=str(folder),
        mode="online" if online else "offline", resume="allow" if online else None, config=dict(start.facts),
        settings=quiet,
    )  # fmt: skip
    return WeightsAndBiases(run, own), run.url if online else f"wandb sync {folder}/wandb/offline-run-*"


class WeightsAndBiases:
    """Hands steps to the process of Weights & Biases, which writes or sends them.

    `variables` of the environment were set for it.
    """

    def __init__(self, run: Any, variables: Sequence[str]) -> None:
        self.run, self.first, self.variables = run, int(run.step), variables

    def steps(self, rows: Sequence[Row]) -> None:
        """Log the steps that are not there yet."""
        for row in rows:
            if row["step"] >= self.first:
                self.run.log({name: row[name] for name in SHOWN}, step=int(row["step"]))

    def validation(self, step: int, dice: float | None) -> None:
        """Log the mean Dice beside the numbers of its step."""
        if dice is not None and step >= self.first:
            self.run.log({"validation_dice": dice}, step=step)

    def save(self) -> None:
        """Do nothing: a restart gives the run what it lost."""

    def close(self, finished: bool) -> None:
        """End the run and its process, so that a next training of a sweep begins with folders of its own."""
        import wandb

        self.run.finish(exit_code=0 if finished else 1)
        wandb.teardown()
        for name in self.variables:
            os.environ.pop(name, None)
