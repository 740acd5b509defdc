"""The report in a real browser: it sorts, filters, opens cases in the viewer and draws them; nothing leaves the file.

One page and one browser serve all tests; after each of them nothing may have gone wrong in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from medseg.report.pixels import FALSE, MISSED, RIGHT
from medseg.report.scores import read_scores
from medseg.report.viewer.block import OTHER, PREDICTION, TRUTH
from medseg.report.wording import number
from medseg.values.volume import Array
from tests.report.tiny_run import make_run

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
SOFTWARE_GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
WIDE, NARROW = {"width": 1024, "height": 720}, {"width": 390, "height": 844}
PATIENCE_MS = 60_000
REFERENCES = Path(__file__).with_name("references")
SMALL, RING = (64, 48), 4
LINES = """(holder, name) => {
  const inner = holder.querySelector("button"), kept = inner.textContent, range = document.createRange();
  inner.textContent = name;
  range.selectNodeContents(inner);
  const tops = new Set([...range.getClientRects()].map((box) => box.top));
  inner.textContent = kept;
  return tops.size;
}"""
CLIPPED = """[...document.querySelectorAll(".viewer-controls > *")].filter((one) => one.scrollHeight > one.clientHeight)
  .map((one) => one.id)"""
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
WORDS_OF_TROUBLE = ("error", "warning")
COLUMN = """(table, heading) => {
  const place = [...table.tHead.rows[0].cells].findIndex((one) => one.textContent.trim() === heading);
  const texts = (row) => [row.cells[0], row.cells[place]].map((one) => one.textContent.trim());
  return Object.fromEntries([...table.tBodies[0].rows].map(texts));
}"""


@dataclass
class Seen:
    """The page in its browser, and everything that went wrong or left the file."""

    page: Page
    problems: list[str] = field(default_factory=list)

    @property
    def dialog(self) -> Locator:
        return self.page.locator("#viewer")

    def listen(self) -> None:
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type in WORDS_OF_TROUBLE else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda asked: None if inside(asked.url) else self.problems.append(asked.url))

    def order(self) -> list[str]:
        """Cases of the table's rows that are shown, in their order."""
        heads = self.page.locator("table.cases tbody tr:not([hidden]) th[scope=row]")
        return [text.strip() for text in heads.all_text_contents()]

    def open(self, case: str) -> None:
        button = self.page.locator(f'table.cases tr[data-case="{case}"] button').first
        button.scroll_into_view_if_needed()
        button.press("Enter")
        self.ready(case)

    def ready(self, case: str) -> None:
        self.page.wait_for_function(
            "name => document.getElementById('viewer-case').textContent === name"
            " && document.getElementById('viewer').dataset.state === 'ready'",
            arg=case,
            timeout=PATIENCE_MS,
        )

    def focused(self, case: str) -> None:
        """Wait until the row of a case has the focus, which a closing dialog gives back a moment later."""
        row = "name => document.activeElement.closest('tr')?.dataset.case === name"
        self.page.wait_for_function(row, arg=case, timeout=PATIENCE_MS)

    def drawn(self) -> Array:
        """What the viewer shows, without the ring around what has the focus: (rows, columns, 3)."""
        return still(self.page.locator("#viewer-canvas"))[RING:-RING, RING:-RING]

    def value(self) -> str:
        return self.page.locator("#viewer-value").inner_text()

    def column(self, heading: str) -> dict[str, str]:
        """Texts of a column of the table, by case."""
        texts: dict[str, str] = self.page.locator("table.cases").evaluate(COLUMN, heading)
        return texts

    def shown(self) -> str:
        return self.page.locator("#shown").inner_text()


def told(value: float | str | None, unit: str) -> str:
    """How the table writes a cell of scores.csv."""
    return number(None if value is None else float(value), unit)


def inside(address: str) -> bool:
    return address.startswith(("file:", "data:", "blob:"))


def still(part: Locator) -> Array:
    """Return a picture of a part of the page, taken until two are the same.

    While the page still scrolls, a picture is cut out beside it.
    """
    before, now = b"", part.screenshot()
    while before != now:
        before, now = now, part.screenshot()
    return pixels(now)


