from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest

from medseg.report.check_page import CLEAN, CheckContent, Mending, write_check_page
from medseg.report.thumbnail import thumbnail
from medseg.values.finding import SEVERITIES, Finding
from tests.report.html_page import NASTY, Page, assert_in_order, assert_self_contained
from tests.stages.surveying.tiny_survey import SCHEME, Scan

PICTURE = base64.b64encode(thumbnail(np.random.default_rng(0).normal(size=(9, 9, 9)), None, (1, 1, 1))).decode()


def finding(severity: str, **changes: object) -> Finding:
    values = {"rule": f"rule of {severity}", "value": "7", "remedy": "mend it", "severity": severity, **changes}
    return Finding.model_validate(values)


def scans() -> list[Scan]:
    """One scan of each severity, in mixed order."""
    found = [Scan(number) for number in range(5)]
    found[1].findings = (finding("note"),)
    found[2].findings = (finding("note"), finding("refuse", override="data.repair=[round_mask]", file="a/b.nii"))
    found[3].findings = (finding("warn"),)
    return found


def content(cases: list[Scan], dataset: tuple[Finding, ...] = (), mendings: tuple[Mending, ...] = ()) -> CheckContent:
    def rank(scan: Scan) -> int:
        return min([SEVERITIES.index(one.severity) for one in scan.findings], default=CLEAN)

    return CheckContent(
        title="Check of a set",
        layout="pairs",
        channels=["flair"],
        scheme=SCHEME,
        dataset=dataset,
        mendings=mendings,
        mendable=len(mendings),
        ranks={scan.case: rank(scan) for scan in cases},
        words=["data.root=DIR"],
        looks=lambda: ((scan.record(), scan.sight(PICTURE) if rank(scan) else None) for scan in cases),
    )


def written(tmp_path: Path, what: CheckContent) -> str:
    write_check_page(what, tmp_path / "check.html")
    return (tmp_path / "check.html").read_text(encoding="utf-8")


def test_every_scan_has_a_tile_and_the_worst_come_first(tmp_path: Path) -> None:
    text = written(tmp_path, content(scans()))
    names = re.findall(r"<h4>(.*?)</h4>", text)
    assert names == ["case_002", "case_003", "case_001", "case_000", "case_004"]
    page = Page(text)
    assert page.open == []
    assert len(page.all("article")) == 5
    assert "4 of 5 scans can be used; 1 is refused, and 1 more should be looked at." in text


def test_a_scan_that_cannot_be_read_has_a_placeholder_and_pictures_have_words(tmp_path: Path) -> None:
    text = written(tmp_path, content(scans()))
    images = Page(text).all("img")
    assert len(images) == 4
    assert {image["alt"] for image in images} == {f"Slice of case_00{n} with its mask outlined" for n in (0, 1, 3, 4)}
    assert text.count(">no picture<") == 1


def test_a_finding_stands_there_with_remedy_override_and_file(tmp_path: Path) -> None:
    text = written(tmp_path, content(scans()))
    tile = text[text.index("<h4>case_002") :]
    tile = tile[: tile.index("</article>")]
    assert tile.index("rule of refuse") < tile.index("rule of note"), "the worst finding first"
    for words in ("Mend it.", '<code class="setting">data.repair=[round_mask]</code>', "in a/b.nii"):
        assert words in tile


def test_findings_about_the_set_lead_to_their_scans_and_back(tmp_path: Path) -> None:
    dataset = (finding("warn", cases=("case_000", "case_004")), finding("note", cases=("case_004",)), finding("note"))
    text = written(tmp_path, content(scans(), dataset))
    page = Page(text)
    assert text.index("The set as a whole") < text.index("All scans</h2>")
    assert [one["data-set"] for one in page.all("button") if one.get("class") == "show"] == ["0", "1"]
    assert [one["data-sets"] for one in page.all("article") if "data-sets" in one] == ["0", "0 1"]
    assert [one["href"] for one in page.all("a")].count("#set-0") == 2
    assert "set-0" in {one.get("id") for one in page.all("li")}


def test_the_command_that_applies_all_repairs_ends_the_refused_part(tmp_path: Path) -> None:
    one = Mending("a rule", "0.5", "round it", "data.repair=[round_mask]", ("case_002",))
    text = written(tmp_path, content(scans(), mendings=(one, Mending("other", "x", "copy it", None, ("case_009",)))))
    line = "medseg check data.root=DIR &#39;data.repair=[round_mask]&#39;"
    assert text.index('id="mend"') < text.index(line) < text.index('id="scans"')
    without = written(tmp_path, content(scans(), mendings=(Mending("other", "x", "copy it", None, ("case_009",)),)))
    assert "at once" not in without


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    bad = Scan(0, subject=NASTY, site=NASTY, group=NASTY)
    values = {"rule": NASTY, "value": NASTY, "remedy": NASTY, "file": NASTY, "override": NASTY, "cases": (NASTY,)}
    bad.findings = (finding("warn", **values),)
    what = content([bad], (bad.findings[0],), (Mending(NASTY, NASTY, NASTY, NASTY, (NASTY,)),))
    sane, page = Page(written(tmp_path, content([Scan(0)]))), Page(written(tmp_path, what))
    assert len(page.all("script")) == len(sane.all("script")) == 1
    assert len(page.all("img")) == 1
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "{{7*7}}" in (tmp_path / "check.html").read_text()


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = written(tmp_path, content(scans()))
    assert Page(text).all("img")
    assert_self_contained(text)
    (policy,) = [one["content"] for one in Page(text).all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'; img-src data:; ")


def test_headings_labels_and_names_of_parts_are_in_order(tmp_path: Path) -> None:
    assert_in_order(Page(written(tmp_path, content(scans(), (finding("warn"),)))))


def test_only_one_scan_is_held_at_a_time(tmp_path: Path) -> None:
    held: list[int] = []

    def looks() -> object:
        for scan in scans():
            held.append(len(held))
            yield scan.record(), None

    one = content(scans())
    lazy = CheckContent(**{name: getattr(one, name) for name in one.__slots__} | {"looks": looks})
    text = written(tmp_path, lazy)
    assert len(held) == 5 * 4, "read once for each severity that occurs"
    assert text.count("<article") == 5


@pytest.mark.parametrize("cases", [[], [Scan(0)]])
def test_small_sets_have_a_page_too(tmp_path: Path, cases: list[Scan]) -> None:
    assert Page(written(tmp_path, content(cases))).open == []
