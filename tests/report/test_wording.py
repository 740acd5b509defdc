from __future__ import annotations

from typing import Any

import pytest

from medseg.report.wording import answer, interval, number, part, tissue


def summary(
    ill: int = 7, subjects: int = 7, well: int = 4, clean: int = 3, most: float | None = 1.25, unknown: int = 0
) -> dict[str, Any]:
    return {
        "held_out": ["a"] * (ill + well),
        "failed": [],
        "cohorts": {
            "tumour": {
                "n": ill,
                "dice": {"mean": 0.89, "ci95": [0.85, 0.92]},
                "detection": {"tumour_subjects": subjects},
            },
            "healthy": {"n": well, "clean": clean, "false_positive_ml": {"max": most}},
            "unknown": {"n": unknown},
        },
    }


@pytest.mark.parametrize(
    ("given", "region", "text"),
    [
        (
            summary(),
            "tumour",
            "On 7 held-out patients with tumour the network's tumour Dice is 0.890 [0.850, 0.920]; on 4 healthy scans "
            "it marked nothing in 3, and at most 1.25 ml in the others.",
        ),
        (
            summary(ill=9, clean=4, most=0.0),
            "tumour",
            "On 9 held-out scans of 7 patients with tumour the network's tumour Dice is 0.890 [0.850, 0.920]; on "
            "4 healthy scans it marked nothing in any.",
        ),
        (
            summary(clean=0),
            "tumour",
            "On 7 held-out patients with tumour the network's tumour Dice is 0.890 [0.850, 0.920]; on 4 healthy scans "
            "it marked something in every one, 1.25 ml at most.",
        ),
        (
            summary(well=0),
            "hippocampus",
            "On 7 held-out patients with hippocampus the network's hippocampus Dice is 0.890 [0.850, 0.920]. There are "
            "no healthy scans in the held-out set.",
        ),
        (
            summary(ill=0, well=1, clean=0),
            "tumour",
            "The held-out set has no scan with tumour; on 1 healthy scan it marked 1.25 ml.",
        ),
        (
            summary(ill=0, well=1, clean=1, unknown=2),
            "tumour",
            "The held-out set has no scan with tumour; on 1 healthy scan it marked nothing at all. In 2 further scans "
            "nobody annotated tumour.",
        ),
        (
            summary(well=0, unknown=1),
            "organ",
            "On 7 held-out patients with organ the network's organ Dice is 0.890 [0.850, 0.920]. There are no healthy "
            "scans in the held-out set. In 1 further scan nobody annotated organ.",
        ),
        (summary(ill=0, well=0), "tumour", "No scan was held out, so nothing can be said about new patients."),
    ],
)
def test_the_answer_is_one_plain_sentence(given: dict[str, Any], region: str, text: str) -> None:
    assert answer(given, region) == text


def test_numbers_have_the_decimals_of_their_unit() -> None:
    assert number(0.12345) == "0.123"
    assert number(3.14159, "mm") == "3.14"
    assert number(5231.99, "ml") == "5232"
    assert number(3, "count") == "3"
    assert number(None) == "\N{EN DASH}"
    assert number(0.004, "ml") == "<0.01"
    assert number(-1.5, "ml") == "\N{MINUS SIGN}1.50"
    assert interval((None, None)) == ""
    assert part(3, 4) == "3 of 4 (75 %)"
    assert part(0, 0) == "\N{EN DASH}"


def test_only_beside_a_tumour_the_rest_is_called_healthy() -> None:
    assert tissue("tumour") == "healthy tissue"
    assert tissue("hippocampus") == "tissue outside hippocampus"
