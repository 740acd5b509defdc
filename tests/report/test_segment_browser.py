"""The contact sheet in a real browser: it is driven in two frames, wide and narrow, and tells what it then shows."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from medseg.report.segment_page import segment_page
from tests.report.html_page import NASTY
from tests.report.segmented_scans import empty, failed, picture, scan, unlike

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")

DRIVER = """
const found = {};
const look = (name) => {
  const frame = document.getElementById(name), page = frame.contentDocument, view = frame.contentWindow;
  const heads = () => [...page.querySelectorAll("#queue > li:not([hidden]) h3 span:last-child")];
  const cards = () => heads().map((one) => one.textContent);
  const change = (id, value) => {
    const box = page.getElementById(id);
    box.value = value;
    box.dispatchEvent(new view.Event(id === "words" ? "input" : "change"));
  };
  const result = { start: cards(), counts: {}, orders: {} };
  [result.wide, result.room] = [page.documentElement.scrollWidth, view.innerWidth];
  for (const part of ["look", "failed", "guard", "empty", "all"]) {
    page.getElementById(`part-${part}`).click();
    result.counts[part] = cards();
    result.shown = result.shown ?? page.getElementById("shown").textContent;
  }
  for (const order of ["name", "dice", "volume", "worst"]) {
    change("order", order);
    result.orders[order] = cards();
  }
  change("words", "UNLIKE scan_2");
  result.searched = cards();
  result.offered = !page.getElementById("all").hidden;
  page.getElementById("all").click();
  result.all = cards();
  result.focused = page.activeElement.id;
  const controls = page.querySelectorAll("input:not([disabled]), select, summary, #filter button");
  result.unreachable = [...controls].filter((one) => {
    one.hidden = false;
    one.focus();
    return page.activeElement !== one;
  }).map((one) => one.outerHTML);
  result.pictures = [...page.images].map((one) => one.naturalWidth);
  result.broken = view.broken;
  found[name] = result;
};
addEventListener("load", async () => {
  for (const name of ["wide", "narrow"]) {
    await Promise.all([...document.getElementById(name).contentDocument.images].map((one) => {
      one.loading = "eager";
      return one.decode();
    }));
    look(name);
  }
  document.getElementById("found").textContent = JSON.stringify(found);
  document.title = "done";
});
"""
WATCH = """<script>
broken = [];
addEventListener("error", (event) => broken.push(event.message));
addEventListener("securitypolicyviolation", (event) => broken.push(event.violatedDirective));
</script>"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page shows after every choice, in a wide and in a narrow frame."""
    folder = tmp_path_factory.mktemp("browser")
    small = picture()
    scans = [scan(f"scan_{number}", 0.7 + number / 100, picture=small, volume_ml={"tumour": float(number)})
             for number in range(1, 13)]  # fmt: skip
    page = segment_page(
        "Sheet", [*scans, unlike("unlike scan_2", 0.5), failed("broken"), empty("nothing"), scan(NASTY)], {}
    )
    page = page.replace("<style>", f"{WATCH}<style>", 1)
    frames = "".join(
        f'<iframe id="{name}" width="{width}" height="900" srcdoc="{html.escape(page)}"></iframe>'
        for name, width in (("wide", 1180), ("narrow", 420))
    )
    driven = folder / "driven.html"
    driven.write_text(f'<!doctype html><pre id="found"></pre>{frames}<script>{DRIVER}</script>', encoding="utf-8")
    told = ""
    for seconds in (20, 200, 2000):  # of the browser's own time, in which pictures are unpacked beside a busy machine
        command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-background-networking", f"--virtual-time-budget={seconds}000",
                   f"--user-data-dir={folder}/profile{seconds}", "--dump-dom", driven.as_uri()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        text = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
        assert text, done.stderr[-2000:]
        told = text[1]
        if told:
            break
    result: dict[str, Any] = json.loads(html.unescape(told))
    return result


@pytest.fixture(params=["wide", "narrow"])
def shown(request: pytest.FixtureRequest, found: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = found[request.param]
    return result


def test_nothing_is_fetched_and_nothing_fails(shown: dict[str, Any]) -> None:
    assert shown["broken"] == []
    assert shown["pictures"] == [488] * 12


def test_it_fits_its_window(shown: dict[str, Any]) -> None:
    assert shown["wide"] <= shown["room"]


def test_the_worst_come_first_until_another_order_is_asked_for(shown: dict[str, Any]) -> None:
    assert shown["start"][:2] == ["broken", "unlike scan_2"]
    assert shown["start"][-1] == "nothing"
    assert shown["orders"]["worst"] == shown["start"]
    by_name = [one for one in shown["orders"]["name"] if one.startswith("scan_")]
    assert by_name == [f"scan_{number}" for number in range(1, 13)], "numbers count as numbers"
    assert shown["orders"]["dice"][:3] == ["unlike scan_2", "scan_1", "scan_2"]
    assert set(shown["orders"]["dice"][-2:]) == {"broken", "nothing"}
    by_volume = [one for one in shown["orders"]["volume"] if one.startswith("scan_")]
    assert by_volume[:2] == ["scan_12", "scan_11"]
    assert shown["orders"]["volume"][-1] == "broken"


def test_filters_show_their_part(shown: dict[str, Any]) -> None:
    assert shown["counts"]["look"] == ["unlike scan_2"]
    assert shown["counts"]["failed"] == ["broken"]
    assert shown["counts"]["guard"] == ["unlike scan_2"]
    assert shown["counts"]["empty"] == ["nothing"]
    assert shown["counts"]["all"] == shown["start"]
    assert shown["shown"] == "1 of 16 scans"


def test_scans_are_found_by_words_and_all_come_back(shown: dict[str, Any]) -> None:
    assert shown["searched"] == ["unlike scan_2"]
    assert shown["offered"]
    assert shown["all"] == shown["start"]
    assert shown["focused"] == "words"


def test_everything_can_be_reached_by_keyboard(shown: dict[str, Any]) -> None:
    assert shown["unreachable"] == []


def test_hostile_names_are_shown_as_they_are(shown: dict[str, Any]) -> None:
    assert NASTY in shown["start"]
