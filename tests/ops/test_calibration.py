"""Temperatures are found again, and calibration errors are those of a loop over bins."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special

from medseg.ops.calibration import expected_calibration_error, fit_temperature, reliability, temper
from medseg.values.error import Refusal
from medseg.values.labels import IGNORED
from medseg.values.volume import Array, FloatArray

ACTIVATIONS: list[Literal["softmax", "sigmoid"]] = ["softmax", "sigmoid"]
SEEDS = st.integers(0, 1 << 20)


def answers(activation: str, temperature: float, count: int, seed: int = 0) -> tuple[FloatArray, Array]:
    """Draw probabilities of three outputs, and a truth that is right as often as they say at `temperature`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 3, (3, count))
    if activation == "sigmoid":
        truth = generator.random((3, count)) < special.expit(logits / temperature)
        return special.expit(logits).astype(np.float32), truth.astype(np.uint8)
    shares = special.softmax(logits / temperature, axis=0).cumsum(0)
    drawn = (generator.random(count) > shares).sum(0).clip(0, 2).astype(np.uint8)
    return special.softmax(logits, axis=0).astype(np.float32), drawn


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again_and_mends_the_error(
    activation: Literal["softmax", "sigmoid"], temperature: float
) -> None:
    found, truth = answers(activation, temperature, 40_000)
    fitted = fit_temperature(found, truth, activation)
    assert fitted == pytest.approx(temperature, rel=0.04)
    mended = expected_calibration_error(temper(found, fitted, activation), truth, activation)
    assert mended < 0.01
    if temperature != 1:
        assert expected_calibration_error(found, truth, activation) > 5 * mended


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_temperature_is_that_of_another_search(activation: Literal["softmax", "sigmoid"]) -> None:
    found, truth = answers(activation, 1.7, 3000, seed=4)

    def loss(logarithm: float) -> float:
        if activation == "sigmoid":
            odds = special.logit(found.astype(np.float64)) / np.exp(logarithm)
            return float(-special.log_expit(np.where(truth == 1, odds, -odds)).mean())
        logs = special.log_softmax(np.log(found.astype(np.float64)) / np.exp(logarithm), axis=0)
        return float(-logs[truth, np.arange(len(truth))].mean())

    expected = np.exp(optimize.minimize_scalar(loss, bounds=(-1.3, 2.0), method="bounded").x)
    assert fit_temperature(found, truth, activation) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_temperature_stays_within_its_bounds(activation: Literal["softmax", "sigmoid"]) -> None:
    found = np.array([[0.9, 0.9, 0.9], [0.1, 0.1, 0.1]], np.float32)
    first, second = np.zeros(3, np.uint8), np.ones(3, np.uint8)
    truths = {"softmax": (first, second), "sigmoid": (np.stack([second, first]), np.stack([first, second]))}
    right, wrong = truths[activation]
    assert fit_temperature(found, right, activation) == pytest.approx(0.25, rel=1e-3)
    assert fit_temperature(found, wrong, activation) == pytest.approx(8, rel=1e-3)


@given(SEEDS, st.floats(0.25, 8))
def test_tempered_classes_are_still_probabilities_in_the_same_order(seed: int, temperature: float) -> None:
    found = np.random.default_rng(seed).dirichlet(np.full(4, 0.5), (3, 5)).T.astype(np.float32)
    before = found.copy()
    tempered = temper(found, temperature, "softmax")
    assert (found == before).all()
    assert tempered.dtype == np.float32
    np.testing.assert_allclose(tempered.sum(0), 1, atol=1e-5)
    expected = special.softmax(np.log(np.maximum(found, 1e-37).astype(np.float64)) / temperature, axis=0)
    np.testing.assert_allclose(tempered, expected, atol=1e-5)
    assert (tempered.argmax(0) == found.argmax(0)).all()


@given(SEEDS, st.floats(0.25, 8))
def test_tempered_regions_keep_their_side_of_one_half(seed: int, temperature: float) -> None:
    found = np.random.default_rng(seed).random((2, 3, 4)).astype(np.float32)
    found[0, 0, :2] = 0, 1
    tempered = temper(found, temperature, "sigmoid")
    expected = special.expit(special.logit(found.clip(2**-23, 1 - 2**-23).astype(np.float64)) / temperature)
    np.testing.assert_allclose(tempered, expected, atol=1e-5)
    clear = np.abs(found - 0.5) > 1e-4
    assert ((tempered > 0.5) == (found > 0.5))[clear].all()


def test_at_temperature_one_nothing_is_computed() -> None:
    found = np.random.default_rng(0).random((2, 3)).astype(np.float32)
    assert temper(found, 1.0, "sigmoid") is found


@given(SEEDS, st.sampled_from(ACTIVATIONS))
def test_the_error_is_that_of_a_loop_over_bins(seed: int, activation: Literal["softmax", "sigmoid"]) -> None:
    found, truth = answers(activation, 2.0, 200, seed)
    if activation == "softmax":
        pairs = [(float(p.max()), int(p.argmax()) == t) for p, t in zip(found.T.astype(float), truth, strict=True)]
    else:
        flat = zip(found.ravel().astype(float), truth.ravel(), strict=True)
        pairs = [(max(p, 1 - p), (p > 0.5) == bool(t)) for p, t in flat]
    expected = 0.0
    for number in range(15):
        inside = [(sure, right) for sure, right in pairs if number / 15 < sure <= (number + 1) / 15]
        if inside:
            sure, right = np.mean([one for one, _ in inside]), np.mean([one for _, one in inside])
            expected += len(inside) / len(pairs) * abs(float(right) - float(sure))
    assert expected_calibration_error(found, truth, activation) == pytest.approx(expected, abs=1e-6)


def test_what_is_sure_and_always_right_has_no_error_and_one_full_bin() -> None:
    found = np.array([[1.0, 1.0], [0.0, 0.0]], np.float32)
    told = reliability(found, np.zeros(2, np.uint8), "softmax")
    assert told.answers == (*[0] * 14, 2)
    assert (told.confidence[-1], told.right[-1], told.error) == (1, 1, 0)


def test_regions_that_nobody_looked_for_have_no_say() -> None:
    found, truth = answers("sigmoid", 2.0, 500)
    hidden = truth.copy()
    hidden[1] = IGNORED
    known = np.delete(found, 1, 0), np.delete(truth, 1, 0)
    assert fit_temperature(found, hidden, "sigmoid") == fit_temperature(*known, "sigmoid")
    assert reliability(found, hidden, "sigmoid") == reliability(*known, "sigmoid")


@pytest.mark.parametrize("judge", [fit_temperature, reliability])
def test_nothing_to_learn_from_is_refused(judge: object) -> None:
    assert callable(judge)
    empty = np.empty((2, 0), np.float32)
    hidden = np.full((2, 3), IGNORED, np.uint8)
    message = "calibration: there is at least one voxel with a known answer, got 0; name validation cases"
    with pytest.raises(Refusal, match=message):
        judge(empty, np.empty(0, np.uint8), "softmax")
    with pytest.raises(Refusal, match=message):
        judge(np.full((2, 3), 0.5, np.float32), hidden, "sigmoid")