def pixels(content: bytes) -> Array:
    with Image.open(BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"), np.int32)


def tinted(drawn: Array, colour: tuple[int, int, int]) -> int:
    """Count pixels that are a grey with 60 % of a colour on it."""
    rest = drawn - np.rint(0.6 * np.asarray(colour)).astype(np.int32)
    return int(np.count_nonzero((np.ptp(rest, axis=2) <= 8) & (rest.min(axis=2) >= -4) & (rest.max(axis=2) <= 106)))


def coloured(drawn: Array) -> int:
    return int(np.count_nonzero(np.ptp(drawn, axis=2) > 40))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of tumour scans (good to missed), a healthy scan, one with a false alarm, and a failed one."""
    return make_run(tmp_path_factory.mktemp("report")) / "report" / "report.html"


@pytest.fixture(scope="module")
def opened(report: Path) -> Iterator[Seen]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=[*SOFTWARE_GL])
        page = browser.new_page(viewport=WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE_MS)
        seen = Seen(page)
        seen.listen()
        page.goto(report.as_uri())
        yield seen
        browser.close()


@pytest.fixture
def seen(opened: Seen) -> Iterator[Seen]:
    """The page wide, light, on screen, of all scans, without dialog; afterwards nothing may have gone wrong."""
    page = opened.page
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.emulate_media(media="screen", color_scheme="light")
    page.evaluate("document.getElementById('viewer').close()")
    page.evaluate("document.getElementById('all').click()")
    page.locator("#region").select_option("tumour")
    yield opened
    assert opened.problems == []


def test_the_page_opens_with_all_its_pictures(seen: Seen) -> None:
    assert seen.page.locator("h1").count() == 1
    images = seen.page.locator("img")
    assert images.count() >= 8
    for one in images.all():
        one.scroll_into_view_if_needed()
        assert one.evaluate("async image => { await image.decode(); return image.naturalWidth; }") > 0
        assert one.get_attribute("alt")


def test_the_table_sorts_by_any_column_and_back(seen: Seen) -> None:
    head = seen.page.locator("table.cases thead th", has_text="Dice").first
    column = head.evaluate("head => head.cellIndex")

    def values() -> list[float]:
        cells = seen.page.locator(f"table.cases tbody tr > :nth-child({column + 1})").all()
        return [float(text) for text in (one.get_attribute("data-sort") for one in cells) if text]

    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(values())
    assert len(values()) > 2
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert values() == sorted(values(), reverse=True)


def test_words_filter_the_table_and_all_come_back(seen: Seen) -> None:
    everything = seen.order()
    seen.page.locator("#words").fill("ALARM")
    assert seen.order() == ["alarm"]
    assert seen.page.locator("#shown").inner_text() == f"1 of {len(everything)} scans"
    seen.page.locator("#all").click()
    assert seen.order() == everything
    assert seen.page.evaluate("document.activeElement.id") == "words"


@pytest.mark.parametrize(
    ("part", "cases"),
    [("badly", {"poor", "gone", "alarm"}), ("failed", {"gone"}), ("alarm", {"alarm"})],
)
def test_each_part_shows_its_scans(seen: Seen, part: str, cases: set[str]) -> None:
    label = seen.page.locator(f"label[for=part-{part}]")
    label.click()
    assert set(seen.order()) == cases
    assert label.inner_text().endswith(f" {len(cases)}")
    assert seen.shown() == f"{len(cases)} of 6 scans"
    seen.page.locator("label[for=part-all]").click()
    assert seen.shown() == "6 scans"


def test_a_cohort_shows_its_scans_and_next_stays_within_it(seen: Seen) -> None:
    seen.page.locator("#cohort").select_option(label="healthy")
    assert set(seen.order()) == {"clean", "alarm"}
    seen.open(seen.order()[0])
    assert seen.page.locator("#viewer-place").inner_text() == "1 of 2"
    seen.page.keyboard.press("Escape")
    seen.page.locator("#cohort").select_option(label="tumour")
    assert set(seen.order()) == {"good", "fair", "poor", "gone"}


def test_part_cohort_and_words_hold_together_and_all_come_back(seen: Seen) -> None:
    everything = seen.order()
    seen.page.locator("label[for=part-badly]").click()
    seen.page.locator("#cohort").select_option(label="tumour")
    assert set(seen.order()) == {"poor", "gone"}
    seen.page.locator("#words").fill("misplaced")
    assert seen.order() == ["poor"]
    seen.page.locator("#cohort").select_option(label="healthy")
    assert seen.order() == []
    assert seen.shown() == "0 of 6 scans"
    seen.page.locator("#all").click()
    assert seen.order() == everything
    assert seen.page.locator("#part-all").is_checked()
    assert seen.page.locator("#cohort").input_value() == ""


def test_another_region_shows_its_measures_sorted_anew(seen: Seen, report: Path) -> None:
    kept = {(row["case"], row["region"]): row for row in read_scores(report.with_name("scores.csv"))}
    before = seen.column("NSD"), seen.column("Dice core")
    head = seen.page.locator("table.cases thead th", has_text="truth, ml")
    head.locator("button").click()
    for region, title in (("core", "core"), ("healthy", "healthy tissue")):
        seen.page.locator("#region").select_option(label=title)
        assert seen.page.locator("#measured-region").inner_text() == title
        for heading, measure, unit in (("NSD", "nsd", "share"), ("truth, ml", "volume_truth_ml", "ml")):
            wanted = {case: told(kept[case, region][measure], unit) for case in seen.order()}
            assert seen.column(heading) == wanted
        volumes = [float(seen.column("truth, ml")[case]) for case in seen.order()]
        assert volumes == sorted(volumes)
    assert len(set(volumes)) > 1
    seen.page.locator("#region").select_option(label="tumour")
    assert (seen.column("NSD"), seen.column("Dice core")) == before


def test_a_page_that_is_come_back_to_shows_what_its_controls_say(seen: Seen) -> None:
    tumour, everything = seen.column("NSD"), set(seen.order())
    seen.page.locator("#viewer-region").evaluate("one => { one.value = one.length - 1; }")
    seen.page.locator("#region").select_option(label="core")
    seen.page.locator("#cohort").select_option(label="healthy")
    assert seen.column("NSD") != tumour
    seen.page.goto("about:blank")
    seen.page.go_back()
    controls = [seen.page.locator(name).input_value() for name in ("#region", "#cohort", "#words")]
    assert controls == ["tumour", "", ""]
    assert seen.column("NSD") == tumour
    assert set(seen.order()) == everything
    seen.open("poor")
    chosen = seen.page.locator("#viewer-region").evaluate("one => one.selectedOptions[0].textContent")
    told = seen.page.locator("#viewer-legend-difference li").count()
    assert (told == 4) == (chosen == "every label")
    seen.page.locator("#viewer-region").select_option(label="tumour")


def test_a_case_opens_from_the_keyboard_and_closing_leads_back(seen: Seen) -> None:
    seen.open("poor")
    assert seen.dialog.is_visible()
    seen.page.keyboard.press("Escape")
    assert not seen.dialog.is_visible()
    seen.focused("poor")


def test_a_click_on_a_row_opens_it_and_a_failed_case_cannot_be_opened(seen: Seen) -> None:
    seen.page.locator('table.cases tr[data-case="fair"] td').last.click()
    seen.ready("fair")
    assert "gone" in seen.order()
    assert seen.page.locator('tr[data-case="gone"]').count() == 0
    assert seen.page.evaluate("openCase('gone')") is False


def test_the_viewer_draws_the_scan_with_right_missed_and_false_in_their_colours(seen: Seen) -> None:
    seen.open("poor")
    drawn = seen.drawn()
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 100
    for colour in (RIGHT, MISSED, FALSE):
        assert tinted(drawn, colour) > 500
    seen.page.keyboard.press("0")
    assert coloured(seen.drawn()) == 0
    seen.page.keyboard.press("0")
    np.testing.assert_array_equal(seen.drawn(), drawn)


def test_closed_and_opened_again_it_draws_the_same_in_another_window_too(seen: Seen) -> None:
    """A closed dialog has no size, and what is drawn into that is complained of."""
    seen.open("poor")
    drawn = seen.drawn()
    seen.page.keyboard.press("Escape")
    seen.page.evaluate(TWO_FRAMES)
    seen.open("poor")
    np.testing.assert_array_equal(seen.drawn(), drawn)
    seen.page.keyboard.press("Escape")
    seen.page.set_viewport_size({"width": 900, "height": 640})
    seen.page.evaluate(TWO_FRAMES)
    seen.open("poor")
    seen.page.evaluate(TWO_FRAMES)
    sizes = seen.page.locator("#viewer-canvas").evaluate(
        "one => [one.width, one.height, one.offsetWidth, one.offsetHeight]"
    )
    assert sizes[:2] == sizes[2:]
    assert seen.drawn().shape != drawn.shape


def test_truth_and_prediction_are_layers_of_their_own(seen: Seen) -> None:
    seen.open("poor")
    for key, colour, other in (("2", TRUTH, PREDICTION), ("3", PREDICTION, TRUTH)):
        seen.page.keyboard.press("1")
        seen.page.keyboard.press(key)
        drawn = seen.drawn()
        assert tinted(drawn, colour) > 500
        assert tinted(drawn, other) == 0
        seen.page.keyboard.press(key)
        seen.page.keyboard.press("1")


def test_label_by_label_it_shows_where_one_label_stands_for_another(seen: Seen) -> None:
    seen.open("poor")
    assert tinted(seen.drawn(), OTHER) == 0
    assert seen.page.locator("#viewer-legend-difference li").count() == 3
    seen.page.locator("#viewer-region").select_option(label="every label")
    assert tinted(seen.drawn(), OTHER) > 100
    assert seen.page.locator("#viewer-legend-difference li").count() == 4
    assert seen.page.locator("#viewer-legend-truth li").all_inner_texts() == ["core", "rim"]
    seen.page.locator("#viewer-region").select_option(label="tumour")


def test_it_starts_at_the_mistake_and_says_what_is_there(seen: Seen) -> None:
    seen.open("alarm")
    assert "truth: none" in seen.value()
    assert "prediction: core" in seen.value()
    assert "mm" in seen.value()
    assert tinted(seen.drawn(), FALSE) > 500
    assert tinted(seen.drawn(), MISSED) == 0


def test_arrows_move_through_the_slices_by_one_voxel(seen: Seen) -> None:
    def place() -> list[float]:
        return [float(number) for number in seen.value().split(" mm")[0].split(",")]

    seen.open("good")
    start = place()
    for key, step in (("ArrowUp", (0, 0, 2)), ("ArrowLeft", (1, 0, 0)), ("Shift+ArrowDown", (0, -1, 0))):
        seen.page.keyboard.press(key)
        assert np.subtract(place(), start).tolist() == pytest.approx(step, abs=0.11)
        start = place()
    seen.page.locator("#viewer-canvas").focus()
    seen.page.keyboard.press("ArrowDown")
    assert np.subtract(place(), start).tolist() == pytest.approx((0, 0, -2), abs=0.11), (
        "only once, with focus or without"
    )


def test_voxels_lie_at_their_place_in_the_world(seen: Seen) -> None:
    """The healthy scan's false block is voxels 2 and 3 of each axis: its middle lies there in mm, to half a voxel."""
    seen.open("alarm")
    place = [float(number) for number in seen.value().split(" mm")[0].split(",")]
    np.testing.assert_allclose(place, [2.5, 2.5, 5.0], atol=1.1)


def test_next_and_previous_follow_the_table_as_it_is_sorted(seen: Seen) -> None:
    seen.page.locator("table.cases thead th button").first.click()
    listed = [case for case in seen.order() if case != "gone"]
    seen.open(listed[0])
    assert seen.page.locator("#viewer-previous").is_disabled()
    for case in listed[1:]:
        seen.page.keyboard.press("n")
        seen.ready(case)
    assert seen.page.locator("#viewer-next").is_disabled()
    seen.page.keyboard.press("p")
    seen.ready(listed[-2])
    seen.page.keyboard.press("Escape")
    seen.focused(listed[-2])


def test_each_view_shows_something_else_and_the_window_changes_the_grey(seen: Seen) -> None:
    seen.open("fair")
    pictures = []
    for name in ("axial", "coronal", "sagittal", "space", "both", "planes"):
        seen.page.locator("#viewer-layout").select_option(name)
        pictures.append(seen.drawn())
    for first, second in pairwise(pictures):
        assert np.abs(first - second).mean() > 1
    brightness = pictures[-1].mean()
    seen.page.locator("#viewer-dark").evaluate("one => { one.value = 120; one.dispatchEvent(new Event('input')); }")
    assert seen.drawn().mean() < brightness - 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_asked_for(seen: Seen, scheme: str) -> None:
    seen.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    paper = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = np.mean([int(value) for value in paper[4:-1].split(",")])
    assert shade > 200 if scheme == "light" else shade < 60


def test_it_prints_without_what_only_a_screen_can_do(seen: Seen) -> None:
    seen.open("good")
    seen.page.emulate_media(media="print")
    assert not seen.dialog.is_visible()
    assert not seen.page.locator("nav").is_visible()
    assert seen.page.locator("table.cases").is_visible()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_wider_than_its_window(seen: Seen, size: dict[str, int]) -> None:
    seen.page.set_viewport_size(size)  # type: ignore[arg-type]
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    seen.open("fair")
    box = seen.dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size["width"]
    assert seen.page.evaluate("document.getElementById('viewer').scrollWidth") <= box["width"]
    assert seen.page.evaluate(CLIPPED) == [], "controls scroll, and none of them gives way"
    for name in ("viewer-close", "viewer-canvas", "viewer-layout"):
        assert seen.page.locator(f"#{name}").is_visible()


def test_a_name_of_usual_length_is_not_broken_where_scans_did_badly(seen: Seen) -> None:
    holder = seen.page.locator("table.badly tbody th[data-open]").first
    assert holder.evaluate(LINES, "hippocampus_006") == 1
    assert holder.evaluate(LINES, "hippocampus_006_" * 12) > 1


def test_everything_in_the_viewer_can_be_reached_by_keyboard(seen: Seen) -> None:
    seen.open("fair")
    controls = seen.dialog.locator("button:enabled, input:enabled, select, summary").all()
    wanted = {one.get_attribute("id") or "" for one in controls if one.is_visible()}
    reached = set()
    for _ in range(2 * len(controls) + 6):
        seen.page.keyboard.press("Tab")
        reached.add(seen.page.evaluate("document.activeElement.id"))
    assert wanted <= reached


def test_without_webgl_a_line_says_why_and_the_pictures_remain(opened: Seen, report: Path) -> None:
    browser = opened.page.context.browser
    assert browser is not None
    page = browser.new_page(viewport=WIDE)  # type: ignore[arg-type]
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind === 'webgl2' ? null : get.call(this, kind, ...rest); };"
    )
    page.goto(report.as_uri())
    assert page.evaluate("openCase('good')") is False
    said = page.locator("#viewer-message").inner_text()
    assert "this browser has no WebGL 2" in said
    assert "pictures of the page remain" in said
    page.locator("#viewer-close").click()
    assert page.locator("img").first.is_visible()
    page.close()


@pytest.mark.parametrize("name", ["gallery", "viewer"])
def test_it_looks_as_it_did(seen: Seen, name: str, tmp_path: Path) -> None:
    """A picture of the gallery and the viewer, made small so that edges and letters weigh little, as kept beside this.

    Where the change is meant: look at the picture that the failure names, and keep it instead.
    """
    if name == "viewer":
        seen.open("poor")
        shown = seen.drawn()
    else:
        picture = seen.page.locator("figure.example img").nth(3)
        picture.scroll_into_view_if_needed()
        shown = still(picture)[4:-4, 4:-4]  # where its edge falls between pixels is the page's affair
    small = Image.fromarray(shown.astype(np.uint8)).resize(SMALL, Image.Resampling.BOX)
    small.save(tmp_path / f"{name}.png")
    with Image.open(REFERENCES / f"report_{name}.png") as kept:
        difference = np.abs(np.asarray(small, np.int32) - np.asarray(kept.convert("RGB"), np.int32))
    assert difference.mean() < 4, f"look at {tmp_path / name}.png"
    assert np.percentile(difference, 98) < 40, f"look at {tmp_path / name}.png"
