"""Training with a tracker: the same bytes as without, every step shown once, and nothing that it must have."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from medseg.engines.training.trackers.opening import NEEDED
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from tests.stages.test_train import curve, listening, make_inputs, settings, train

WATCHED = Machine(device="cpu", threads=1, checkpoint_seconds=1e-9, trackers=("tensorboard",))


def test_every_step_is_shown_once_also_after_a_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    inputs = make_inputs(tmp_path)
    whole = train(settings(), inputs, tmp_path / "whole")

    def stop(progress: Any) -> None:
        if progress.done > 5:
            raise KeyboardInterrupt

    with listening(stop), pytest.raises(KeyboardInterrupt):
        train(settings(), inputs, tmp_path / "out", WATCHED)
    with caplog.at_level(logging.INFO, "medseg"):
        assert train(settings(), inputs, tmp_path / "out", WATCHED) == whole
    folder = tmp_path / "out/trackers/tensorboard"
    assert f"curves in tensorboard: tensorboard --logdir {folder.resolve()}" in caplog.text
    events, rows = accumulator.EventAccumulator(str(folder)), curve(tmp_path / "out")
    events.Reload()
    losses = {one.step: one.value for one in events.Scalars("training/loss")}
    assert losses == {int(row["step"]): pytest.approx(float(row["loss"])) for row in rows}
    assert len(events.Scalars("training/loss")) == len(rows)
    dices = [(one.step, one.value) for one in events.Scalars("validation/dice")]
    scored = [(int(row["step"]), float(row["validation_dice"])) for row in rows if row["validation_dice"]]
    assert dices == [(step, pytest.approx(dice)) for step, dice in scored]


def test_a_tracker_that_is_missing_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NEEDED, "wandb", ("a_package_that_nobody_has",))
    machine = Machine(device="cpu", threads=1, trackers=("wandb",))
    with pytest.raises(Refusal, match=r"machine\.trackers: wandb needs the extra 'wandb'"):
        train(settings(), make_inputs(tmp_path), tmp_path / "out", machine)
    assert list((tmp_path / "out").iterdir()) == []
