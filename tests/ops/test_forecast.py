"""The forecast of Dice finds a line again, and stays with the plain promise where it learns nothing better."""

from __future__ import annotations

import numpy as np
import pytest

from medseg.ops.confidence import Confidence
from medseg.ops.forecast import DiceForecast, fit_forecast, forecast

Row = dict[str, float | None]


def rows(count: int, seed: int = 0) -> list[Row]:
    values = np.random.default_rng(seed).uniform(0.2, 0.9, (count, 2))
    return [{"expected_dice": float(one), "margin": float(other)} for one, other in values]


def test_a_line_is_found_again() -> None:
    known = rows(200)
    dices = [0.1 + 0.5 * (row["expected_dice"] or 0) + 0.3 * (row["margin"] or 0) for row in known]
    fitted = fit_forecast(known, dices)
    assert fitted is not None
    assert fitted.offset == pytest.approx(0.1, abs=0.01)
    assert fitted.weights == pytest.approx({"expected_dice": 0.5, "margin": 0.3}, abs=0.01)
    assert fitted.error < 0.005
    assert fitted.cases == 200
    assert forecast({"expected_dice": 0.4, "margin": 0.5}, fitted) == pytest.approx(0.45, abs=0.01)


def test_a_promise_that_is_kept_is_left_alone() -> None:
    known = rows(8)
    fitted = fit_forecast(known, [row["expected_dice"] for row in known])
    assert fitted == DiceForecast(offset=0, weights={"expected_dice": 1}, error=0, cases=8)


def test_noise_does_not_make_it_worse_than_the_promise() -> None:
    generator = np.random.default_rng(5)
    known = rows(7, 2)
    dices = [float(np.clip((row["expected_dice"] or 0) + generator.normal(0, 0.05), 0, 1)) for row in known]
    fitted = fit_forecast(known, dices)
    assert fitted is not None
    plain = np.mean([abs((row["expected_dice"] or 0) - dice) for row, dice in zip(known, dices, strict=True)])
    assert fitted.error <= plain + 1e-6


def test_an_overconfident_network_is_told_down() -> None:
    known = [Confidence(expected_dice=0.9 + 0.01 * number, margin=0.8) for number in range(8)]
    fitted = fit_forecast(known, [0.5 + 0.01 * number for number in range(8)])
    assert fitted is not None
    assert fitted.error < 0.1
    told = forecast(known[3], fitted)
    assert told == pytest.approx(0.53, abs=0.08)


def test_few_cases_teach_nothing() -> None:
    empty: Row = {"expected_dice": None, "margin": None}
    assert fit_forecast(rows(5), [0.5] * 5) is None
    assert fit_forecast([*rows(5), *[empty] * 9], [0.5] * 14) is None
    assert fit_forecast(rows(9), [0.5] * 5 + [None] * 4) is None
    assert fit_forecast([*rows(6), empty], [0.5] * 7) is not None


def test_a_measure_that_some_case_lacks_is_left_out() -> None:
    known: list[Row] = [{**row, "agreement": row["margin"]} for row in rows(20)]
    known[4]["agreement"] = None
    fitted = fit_forecast(known, [row["margin"] for row in known])
    assert fitted is not None
    assert "agreement" not in fitted.weights
    assert fitted.weights["margin"] > 0.5


def test_it_is_a_share_and_unknown_without_its_measures() -> None:
    fitted = DiceForecast(offset=0.5, weights={"expected_dice": 1.0}, error=0.1, cases=6)
    assert forecast({"expected_dice": 0.9}, fitted) == 1
    assert forecast({"expected_dice": None}, fitted) is None
    assert forecast(Confidence(), fitted) is None
