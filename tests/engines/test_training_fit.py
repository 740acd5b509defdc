"""The loop: it learns, clips, refuses what is not finite, and belongs to its seed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
import torch
from torch import nn

from medseg.engines.device import computing
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.fit import fit
from medseg.engines.training.keeping.state import State, start
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.setup import Means, build_stepper
from medseg.engines.training.stepping.step import Step, Stepper
from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss
from medseg.values.error import Refusal
from medseg.values.machine import Machine


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


def network(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(8, 2, 3, padding=1))


def bright_or_dark() -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(0)
    while True:
        images = torch.randn(4, 1, 8, 8, generator=generator)
        yield Batch(images, (images[:, 0] > 0).long())


def stepper(state: State, settings: TrainingSettings, seed: int = 0) -> Stepper:
    return build_stepper(state, build_loss(LossSettings(kind="ce")), settings, seed, Means(Machine(device="cpu")))


def steps(state: State, count: int, settings: TrainingSettings, seed: int = 0) -> list[Step]:
    return list(fit(stepper(state, settings, seed), islice(bright_or_dark(), count), lambda number: 1 / number))


def test_the_loss_falls_and_steps_say_what_was_done() -> None:
    settings = TrainingSettings(learning_rate=0.05)
    state = start(network(), settings)
    taken = list(fit(stepper(state, settings), islice(bright_or_dark(), 60), lambda _: 1.0))
    assert taken[-1].loss < 0.3 * taken[0].loss
    assert [step.number for step in taken] == list(range(1, 61))
    assert state.tally.step == 60
    assert [step.rate for step in steps(state, 2, settings)] == [0.05 * (1 / 61), 0.05 * (1 / 62)]


def test_gradients_are_clipped_to_their_norm() -> None:
    settings = TrainingSettings(optimiser="sgd", momentum=0.0, learning_rate=1.0, weight_decay=0.0, clip=1e-3)
    state = start(network(), settings)
    before = [parameter.detach().clone() for parameter in state.network.parameters()]
    step = steps(state, 1, settings)[0]
    moved = sum(float(((a - b.detach()) ** 2).sum()) for a, b in zip(before, state.network.parameters(), strict=True))
    assert step.norm > 1e-3
    assert moved**0.5 == pytest.approx(1e-3, rel=1e-3)


def test_dropout_belongs_to_seed_and_step_and_not_to_the_past() -> None:
    settings = TrainingSettings()
    one, two, other = (start(network(0.5), settings) for _ in range(3))
    steps(one, 3, settings)
    for _ in range(3):
        torch.rand(17)
    torch.manual_seed(99)
    steps(two, 3, settings)
    steps(other, 3, settings, seed=1)
    weights = [next(state.network.parameters()) for state in (one, two, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_loss_that_is_not_finite_is_refused_with_its_step() -> None:
    def breaking() -> Iterator[Batch]:
        for number, batch in enumerate(bright_or_dark(), start=1):
            yield Batch(batch.images * float("nan"), batch.classes) if number == 3 else batch

    settings = TrainingSettings()
    with pytest.raises(
        Refusal, match=r"training: the loss of step 3 is finite, got nan; lower training\.learning_rate"
    ):
        list(fit(stepper(start(network(), settings), settings), breaking(), lambda _: 1.0))
