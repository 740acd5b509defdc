"""One cycle of the learning rate, and how long it rises."""

from __future__ import annotations

from math import cos, pi

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from medseg.engines.training.schedule import rate_factor
from medseg.engines.training.settings import TrainingSettings


def test_one_cycle_is_that_of_pytorch() -> None:
    settings = TrainingSettings(schedule="one_cycle", warmup=0.4)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    # PyTorch's two phases are of 40 and 60 steps: they begin at step 0 and end at step 99.
    oracle = OneCycleLR(optimiser, max_lr=1.0, total_steps=100, pct_start=0.4, cycle_momentum=False)
    for step in range(100):
        share = 0.4 * step / 39 if step <= 39 else 0.4 + 0.6 * (step - 39) / 60
        assert rate_factor(share, settings) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
        optimiser.step()
        oracle.step()


def test_the_rise_is_long_in_one_cycle_and_short_otherwise_unless_it_is_set() -> None:
    assert TrainingSettings().rise == 0.05
    assert TrainingSettings(schedule="one_cycle").rise == 0.3
    assert TrainingSettings(schedule="one_cycle", warmup=0.1).rise == 0.1
    assert TrainingSettings(warmup=0.0).rise == 0.0
    assert rate_factor(0.3, TrainingSettings(schedule="one_cycle")) == pytest.approx(1.0)


def test_one_cycle_without_a_rise_falls_from_the_top_far_below_its_start() -> None:
    settings = TrainingSettings(schedule="one_cycle", warmup=0.0)
    assert rate_factor(0.0, settings) == 1.0
    assert rate_factor(0.5, settings) == pytest.approx(0.5 * (1 + cos(pi / 2)), abs=1e-5)
    assert 0 < rate_factor(1.0, settings) < 1e-5
