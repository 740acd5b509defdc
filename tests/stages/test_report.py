from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from medseg.files.nifti.writing import write_mask
from medseg.files.records import read_scheme, write_record
from medseg.files.scans import read_mask
from medseg.report.scores import read_scores
from medseg.report.settings import ReportSettings
from medseg.report.wording import number
from medseg.stages.report import run
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.volume import Volume
from tests.report.tiny_run import CASES, Tiny, make_inputs

ODD = 'a <b>& "c"'
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """What a browser would see: elements with attributes, text per section, table cells, unclosed tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.cells: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and tag not in ("line", "rect", "polyline"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data.strip())
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def make_report(folder: Path, cases: Sequence[Tiny] = CASES, region: str = "tumour", **settings: object) -> Path:
    return write(make_inputs(folder / "in", cases, region), folder / "out", **settings)


def write(inputs: Mapping[str, Path], out: Path, **settings: object) -> Path:
    out.mkdir()
    run(ReportSettings.model_validate(settings), inputs, out, Machine())
    return out


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(tmp_path_factory.mktemp("report"), (*CASES, Tiny(ODD, shift=2)))


@pytest.fixture(scope="module")
def page(report: Path) -> Page:
    return Page((report / "report.html").read_text(encoding="utf-8"))


def test_the_page_needs_nothing_from_outside(page: Page, report: Path) -> None:
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            assert not re.match(r"(https?:)?//", attributes.get(name) or "")
    assert not re.search(r"@import|url\(", (report / "report.html").read_text(encoding="utf-8"))
    assert not [tag for tag, _ in page.elements if tag in ("link", "iframe", "object")]


def test_the_page_is_well_formed_and_every_picture_has_a_text(page: Page) -> None:
    assert page.open == []
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(pictures) == 6 * 5
    assert all(picture["alt"] and str(picture["src"]).startswith("data:image/webp;base64,") for picture in pictures)
    assert all(attributes.get("aria-label") for tag, attributes in page.elements if tag == "svg")
    assert sum(tag == "h1" for tag, _ in page.elements) == 1
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    targets = [str(attributes["href"])[1:] for tag, attributes in page.elements if tag == "a"]
    assert len(ids) == len(set(ids))
    assert set(targets) <= set(ids)


def test_the_tables_hold_the_numbers_of_the_scores(page: Page, report: Path) -> None:
    rows = read_scores(report / "scores.csv")
    summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    dice = summary["cohorts"]["tumour"]["dice"]
    expected = [row["dice"] for row in rows if row["region"] == "tumour" and row["cohort"] == "tumour"]
    assert dice["n"] == len(expected) == 5
    assert dice["mean"] == pytest.approx(sum(float(d or 0) for d in expected) / 5)
    assert number(dice["mean"]) in page.cells
    assert summary["answer"] in page.text
    assert "1 of 2 (50 %)" in page.cells
    for row in rows:
        if row["region"] == "tumour" and isinstance(row["dice"], float):
            assert number(row["dice"]) in page.cells


def test_the_charts_have_one_dot_per_case(page: Page, report: Path) -> None:
    rows = read_scores(report / "scores.csv")
    defined = [r for r in rows if r["region"] in ("core", "rim", "tumour") and r["dice"] is not None]
    assert sum(tag == "circle" and a["class"] == "dot" for tag, a in page.elements) == len(defined) == 17


def test_odd_names_are_escaped(page: Page, report: Path) -> None:
    html = (report / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in html
    assert ODD in page.cells
    assert (report / "cases" / f"{ODD}.png").is_file()


def test_failed_and_refused_scans_are_listed_with_reasons(page: Page, report: Path) -> None:
    summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    assert summary["failed"] == [{"case": "gone", "reason": "out of memory"}]
    assert "out of memory" in page.cells
    assert {"torn", "the mask has the shape of the image", "(3, 4, 5)", "mend it"} <= set(page.cells)
    assert not (report / "cases" / "gone.png").exists()
    gone = [row for row in read_scores(report / "scores.csv") if row["case"] == "gone" and row["region"] == "tumour"]
    assert [row["dice"] for row in gone] == [0.0]


def test_every_predicted_case_has_a_picture(report: Path) -> None:
    for case in ("good", "fair", "poor", "clean", "alarm"):
        with Image.open(report / "cases" / f"{case}.png") as picture:
            assert picture.width * 3 == pytest.approx(picture.height * 4, rel=0.02)


def test_examples_go_from_worst_to_best_and_show_the_false_alarm(page: Page) -> None:
    order = [
        page.text.index(words) for words in ("The 2 worst scans", "The median scan", "The best scan", "False alarms on")
    ]
    assert order == sorted(order)
    assert [a["alt"] for t, a in page.elements if t == "img" and "image of alarm" in str(a["alt"])]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "in", CASES)
    first = write(inputs, tmp_path / "first")
    second = write(dict(reversed(inputs.items())), tmp_path / "second")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 3 + 5
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_an_organ_without_healthy_scans_is_called_by_its_name(tmp_path: Path) -> None:
    out = make_report(tmp_path, (Tiny("one", shift=1), Tiny("two", shift=0)), "hippocampus", title="My <title>")
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    assert "no healthy scans in the held-out set" in page.text
    assert "tumour" not in page.text.lower()
    assert "My <title>" in page.text
    assert "Healthy scans without" not in page.text
    assert "False alarms" not in page.text


def test_a_set_of_healthy_scans_alone_is_reported(tmp_path: Path) -> None:
    cases = (Tiny("clean", tumour=False, shift=0), Tiny("alarm", tumour=False, shift=1))
    page = Page((make_report(tmp_path, cases) / "report.html").read_text(encoding="utf-8"))
    assert "The held-out set has no scan with tumour; on 2 healthy scans it marked nothing in 1" in page.text
    assert "no case has a Dice here" in page.text


def test_a_case_without_scores_counts_as_nought_and_is_listed(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "in", (Tiny("one", shift=0), Tiny("two", shift=0)))
    out = write({name: path for name, path in inputs.items() if name != "scores/two"}, tmp_path / "out")
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["cohorts"]["tumour"]["dice"]["mean"] == 0.5
    assert summary["failed"] == [{"case": "two", "reason": "the case was not scored"}]


def test_curve_plan_and_index_may_be_absent(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "in", (Tiny("one"),))
    out = write({k: v for k, v in inputs.items() if k not in ("curve", "plan", "index")}, tmp_path / "out", examples=0)
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    assert "Training loss" not in page.text
    assert not [tag for tag, _ in page.elements if tag == "img"]


def test_a_prediction_of_another_shape_is_refused(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "in", (Tiny("one"),))
    path = inputs["predictions/one"] / "prediction.nii.gz"
    mask = read_mask(path)
    write_mask(path, Volume(mask.voxels[:, :-1], mask.affine))
    with pytest.raises(Refusal, match=r"one: the prediction has the scan's shape \(14, 12, 10\), got \(13, 12, 10\)"):
        write(inputs, tmp_path / "out")


def test_a_scan_without_annotation_of_the_tumour_is_shown_and_counts_as_neither(tmp_path: Path) -> None:
    cases = (*CASES, Tiny("partial", shift=2, annotated=("rim",)), Tiny("hidden", shift=None, annotated=("core",)))
    out = make_report(tmp_path, cases)
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert [summary["cohorts"][name]["n"] for name in ("tumour", "healthy", "unknown")] == [4, 2, 2]
    assert summary["regions"]["rim"]["dice"]["n"] == 6 - 1
    assert summary["answer"].endswith(" In 2 further scans nobody annotated tumour.")
    assert summary["answer"] in page.text
    assert "In 2 scans tumour was not annotated: they are in neither cohort." in page.text
    assert "Undefined, because both truth and prediction are empty: 1 for tumour, 1 for core, 2 for rim." in page.text
    assert "Undefined, because nobody annotated it in that scan: 2 for tumour, 1 for core, 1 for rim." in page.text
    assert {"unknown", "tumour not annotated", "failed, tumour not annotated", "failed"} <= set(page.cells)
    assert not any(str(attributes.get("alt")).endswith("of partial") for _, attributes in page.elements)
    with Image.open(out / "cases" / "partial.png") as shown, Image.open(out / "cases" / "poor.png") as whole:
        assert shown.height == whole.height
        assert shown.width * 2 == pytest.approx(whole.width, rel=0.02)


def test_a_case_that_was_not_scored_is_not_judged_where_nobody_annotated(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path / "in", (*CASES, Tiny("partial", annotated=("rim",))))
    del inputs["scores/partial"]
    rows = [row for row in read_scores(write(inputs, tmp_path / "out") / "scores.csv") if row["case"] == "partial"]
    assert {row["region"]: row["dice"] for row in rows} == {"core": None, "rim": 0.0, "tumour": None, "healthy": None}
    assert {row["cohort"] for row in rows} == {"unknown"}


def test_ignored_voxels_are_not_painted_as_predicted(tmp_path: Path) -> None:
    """A false alarm that lies in the ignored part leaves the picture of a scan without one."""
    plain = make_report(tmp_path / "plain", [Tiny("good"), Tiny("alarm", tumour=False, shift=0)])
    inputs = make_inputs(tmp_path / "in", [Tiny("good"), Tiny("alarm", tumour=False, shift=2)])
    scheme = read_scheme(inputs["scheme"])
    write_record(inputs["scheme"], scheme.model_copy(update={"ignore": 5}))
    path = inputs["data"] / "alarm" / "mask.nii.gz"
    mask = read_mask(path)
    ignored = mask.voxels.copy()
    ignored[:, 2:4, 2:4, 2:4] = 5
    write_mask(path, Volume(ignored, mask.affine))
    out = write(inputs, tmp_path / "out")
    assert (out / "cases/alarm.png").read_bytes() == (plain / "cases/alarm.png").read_bytes()
    assert "voxels with the number 5, which nobody annotated" in (out / "report.html").read_text(encoding="utf-8")
