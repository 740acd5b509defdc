"""The page of a comparison: sentences first, every scan, and nothing that a name from disk could start."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medseg.ops.comparing.correcting import corrected
from medseg.ops.comparing.pairs import Pair, Scope, compare_sides
from medseg.ops.comparing.sides import Ground, Member, Side
from medseg.ops.statistics.kinds import Kind
from medseg.report.compare_charts import Change, change_chart, slope_chart
from medseg.report.compare_page import Compared, Known, compare_page
from medseg.report.compare_tables import changes, most_changed, name_of, unit_of
from medseg.report.compare_wording import healthy_sentences, pair_sentences, verdict
from tests.experiment.compared_runs import Row, scan, scans
from tests.report.html_page import NASTY, Page, assert_in_order, assert_self_contained

CASES = {f"t{number}": 0.5 + number / 40 for number in range(12)}


def side(name: str, *runs: Sequence[Row]) -> Side:
    tables = [{(row["case"], row["region"]): row for row in rows} for rows in runs]
    return Side(name, tuple(Member(table, seed) for seed, table in enumerate(tables)))


def scope_of(rows: Sequence[Row], regions: Sequence[str] = ("core", "tumour", "healthy", "all")) -> Scope:
    own = [row for row in rows if row["region"] == "tumour"]
    cases, people, cohorts = ([str(row[key]) for row in own] for key in ("case", "subject", "cohort"))
    return Scope(Ground(tuple(cases), tuple(people), tuple(cohorts)), tuple(regions), "tumour")


def compared(
    sides: Sequence[Side], rows: Sequence[Row], failed: Sequence[dict[str, str]] = (), **more: Any
) -> Compared:
    scope = scope_of(rows)
    couples = [(a, b) for place, a in enumerate(sides) for b in sides[place + 1 :]]
    pairs = corrected([compare_sides(*couple, scope) for couple in couples])
    known = Known(failed=failed or [{} for _ in sides], **more)
    return Compared(sides, pairs, scope, ("tumour", "dice"), known)


def moved(by: float) -> list[Row]:
    return scans({case: dice + by * (1 + n % 3 - (n == 4) * 8) for n, (case, dice) in enumerate(CASES.items())})


def test_the_answer_comes_first_and_everything_else_is_there() -> None:
    first, second = side("a", scans(CASES)), side("b", moved(0.02))
    text = compare_page("b against a", compared([first, second], scans(CASES), apart=[("network.kind", ["x", "y"])]))
    assert_self_contained(text)
    page = Page(text)
    assert_in_order(page)
    answer = re.search(r'<p class="answer">(.*?)</p>', text)
    assert answer
    assert answer[1].startswith("tumour: ")
    assert text.index(answer[0]) < text.index("<table")
    assert len(page.all("svg")) == 2
    assert len([one for one in page.all("g") if one["class"] == "gained"]) == 11
    assert [one["class"] for one in page.all("g")].count("lost") == 1
    assert "<td>x</td><td>y</td>" in text
    assert text == compare_page(
        "b against a", compared([first, second], scans(CASES), apart=[("network.kind", ["x", "y"])])
    )


def test_every_pair_has_its_part() -> None:
    sides = [side(name, moved(by)) for name, by in (("a", 0.0), ("b", 0.02), ("c", 0.03))]
    text = compare_page("three", compared(sides, scans(CASES)))
    assert_in_order(Page(text))
    assert [f"pair-{number}" in text for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert text.count("p, all</th>") == 3
    assert len(re.findall(r"<li>tumour: ", text)) == 3


def test_names_are_shown_as_they_are_and_do_nothing() -> None:
    rows = scan(f"t{NASTY}", 0.5, reason=NASTY) + scan("t1", 0.7)
    better = scan(f"t{NASTY}", 0.9) + scan("t1", 0.8)
    sides = [side(f"a{NASTY}", rows), side("b\x07b", better)]
    known: list[dict[str, str]] = [{f"t{NASTY}": NASTY}, {}]
    text = compare_page(NASTY, compared(sides, rows, known, left_out=[NASTY], facts=[("name", NASTY)]))
    page = Page(text)
    assert_in_order(page)
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert "\x07" not in text
    assert "49" not in re.findall(r"amp;(\d+)", text)


def test_a_comparison_without_a_common_value_is_said_and_not_drawn() -> None:
    first, second = scan("t1", 0.5, hd95_mm=None), scan("t1", 0.5)
    whole = compared([side("a", first), side("b", second)], first)
    text = compare_page("x", replace(whole, cell=("tumour", "hd95_mm")))
    assert_in_order(Page(text))
    assert "have no scan in common with a defined Hausdorff distance" in text
    assert "<svg" not in text


def test_a_single_scan_is_drawn_and_too_few_for_an_interval() -> None:
    text = compare_page("x", compared([side("a", scan("t1", 0.5)), side("b", scan("t1", 0.6))], scan("t1", 0.5)))
    assert_in_order(Page(text))
    assert "too few for an interval" in text
    assert text.count("<svg") == 2
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_sentences_name_the_region_only_where_there_are_several() -> None:
    rows, better = scans(CASES), moved(0.02)
    lines = {}
    for regions in (("tumour",), ("core", "tumour")):
        scope = scope_of(rows, regions)
        lines[regions] = pair_sentences(
            compare_sides(side("a", rows), side("b", better), scope), scope, "tumour", "dice"
        )
    assert lines["tumour",][0].startswith(("b is", "b and a"))
    assert lines["core", "tumour"][0] == f"tumour: {lines['tumour',][0]}"
    assert [line.split(":")[0] for line in lines["core", "tumour"][2:]] == ["core"]


def test_healthy_scans_are_counted_in_words() -> None:
    first = scans({"t1": 0.5, "h1": None, "h2": None})
    second = [scans({"t1": 0.5, "h1": 0.0, "h2": 0.0}), scans({"t1": 0.5, "h1": None, "h2": 0.0})]
    pair = compare_sides(side("a", first), side("b", *second), scope_of(first))
    assert pair.healthy is not None
    said = healthy_sentences(pair, pair.healthy, "tumour")
    assert said[0] == "On 2 healthy scans a marks no tumour in 2, b in 0.5 on average over its runs."
    assert said[1].startswith("a is ahead of b by 1.5 ml of false volume on 2 healthy scans")
    none = healthy_sentences(pair, replace(pair.healthy, n=1, clean=(1.0, 0.0)), "tumour")
    assert none[0] == "On 1 healthy scan a marks no tumour in 1, b in none."


def test_the_verdict_names_who_is_better_and_mentions_luck() -> None:
    pair: Pair = compare_sides(side("a", scans(CASES)), side("b", moved(0.02)), scope_of(scans(CASES)))
    one = pair.tumour["dice"]
    sure = replace(one, found=replace(one.found, difference=0.02, ci95=(0.01, 0.03)))
    assert verdict(pair, sure) == "b"
    assert verdict(pair, replace(sure, seeds_alone=0.02)) == "b, or luck"
    assert verdict(pair, replace(sure, seeds_alone=0.019)) == "b"
    assert verdict(pair, replace(sure, kind=Kind(better="lower"))) == "a"
    assert verdict(pair, replace(sure, found=replace(sure.found, ci95=(-0.01, 0.03)))) == ""
    assert verdict(pair, replace(sure, found=replace(sure.found, ci95=(None, None)))) == ""


def test_the_scans_that_changed_most_come_first_on_either_side() -> None:
    first = scans({f"t{number:02}": 0.5 for number in range(20)})
    second = scans({f"t{number:02}": 0.5 + (number - 9) / 100 for number in range(20)})
    ground = scope_of(first).ground
    found = changes(side("a", first), side("b", second), ground, ("tumour", "dice"), [frozenset({"t00"}), frozenset()])
    worse, better = most_changed(found, "dice")
    assert [row["case"] for row in worse["rows"]] == [f"t{number:02}" for number in range(8)]
    assert (worse["more"], better["more"]) == (1, 2)
    assert [row["case"] for row in better["rows"]][:2] == ["t19", "t18"]
    assert (worse["rows"][0]["remark"], worse["rows"][0]["first"], worse["rows"][0]["second"]) == (
        "failed",
        "0.500",
        "0.410",
    )
    assert better["rows"][0]["change"] == "+0.100"
    far = changes(side("a", first), side("b", second), ground, ("tumour", "hd95_mm"), [frozenset(), frozenset()])
    assert most_changed(far, "hd95_mm")[1]["rows"][0]["case"] == "t19", "a smaller distance is better"


def test_charts_stay_within_their_paper() -> None:
    for values in ([(0.0, 1.0), (1.0, 0.0)], [(0.5, 0.5)], [(0.0, 0.0)], [(300.0, 2.5), (1e-9, 40.0)]):
        found = [Change(f"c{n}", a, b, b - a, "words") for n, (a, b) in enumerate(values)]
        mean = sum(one.gain for one in found) / len(found)
        for chart in (
            slope_chart(found, ("a" * 40, "b"), "Dice"),
            change_chart(found, (mean, mean - 0.1, mean + 0.1), "Dice"),
            change_chart(found, (mean, None, None), "Dice"),
        ):
            assert "nan" not in chart
            places = [float(y) for y in re.findall(r'\b(?:cy|y1|y2)="([-\d.]+)"', chart)]
            assert min(places) >= 0
            assert max(places) <= 340
    assert "\N{HORIZONTAL ELLIPSIS}" in slope_chart([Change("c", 0.1, 0.2, 0.1, "w")], ("a" * 40, "b"), "Dice")


@pytest.mark.parametrize(
    ("measure", "name", "unit"),
    [
        ("dice", "Dice", "share"),
        ("hd95_mm", "Hausdorff distance (95 %), mm", "mm"),
        ("volume_error_ml", "Size of the volume error, ml", "ml"),
        ("false_lesions", "Number of false lesions", "mm"),
    ],
)
def test_measures_have_names_and_units(measure: str, name: str, unit: str) -> None:
    assert (name_of(measure), unit_of(measure)) == (name, unit)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.parametrize("width", [1180, 400])
def test_in_a_browser_it_sorts_fits_and_asks_for_nothing(browser: Any, tmp_path: Path, width: int) -> None:
    sides = [side("a", scans(CASES)), side("b with a long name " * 4, moved(0.02))]
    path = tmp_path / "compare.html"
    path.write_text(compare_page("x", compared(sides, scans(CASES))), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    heads = page.locator("table.cases thead button")
    heads.nth(2).focus()
    page.keyboard.press("Enter")
    assert page.locator("table.cases tbody tr th").all_text_contents() == list(CASES)
    page.keyboard.press("Enter")
    assert page.locator("table.cases tbody tr th").all_text_contents() == list(CASES)[::-1]
    assert page.locator("table.cases th[aria-sort=descending]").count() == 1
    assert said == []
    assert asked == [path.as_uri()]
    page.close()
