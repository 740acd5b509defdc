"""MLflow: one run in an SQLite file."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from time import time
from typing import Any

from medseg.engines.training.trackers.tracker import Row, Start, Tracker, later

EXPERIMENT, IDENTITY = "medseg", "medseg.training"
SHOWN = ("loss", "learning_rate", "gradient_norm")
_STEPS_AT_ONCE = 300  # of at most 1000 metrics, so that three of each step fit
_PARAMETERS_AT_ONCE = 100
_LONGEST = 500


def open_tracker(start: Start) -> tuple[Tracker, str]:
    """Open the run of this training, or begin it; steps that it holds already are not written twice."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported; it would call home
    from mlflow import MlflowClient
    from mlflow.entities import Param

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every table that it makes
    address = f"sqlite:///{start.folder.resolve() / 'mlflow.db'}"
    client: Any = MlflowClient(tracking_uri=address)
    found = client.get_experiment_by_name(EXPERIMENT)
    artifacts = (start.folder.resolve() / "artifacts").as_uri()
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifacts)
    runs = client.search_runs([experiment], f"tags.`{IDENTITY}` = '{start.identity}'")
    if runs:
        run = runs[0].info.run_id
        client.update_run(run, status="RUNNING")
    else:
        run = client.create_run(experiment, tags={IDENTITY: start.identity}, run_name=start.identity[:12]).info.run_id
        settings = [Param(name, str(value)[:_LONGEST]) for name, value in start.facts.items()]
        for first in range(0, len(settings), _PARAMETERS_AT_ONCE):
            client.log_batch(run, params=settings[first : first + _PARAMETERS_AT_ONCE])
    return MLflow(client, run), f"mlflow ui --backend-store-uri {address}"


class MLflow:
    """Writes metrics into one run; each is on the disk when the call returns."""

    def __init__(self, client: Any, run: str) -> None:
        self.client, self.run = client, run
        self.reached = self._last("loss")
        self.validated = self._last("validation_dice")

    def steps(self, rows: Sequence[Row]) -> None:
        """Write the steps that are not there yet."""
        from mlflow.entities import Metric

        timed = later(rows, self.reached)
        for first in range(0, len(timed), _STEPS_AT_ONCE):
            metrics = [
                Metric(name, row[name], int(1000 * moment), int(row["step"]))
                for row, moment in timed[first : first + _STEPS_AT_ONCE]
                for name in SHOWN
            ]
            self.client.log_batch(self.run, metrics=metrics)
        self.reached = max(self.reached, int(rows[-1]["step"]))

    def validation(self, step: int, dice: float | None) -> None:
        """Write the mean Dice."""
        if dice is not None and step > self.validated:
            self.client.log_metric(self.run, "validation_dice", dice, int(1000 * time()), step)
            self.validated = step

    def save(self) -> None:
        """Nothing waits."""

    def close(self, finished: bool) -> None:
        """End the run, or mark it as stopped."""
        self.client.set_terminated(self.run, "FINISHED" if finished else "KILLED")

    def _last(self, name: str) -> int:
        return max((metric.step for metric in self.client.get_metric_history(self.run, name)), default=0)
