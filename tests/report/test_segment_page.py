"""The contact sheet of segmented scans: complete, in order, harmless."""

from __future__ import annotations

import re

import pytest

from medseg.files.segmented import SegmentedScan
from medseg.report.segment_page import segment_page
from medseg.values.finding import Finding
from tests.report.html_page import NASTY, Page, assert_in_order, assert_self_contained
from tests.report.segmented_scans import empty, failed, picture, scan, unlike

PICTURE = picture()


def scans() -> list[SegmentedScan]:
    """One scan of each kind, in mixed order."""
    return [scan("good", picture=PICTURE), empty("nothing"), unlike("strange"), failed("broken"), scan("low", 0.4)]


def rendered(some: list[SegmentedScan], facts: dict[str, str] | None = None) -> str:
    return segment_page("Segmented scans", some, facts or {"Model": "tumour 3D", "Scans": "5"})


def card(text: str, case: str) -> str:
    (own,) = (part for part in text.split('<li class="tile ')[1:] if f"<span>{case}</span></h3>" in part)
    return own[: own.index("</div></li>")]


def test_every_scan_has_a_card_and_the_worst_come_first() -> None:
    text = rendered(scans())
    assert re.findall(r"<span>(\w+)</span></h3>", text) == ["broken", "low", "strange", "good", "nothing"]
    assert "4 of 5 scans were segmented; look at 2 of them before you use them." in text
    assert text == rendered(scans()[::-1])
    assert_in_order(Page(text))


def test_a_card_says_what_was_found_and_how_far_to_trust_it() -> None:
    good = card(rendered(scans()), "good")
    for words in ("<b>0.90 ± 0.03</b>", "a forecast, not measured", "liver 1504 ml", "tumour 12.25 ml",
                  "rgb(230 159 0)", "rgb(86 180 233)", "margin 0.93, boundary entropy 0.21, agreement 0.97",
                  "own estimate of Dice 0.94", "0.40 ml in doubt", "good.nii.gz, 12.3 s, 0.81 GB at most",
                  'alt="Three planes of good with what was found outlined"'):  # fmt: skip
        assert words in good
    assert "left:87.0%;width:6.0%" in good
    assert "left:90.0%" in good
    assert "finding" not in good


def test_a_warning_stands_there_with_its_measure_and_what_to_do() -> None:
    strange = card(rendered(scans()), "strange")
    said = "<strong>spacing is like that of the training scans</strong>, got 5 mm (0.8 to 1.5 mm)."
    assert said in strange
    assert "Check that it is the right series." in strange
    assert "a forecast that may not hold for this scan" in strange
    low = card(rendered(scans()), "low")
    assert "<strong>the expected Dice is at least 0.70</strong>, got 0.40." in low


def test_a_failed_scan_has_its_reason_and_no_numbers() -> None:
    broken = card(rendered(scans()), "broken")
    assert "It could not be segmented.</strong> broken.nii.gz: the gzip stream is whole, got EOF; fetch" in broken
    assert "Dice" not in broken
    assert ">no picture<" in broken
    refused = card(rendered([unlike("other").model_copy(update={"status": "refused", "reason": "unlike"})]), "other")
    assert "It was refused.</strong> unlike." in refused
    assert "Check that it is the right series." in refused
    unknown = card(rendered([failed("a").model_copy(update={"reason": None})]), "a")
    assert "no reason is known." in unknown


def test_an_empty_mask_is_said_to_be_empty() -> None:
    nothing = card(rendered([empty("nothing").model_copy(update={"picture": PICTURE})]), "nothing")
    assert "<b>nothing was found</b> <small>the mask is empty</small>" in nothing
    assert "Dice" not in nothing
    assert "liver 0.00 ml" in nothing
    assert 'alt="Three planes of nothing"' in nothing


def test_the_filters_count_what_they_let_through() -> None:
    both = unlike("both", 0.3)
    page = rendered([*scans(), both, failed("other")])
    counts = dict(re.findall(r'for="part-(\w+)">[a-z ]+ (\d+)<', page))
    assert counts == {"all": "7", "look": "3", "failed": "2", "guard": "2", "empty": "1"}
    assert 'data-parts="all look guard"' in page
    assert 'id="part-failed" value="failed">' in page
    assert 'id="part-empty" value="empty" disabled>' in rendered([scan("a")])


def test_many_labels_show_the_largest_and_keep_the_rest_folded_away() -> None:
    volumes = {f"organ {number}": float(number % 50) for number in range(105)}
    labels = {name: number + 1 for number, name in enumerate(volumes)}
    text = card(rendered([scan("a", labels=labels, volume_ml=volumes)]), "a")
    assert re.findall(r"organ \d+ (49|48|47|46)\.00 ml</li>", text) == ["49", "49", "48", "48", "47", "47", "46", "46"]
    assert "<summary>97 more labels</summary>" in text
    assert "organ 45 45.00 ml;" in text
    assert "3 not found</details>" in text
    assert text.count("<li") == 8


def test_notes_are_sentences_and_notes_of_the_guard_are_shown_but_no_warning() -> None:
    note = Finding(severity="note", rule="size is unusual", value="600 slices", remedy="nothing to do")
    text = rendered([scan("a", notes=("windows were computed one by one, because memory ran out",), guard=(note,))])
    assert "because memory ran out.</p>" in card(text, "a")
    assert "<strong>size is unusual</strong>: 600 slices." in card(text, "a")
    assert "nothing calls for a look first" in text


def test_hostile_names_stay_text() -> None:
    bad = scan(NASTY, mask=NASTY, labels={NASTY: 1}, volume_ml={NASTY: 1.0}, notes=(NASTY,), picture=NASTY,
               guard=(Finding(severity="warn", rule=NASTY, value=NASTY, remedy=NASTY, override=NASTY),))  # fmt: skip
    worse = SegmentedScan(case=NASTY, status="failed", made_from="", reason=NASTY)
    page = Page(segment_page(NASTY, [bad, worse], {NASTY: NASTY}))
    assert page.open == []
    assert len(page.all("script")) == 1
    assert len(page.all("img")) == 1
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert [one["src"] for one in page.all("img")] == [f"data:image/webp;base64,{NASTY}"]
    assert "{{7*7}}" in segment_page(NASTY, [bad], {})


def test_names_that_steer_a_terminal_or_are_no_unicode_can_be_written() -> None:
    text = segment_page("a\x1b[2J", [scan("b\u202ec")], {"folder": "d\udcffe"})
    assert "<h1>a?[2J</h1>" in text
    assert "<span>b?c</span>" in text
    assert "<dd>d?e</dd>" in text
    assert text.encode("utf-8")


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = rendered(scans())
    assert_self_contained(text)
    (policy,) = (one["content"] for one in Page(text).all("meta") if "http-equiv" in one)
    assert str(policy).startswith("default-src 'none'; img-src data:;")


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_any_number_of_scans_has_a_page(count: int) -> None:
    text = rendered([scan(f"case_{number:04d}", 0.5 + number / 2500, picture=PICTURE) for number in range(count)])
    page = Page(text)
    assert_in_order(page)
    pictures = page.all("img")
    assert len(pictures) == count
    assert all(one["loading"] == "lazy" and one["width"] == "488" and one["height"] == "160" for one in pictures)
    assert len(page.elements) < 150 + 45 * count, "few elements for each scan"


def test_facts_are_left_out_where_there_are_none() -> None:
    assert 'id="facts"' not in segment_page("t", [scan("a")], {})
    assert "<dt>Model</dt><dd>tumour 3D</dd>" in rendered([scan("a")])
