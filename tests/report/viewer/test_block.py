from __future__ import annotations

import json
import re
from base64 import b64decode

import numpy as np

from medseg.report.pictured import Pictured
from medseg.report.viewer.asset import packed_script
from medseg.report.viewer.block import viewer_block
from medseg.report.viewer.layers import CaseLayers, make_layers
from medseg.values.labels import LabelScheme
from tests.report.html_page import NASTY, Page

ONE = LabelScheme({"tumour": 1}, {"tumour": (1,)}, "tumour")
TWO = LabelScheme({"core": 1, NASTY: 2}, {"core": (1,), "whole": (1, 2)}, "whole")


def layers(case: str) -> CaseLayers:
    image = np.random.default_rng(0).normal(size=(9, 8, 7)).astype(np.float32)
    mask = (image > 1).astype(np.uint8)
    return make_layers(case, Pictured(image, mask, mask, (1.0, 1.0, 1.0)), (1,), 50_000)


def scripts(text: str) -> list[tuple[str, str]]:
    return re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)


def test_a_page_without_cases_carries_no_viewer() -> None:
    assert viewer_block([], ONE) == ""


def test_the_viewer_is_in_the_page_once_and_every_case_once() -> None:
    text = viewer_block([layers("a"), layers("b")], ONE)
    bodies = dict(scripts(text))
    assert b64decode(bodies[' type="application/octet-stream" id="viewer-script"']) == packed_script()
    cases = [json.loads(body)["case"] for head, body in bodies.items() if "data-layers" in head]
    assert cases == ["a", "b"]


def test_names_from_strangers_are_data() -> None:
    text = viewer_block([layers(NASTY)], TWO)
    page = Page(text)
    assert page.open == []
    (own,) = [one for one in page.all("script") if "data-layers" in one]
    assert own["data-layers"] == NASTY
    records = [json.loads(body) for head, body in scripts(text) if "application/json" in head]
    assert records[0]["labels"][1]["name"] == NASTY
    assert records[1]["case"] == NASTY
    assert not page.all("img")
    assert not [name for _, own in page.elements for name in own if name.startswith("on")]


def test_what_can_be_looked_at_is_the_tumour_first_and_each_label_last() -> None:
    (settings,) = [json.loads(body) for head, body in scripts(viewer_block([layers("a")], TWO)) if "settings" in head]
    assert [region["name"] for region in settings["regions"]] == ["whole", "core", "every label"]
    assert [region["members"] for region in settings["regions"]] == [[1, 2], [1], None]
    (single,) = [json.loads(body) for head, body in scripts(viewer_block([layers("a")], ONE)) if "settings" in head]
    assert [region["name"] for region in single["regions"]] == ["tumour"]


def test_every_part_that_can_be_used_says_what_it_is() -> None:
    page = Page(viewer_block([layers("a")], TWO))
    labelled = {own["for"] for own in page.all("label") if "for" in own}
    for tag in ("input", "select"):
        for own in page.all(tag):
            assert own["id"] in labelled or "aria-label" in own or own["type"] == "checkbox"
    (dialog,) = page.all("dialog")
    assert dialog["aria-labelledby"] == "viewer-case"


def test_the_same_cases_give_the_same_text() -> None:
    assert viewer_block([layers("a")], TWO) == viewer_block([layers("a")], TWO)
