"""Schedule, average, optimiser, validation, devices: the formulas and rules of training."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from math import cos, pi
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from medseg.engines.device import computing, device_of
from medseg.engines.training.keeping.journal import Journal
from medseg.engines.training.schedule import budget_of, rate_factor
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.averaging import decay_at, move_average
from medseg.engines.training.stepping.later import Later
from medseg.engines.training.stepping.optimiser import build_optimiser, set_rate
from medseg.engines.training.stepping.precision import precision_of
from medseg.engines.training.stepping.step import Step
from medseg.values.error import Refusal
from medseg.values.machine import Machine


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.InstanceNorm2d(3, affine=True), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))


@pytest.mark.parametrize(
    ("kind", "rest", "expected"),
    [("poly", 0.5, 0.5**0.9), ("cosine", 0.25, 0.5 * (1 + cos(pi / 4))), ("constant", 0.7, 1.0), ("poly", 1.0, 0.0)],
)
def test_after_the_warmup_the_schedule_has_its_formula(kind: str, rest: float, expected: float) -> None:
    settings = TrainingSettings.model_validate({"schedule": kind, "warmup": 0.2})
    assert rate_factor(0.2 + 0.8 * rest, settings) == pytest.approx(expected, abs=1e-9)
    assert rate_factor(0.05, settings) == pytest.approx(0.25)
    assert rate_factor(0.2, settings) == pytest.approx(1.0)


def test_no_warmup_starts_at_the_top() -> None:
    assert rate_factor(0.0, TrainingSettings(warmup=0.0)) == 1.0


def test_minutes_win_over_steps_and_a_thousand_steps_are_the_default() -> None:
    assert TrainingSettings().step_budget == 1000
    assert TrainingSettings(steps=7).step_budget == 7
    timed = TrainingSettings(steps=7, minutes=2.0)
    assert (timed.step_budget, timed.seconds_budget) == (None, 120.0)
    assert budget_of(timed).share(10_000, 30.0) == 0.25
    assert budget_of(timed).share(0, 500.0) == 1.0
    assert budget_of(TrainingSettings(steps=8)).share(2, 1e9) == 0.25


def test_the_average_follows_its_formula_and_counts_are_copied() -> None:
    network = small_network()
    average = copy.deepcopy(network)
    weights = [next(average.parameters()).detach().double().numpy().copy()]
    expected = weights[0]
    for step in range(1, 200):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        network(torch.randn(2, 1, 8, 8))
        move_average(average, network, step, 0.9)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * next(network.parameters()).detach().double().numpy()
    assert np.allclose(next(average.parameters()).detach().numpy(), expected, atol=1e-4)
    assert average.state_dict()["2.num_batches_tracked"] == 199


def test_an_average_without_decay_is_the_network() -> None:
    network, average = small_network(), copy.deepcopy(small_network())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()
    move_average(average, network, 5, 0.0)
    pairs = zip(network.parameters(), average.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert decay_at(1, 0.99) == pytest.approx(2 / 11)
    assert decay_at(10_000, 0.99) == 0.99


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_only_weights_of_several_axes_decay(kind: str) -> None:
    network = small_network()
    settings = TrainingSettings.model_validate({"optimiser": kind, "weight_decay": 0.1, "momentum": 0.0})
    optimiser = build_optimiser(network, settings)
    set_rate(optimiser, 0.25)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in network.named_parameters():
        factor = 1 - 0.25 * 0.1 if parameter.ndim > 1 else 1.0
        assert torch.allclose(parameter, before[name] * factor, atol=1e-7), name


def test_settings_that_cannot_be_computed_are_refused() -> None:
    cpu = torch.device("cpu")
    for half in ("fp16", "bf16"):
        with pytest.raises(
            Refusal, match=f"training\\.precision: {half} is for a CUDA device, got {half}; set auto or fp32"
        ):
            precision_of(TrainingSettings(precision=half), cpu)
    kinds = {"auto": torch.float32, "fp32": torch.float32}
    assert {name: precision_of(TrainingSettings(precision=name), cpu) for name in kinds} == kinds  # type: ignore[arg-type]
    kinds = {"auto": torch.bfloat16, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    cuda = torch.device("cuda")
    assert {name: precision_of(TrainingSettings(precision=name), cuda) for name in kinds} == kinds  # type: ignore[arg-type]
    if not torch.cuda.is_available():
        with pytest.raises(Refusal, match=r"machine\.device: the device exists, got cuda:3; set machine\.device=cpu"):
            device_of(Machine(device="cuda:3"))


def test_computing_is_deterministic_and_leaves_nothing_behind() -> None:
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    with computing(Machine(device="cpu", threads=1)) as device:
        assert device == torch.device("cpu")
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_float32_is_float32_while_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "allow_tf32", True)  # as PyTorch has it
    with computing(Machine(device="cpu", threads=1)):
        assert not cudnn.allow_tf32
    assert cudnn.allow_tf32


def test_computing_imports_no_compiler() -> None:
    program = """
import sys
from medseg.engines.device import computing
from medseg.values.machine import Machine
with computing(Machine(device="cpu")):
    pass
sys.exit("torch._inductor" in sys.modules or "torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_norm_that_is_not_finite_is_logged_as_text_and_the_log_stays_json(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.step(Step(1, 0.1, Later((torch.tensor(0.5), torch.tensor(torch.inf), torch.tensor(8.0)))), 1.0)
    journal.finish()

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    line = json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8"), parse_constant=refuse)
    assert line == {"step": 1, "loss": 0.5, "learning_rate": 0.1, "gradient_norm": "inf", "seconds": 1.0}
