"""Schedule, average, optimiser, validation, devices: the formulas and rules of training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from math import cos, pi
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from medseg.engines.device import computing, device_of
from medseg.engines.training.averaging import decay_at, move_average
from medseg.engines.training.fit import precision_of
from medseg.engines.training.optimiser import build_optimiser, set_rate
from medseg.engines.training.schedule import budget_of, rate_factor, validations_due
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.validation import affordable, case_dice, score_cases, validation_order
from medseg.files.prepared import PreparedCase
from medseg.values.error import Refusal
from medseg.values.labels import IGNORED
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


@pytest.mark.parametrize(("steps", "validations"), [(8, 8), (100, 7), (3, 8), (10, 0), (1000, 3)])
def test_validations_are_spread_evenly_and_end_with_the_budget(steps: int, validations: int) -> None:
    due = [
        validations_due(budget_of(TrainingSettings(steps=steps)).share(step, 0), validations)
        for step in range(steps + 1)
    ]
    assert due[0] == 0
    assert due[-1] == validations
    assert due == sorted(due)
    if 0 < validations <= steps:
        gaps = np.diff([due.index(number) for number in range(validations + 1)])
        assert gaps.max() - gaps.min() <= 1


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


def case(name: str, labelled: bool) -> PreparedCase:
    image = np.zeros((1, 2, 2, 2), np.float32)
    seeds = {1: np.zeros((1, 3), np.int32)} if labelled else {}
    return PreparedCase(name, image, np.zeros((2, 2, 2), np.uint8), seeds, (1.0, 1.0, 1.0), {})


def test_validation_takes_labelled_cases_in_an_order_of_the_seed() -> None:
    cases = [case(name, name != "healthy") for name in ("a", "b", "healthy", "c", "d", "e")]
    names = [found.case for found in validation_order(0, cases)]
    assert sorted(names) == ["a", "b", "c", "d", "e"]
    assert names == [found.case for found in validation_order(0, cases[::-1])]
    assert any(names != [found.case for found in validation_order(seed, cases)] for seed in range(1, 9))


def test_dice_of_a_case_is_the_mean_over_classes_in_the_truth() -> None:
    classes = np.array([0, 0, 1, 1, 1, 1, 2, 2]).reshape(2, 2, 2)
    found = np.array([0, 1, 1, 1, 1, 0, 0, 2]).reshape(2, 2, 2)
    scores = np.stack([(found == index).astype(np.float32) for index in range(4)])
    assert case_dice(scores, classes, None) == pytest.approx((2 * 3 / 8 + 2 * 1 / 3) / 2)
    assert case_dice(scores, np.zeros_like(classes), None) is None
    regions = ((False, True, True, False), (False, False, True, False))
    whole = np.stack([np.isin(found, (1, 2)), found == 2]).astype(np.float32)
    assert case_dice(whole, classes, regions) == pytest.approx((2 * 4 / 11 + 2 * 1 / 3) / 2)
    assert case_dice(np.zeros_like(whole), classes, regions) == 0.0


@pytest.mark.parametrize("annotated", [None, (1,), (2,), (1, 2), ()])
@pytest.mark.parametrize("regions", [None, ((False, True, True), (False, False, True), (False, True, False))])
def test_dice_of_a_case_leaves_out_what_nobody_annotated(annotated: Any, regions: Any) -> None:
    chance = np.random.default_rng(1)
    classes = chance.choice([0, 1, 2, IGNORED], (4, 5, 6)).astype(np.uint8)
    scores = chance.random((3, 4, 5, 6)).astype(np.float32)
    known = {1, 2} if annotated is None else set(annotated)
    members = [{1}, {2}] if regions is None else [{i for i, inside in enumerate(row) if inside} for row in regions]
    found = [scores.argmax(0) == i for i in (1, 2)] if regions is None else list(scores > 0.5)
    values = []
    for region, marked in zip(members, found, strict=True):
        if region <= known:
            pairs = [(m, t in region) for m, t in zip(marked.ravel(), classes.ravel(), strict=True) if t != IGNORED]
            both = sum(m and t for m, t in pairs)
            values.append(2 * both / (sum(m for m, _ in pairs) + sum(t for _, t in pairs)))
    expected = sum(values) / len(values) if values else None
    assert case_dice(scores, classes, regions, annotated) == pytest.approx(expected)


def test_a_validation_stops_where_its_time_is_up_but_scores_one_case() -> None:
    cases = [case(name, True) for name in "abc"]
    assert [name for name, _ in score_cases(cases, lambda _: 1.0, None)] == ["a", "b", "c"]
    assert [name for name, _ in score_cases(cases, lambda _: 1.0, 0.0)] == ["a"]


def test_a_dear_validation_is_left_out_under_a_clock() -> None:
    assert affordable(1e9, 3, None)
    assert affordable(0.0, 0, 60.0)
    assert affordable(20.0, 4, 600.0)  # 5 s each: 20 s, this one and the last one are within 48 s
    assert not affordable(40.0, 4, 600.0)


def test_settings_that_cannot_be_computed_are_refused() -> None:
    cpu = torch.device("cpu")
    with pytest.raises(Refusal, match=r"training\.precision: bf16 is for a CUDA device.*set auto or fp32"):
        precision_of(TrainingSettings(precision="bf16"), cpu)
    assert not precision_of(TrainingSettings(), cpu)
    assert precision_of(TrainingSettings(), torch.device("cuda"))
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
