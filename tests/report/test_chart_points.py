"""Charts with one point per case: where points and lines lie, and what they say."""

from __future__ import annotations

from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.report.charts.honesty import Bins, froc_chart, reliability_chart
from medseg.report.charts.points import Level, Point, difference_chart, size_chart


def parse(chart: str) -> ElementTree.Element:
    return ElementTree.fromstring(chart)  # noqa: S314


def circles(chart: str, style: str = "point") -> list[tuple[float, float]]:
    own = [c for c in parse(chart).iter("circle") if c.get("class") == style]
    return [(float(c.get("cx", "nan")), float(c.get("cy", "nan"))) for c in own]


def lines(chart: str, style: str) -> list[float]:
    return [float(one.get("y1", "nan")) for one in parse(chart).iter("line") if one.get("class") == style]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 1000), st.floats(0, 1)), min_size=1, max_size=30))
def test_larger_volumes_lie_right_and_better_dice_up(pairs: list[tuple[float, float]]) -> None:
    found = circles(size_chart([Point(f"{i:02}", x, y, "") for i, (x, y) in enumerate(pairs)], "tumour"))
    assert len(found) == len(pairs)
    ordered = sorted(pairs, key=lambda pair: pair[0])
    for ((low, bad), (left, lower)), ((high, good), (right, upper)) in combinations(
        zip(ordered, found, strict=True), 2
    ):
        assert left <= right
        assert left < right or high < 2 * low
        assert (lower - upper) * (good - bad) >= 0


def test_a_failed_case_is_a_ring_that_says_so_and_odd_names_stay_text() -> None:
    odd = '<b>"x"&'
    chart = size_chart([Point("a", 1.0, 0.9, "a: fine"), Point(odd, 2.0, 0.0, f"{odd}, failed", failed=True)], "tumour")
    ring = next(c for c in parse(chart).iter("circle") if c.get("class") == "failed")
    assert ring.get("data-open") == odd
    assert [title.text for title in ring.iter("title")] == [f"{odd}, failed"]


def test_the_lines_of_a_difference_chart_lie_among_the_points_they_summarise() -> None:
    points = [Point("low", 10, -2.0, ""), Point("mid", 20, 0.0, ""), Point("high", 30, 2.0, "")]
    levels = [Level("mean", 0.0, (-1.0, 1.0), main=True), Level("lower", -2.0), Level("upper", 2.0)]
    chart = difference_chart(points, levels, "tumour")
    heights = dict(zip(("low", "mid", "high"), (y for _, y in circles(chart)), strict=True))
    assert lines(chart, "bias") == [heights["mid"]] == lines(chart, "nought")
    assert sorted(lines(chart, "limit")) == sorted([heights["low"], heights["high"]])
    band = next(rect for rect in parse(chart).iter("rect") if rect.get("class") == "between")
    top, high = float(band.get("y", "nan")), float(band.get("height", "nan"))
    assert top < heights["mid"] < top + high
    assert high == pytest.approx((heights["low"] - heights["high"]) / 2, abs=0.2)


def test_names_of_lines_that_lie_close_do_not_cover_one_another() -> None:
    levels = [Level("lower", 0.0), Level("mean", 0.01, main=True), Level("upper", 0.02)]
    chart = difference_chart([Point("a", 1, 50.0, ""), Point("b", 2, -50.0, "")], levels, "tumour")
    places = [float(t.get("y", "nan")) for t in parse(chart).iter("text") if t.text in {"lower", "mean", "upper"}]
    assert all(below - above >= 12 for below, above in pairwise(places))


@pytest.mark.parametrize("values", [[(0.0, 0.0), (0.0, 0.0)], [(5.0, -3.0), (5.0, -3.0)], [(1e-6, 1e-6), (1e6, -1e6)]])
def test_flat_and_extreme_differences_are_drawn(values: list[tuple[float, float]]) -> None:
    chart = difference_chart([Point(str(i), x, y, "") for i, (x, y) in enumerate(values)], [], "tumour")
    assert len(circles(chart)) == 2
    assert "nan" not in chart


def test_honest_answers_lie_on_the_line_and_empty_bins_are_left_out() -> None:
    edges = [i / 15 for i in range(15)]
    honest = Bins("honest", [0, *[10] * 14], edges, edges)
    chart = reliability_chart([Bins("before", [5] * 15, edges, [e / 2 for e in edges], faint=True), honest], "right")
    ideal = next(line for line in parse(chart).iter("line") if line.get("class") == "ideal")
    x1, y1, x2, y2 = (float(ideal.get(name, "nan")) for name in ("x1", "y1", "x2", "y2"))
    found = circles(chart, "curve-point")
    assert len(found) == 14
    assert all(abs((x - x1) / (x2 - x1) - (y - y1) / (y2 - y1)) < 0.002 for x, y in found)
    assert len(circles(chart, "before-point")) == 15
    assert sum(rect.get("class") == "bar" for rect in parse(chart).iter("rect")) == 14


def test_the_froc_curve_follows_the_thresholds_and_stays_on_the_paper() -> None:
    chart = froc_chart([0.1, 0.5, 0.9], [40.0, 1.0, 0.0], [0.9, 0.6, 0.2], "tumour")
    found = circles(chart)
    assert [x for x, _ in found] == sorted((x for x, _ in found), reverse=True)
    assert found[0][0] == 360 and found[2][0] == 56  # noqa: PT018
    assert "at 0.5: 0.600 found, 1 false per scan" in [title.text for title in parse(chart).iter("title")]
    assert {"1/8", "1", "8"} <= {text.text for text in parse(chart).iter("text")}
