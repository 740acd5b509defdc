from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.report.charts.curves import curve_chart
from medseg.report.charts.paper import MANY, Axis, log_ticks, ticks
from medseg.report.charts.strips import LOWEST, dice_chart

DOTS = re.compile(r'<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"')
SHAPE = re.compile(r'<polygon class="density" points="([^"]+)"')


def parse(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(chart)  # noqa: S314


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=60))
def test_every_case_is_a_dot_at_its_dice(values: list[float]) -> None:
    chart = dice_chart({"tumour": [(f"case {i}", value) for i, value in enumerate(values)]})
    root = parse(chart)
    ticks_at = {
        float(t.text or 0): float(t.get("x", 0)) for t in root.iter("text") if re.fullmatch(r"[\d.]+", t.text or "")
    }
    low, high = min(ticks_at), max(ticks_at)
    scale = (ticks_at[high] - ticks_at[low]) / (high - low)
    xs = sorted(float(x) for x, _ in DOTS.findall(chart))
    assert xs == pytest.approx([ticks_at[low] + scale * (value - low) for value in sorted(values)], abs=0.16)
    assert high == 1.0
    assert all(low <= value for value in values)


def test_high_values_get_an_axis_of_their_own_and_it_says_so() -> None:
    assert "the axis starts at 0.8" in dice_chart({"tumour": [("a", 0.83), ("b", 0.95)]})
    assert "the axis starts" not in dice_chart({"tumour": [("a", 0.03), ("b", 0.95)]})


def test_a_dot_tells_its_case_and_value_and_odd_names_stay_text() -> None:
    chart = dice_chart({"<core>": [('a <b>& "c"', 0.5)]})
    root = parse(chart)
    assert [title.text for title in root.iter("title")] == ['a <b>& "c": 0.500']
    assert "<core>" in [text.text for text in root.iter("text")]


def test_equal_values_do_not_hide_each_other() -> None:
    chart = dice_chart({"tumour": [(str(i), 0.5) for i in range(9)]})
    assert len(set(DOTS.findall(chart))) == 9


def test_a_crowd_becomes_a_shape_as_wide_as_the_cases_are_dense_and_its_lowest_stay_dots() -> None:
    values = [*np.linspace(0.9, 0.95, MANY - 5).tolist(), 0.1, 0.2, 0.3, 0.4, 0.45]
    chart = dice_chart({"tumour": [(f"case {i}", value) for i, value in enumerate(values)]})
    parse(chart)
    assert len(DOTS.findall(chart)) == LOWEST
    assert {f"case {MANY - 5 + i}: {value:.3f}" for i, value in enumerate((0.1, 0.2, 0.3, 0.4, 0.45))} <= {
        title.text for title in parse(chart).iter("title")
    }
    points = [tuple(map(float, pair.split(","))) for pair in SHAPE.findall(chart)[0].split()]
    heights = {x: abs(y - 44) for x, y in points}
    thickest = max(heights, key=lambda x: heights[x])
    axis = Axis(0.0, 1.0, 150, 736)
    assert axis.at(0.89) < thickest < axis.at(0.96)
    assert "<polygon" not in dice_chart({"tumour": [(str(i), 0.5) for i in range(MANY - 1)]})


def test_a_dot_of_a_case_can_be_opened() -> None:
    chart = dice_chart({"tumour": [('a "b"', 0.5)]})
    assert [circle.get("data-open") for circle in parse(chart).iter("circle")] == ['a "b"']


def test_a_region_without_values_says_so() -> None:
    assert "no case has a Dice here" in dice_chart({"tumour": []})


def test_the_smooth_curve_is_the_running_mean() -> None:
    values = [float(v) for v in np.random.default_rng(0).random(60)]
    chart = parse(curve_chart(list(range(1, 61)), values, "loss", ends=(0.0, 1.0), smooth=5))
    smooth = next(line for line in chart.iter("polyline") if line.get("class") == "curve")
    heights = [float(point.split(",")[1]) for point in str(smooth.get("points")).split()]
    expected = np.convolve(values, np.ones(5) / 5, "valid")
    assert [(206 - y) / (206 - 22) for y in heights[2:-2]] == pytest.approx(list(expected), abs=0.001)


@pytest.mark.parametrize(
    ("steps", "values"), [([1], [0.5]), ([1, 2], [3.0, 3.0]), ([0], [0.0]), ([5, 10], [-2.0, 1e6])]
)
def test_short_and_flat_curves_are_drawn(steps: list[float], values: list[float]) -> None:
    root = parse(curve_chart(steps, values, "loss", smooth=1))
    assert len(list(root.iter("circle"))) == len(values)


@settings(deadline=None)
@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e5))
def test_ticks_are_round_few_and_inside(low: float, width: float) -> None:
    found = ticks(low, low + width, 4)
    assert 1 <= len(found) <= 6
    assert all(low - 1e-6 * width <= tick <= low + width * 1.000001 for tick in found)


@settings(deadline=None)
@given(st.floats(1e-4, 1e4), st.floats(1.05, 1e6))
def test_logarithmic_ticks_are_round_and_inside(low: float, times: float) -> None:
    found = log_ticks(low, low * times)
    assert all(low * 0.99 <= tick <= low * times * 1.01 for tick in found)
    assert 2 <= len(found) <= 12
    assert times < 10 or all(f"{tick:.0e}"[0] in "125" for tick in found)


@settings(deadline=None)
@given(st.floats(0.01, 100), st.floats(1.5, 1e4))
def test_a_logarithmic_axis_gives_equal_ratios_equal_lengths(low: float, times: float) -> None:
    axis = Axis(low, low * times, 0.0, 400.0, log=True)
    middle = low * times**0.5
    assert axis.at(low) == pytest.approx(0.0, abs=1e-6)
    assert axis.at(middle) == pytest.approx(200.0, abs=1e-6)
    assert axis.at(low * times) == pytest.approx(400.0, abs=1e-6)
    assert axis.at(0.0) == pytest.approx(0.0, abs=1e-6)
