"""The viewer of a notebook in a real browser: it draws, it asks nobody for anything, and it stays in its frame."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medseg.report.notebook.shown import table
from medseg.report.notebook.viewing import view_case, view_scan
from medseg.report.pictured import Pictured
from medseg.values.labels import LabelScheme
from medseg.values.volume import Volume

CHROMIUM = shutil.which("chromium")
SCHEME = LabelScheme({"core": 1, "rim": 2}, {"tumour": (1, 2)}, "tumour")
NAME = "</script><b>a&'\"b"


def pictured() -> Pictured:
    places = np.indices((24, 20, 16))
    image = (((places - np.array([12, 10, 8]).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) < 60).astype(np.float32) * 100
    truth, predicted = np.zeros((2, 24, 20, 16), np.uint8)
    truth[10:15, 8:13, 6:10], truth[11:13, 9:11, 7:9] = 2, 1
    predicted[12:17, 8:13, 6:10] = 2
    return Pictured(image, truth, predicted, (1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("the viewer is tested in chromium, which is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        with started.chromium.launch(executable_path=CHROMIUM, args=options) as opened:
            yield opened


def opened(browser: Any, html: str, folder: Path) -> tuple[Any, list[str]]:
    """Show a piece as a notebook does; return its frame when it has drawn, and all complaints and requests."""
    page, heard = browser.new_page(viewport={"width": 1000, "height": 700}), []
    page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda asked: heard.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    path = folder / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>notebook</title>{html}", encoding="utf-8")
    page.goto(path.as_uri())
    frame = page.frames[1]
    frame.wait_for_selector("#viewer[data-state=ready]", timeout=60_000)
    return frame, [text for text in heard if text != "about:srcdoc"]


def colours(frame: Any) -> int:
    """Count the different colours that the canvas shows."""
    from io import BytesIO

    from PIL import Image

    shot = Image.open(BytesIO(frame.locator("#viewer-canvas").screenshot())).convert("RGB")
    return len(shot.getcolors(1 << 24) or [])


def test_a_judged_case_is_drawn_with_its_layers(browser: Any, tmp_path: Path) -> None:
    frame, heard = opened(browser, view_case(NAME, pictured(), SCHEME, 560).html, tmp_path)
    assert heard == []
    assert frame.locator("#viewer-case").inner_text() == NAME
    assert colours(frame) > 20
    assert frame.locator("#viewer-difference").is_visible()
    frame.page.keyboard.press("Escape")
    assert frame.locator("#viewer").is_visible()


def test_a_scan_is_drawn_with_its_mask_alone(browser: Any, tmp_path: Path) -> None:
    scan = pictured()
    image = Volume(np.asarray(scan.image)[None], scan.world)
    frame, heard = opened(browser, view_scan("scan_1", image, scan.truth, SCHEME, 560).html, tmp_path)
    assert heard == []
    assert colours(frame) > 20
    assert frame.locator("#viewer-truth").is_visible()
    assert not frame.locator("#viewer-difference").is_visible()
    assert frame.locator("#viewer-legend-truth").inner_text().split() == ["core", "rim"]
    value = frame.locator("#viewer-value").inner_text()
    assert "truth: " in value
    assert "prediction" not in value, "there is none"


def test_columns_of_a_table_are_set_as_they_are_meant_within_jupyter(browser: Any, tmp_path: Path) -> None:
    """JupyterLab sets every cell of an output to the right, by a rule of two classes."""
    rule = ":not(.jp-RenderedMarkdown).jp-RenderedHTMLCommon :is(td, th, tr) { text-align: right; }"
    piece = table(("what", "value"), [("region", 5)], numbers=(1,)).html
    path = tmp_path / "piece.html"
    path.write_text(f'<!doctype html><style>{rule}</style><div class="jp-RenderedHTMLCommon">{piece}</div>')
    page = browser.new_page()
    page.goto(path.as_uri())
    cells = "[...document.querySelectorAll('th, td')].map((one) => getComputedStyle(one).textAlign)"
    assert page.evaluate(cells) == ["left", "right"] * 2
    page.close()


def test_the_same_case_gives_the_same_html() -> None:
    html = view_case("a", pictured(), SCHEME, 560).html
    assert html == view_case("a", pictured(), SCHEME, 560).html
    assert html.count("<iframe") == 1
