"""Sentences: every branch in the words that people read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from medseg.ops.scoring.rows import columns
from medseg.ops.statistics.kinds import Kind
from medseg.ops.statistics.paired import Comparison
from medseg.ops.statistics.seeds import Spread
from medseg.report.sentences.differences import Told, difference_sentence, seeds_sentence, wins_sentence
from medseg.report.sentences.findings import concordance_sentence, mean_sentence, volume_sentence
from medseg.report.sentences.words import WORDS

TEXTS = {"case", "subject", "cohort", "region", "site", "reason"}
FOUND = Comparison(0.014, (0.009, 0.019), 0.0004, n=110, wins=80, ties=2, undefined=0, subjects=110)
TOLD = Told(("A", "B"))


@pytest.mark.parametrize(
    ("found", "told", "text"),
    [
        (
            FOUND,
            replace(TOLD, seeds_alone=0.006),
            "B is better than A by 1.4 Dice points [0.9, 1.9] on 110 cases; seeds alone move it by 0.6.",
        ),
        (FOUND, TOLD, "B is better than A by 1.4 Dice points [0.9, 1.9] on 110 cases."),
        (
            replace(FOUND, difference=-0.014, ci95=(-0.019, -0.009)),
            TOLD,
            "A is better than B by 1.4 Dice points [0.9, 1.9] on 110 cases.",
        ),
        (
            FOUND,
            replace(TOLD, seeds_alone=0.021),
            "B is ahead of A by 1.4 Dice points [0.9, 1.9] on 110 cases, but seeds alone move it by 2.1: the "
            "difference may be luck of the seed.",
        ),
        (
            replace(FOUND, difference=0.003, ci95=(-0.002, 0.008)),
            replace(TOLD, seeds_alone=0.006),
            "B and A cannot be told apart: B is ahead by 0.30 Dice points [\N{MINUS SIGN}0.20, 0.80] on 110 cases; "
            "seeds alone move it by 0.60.",
        ),
        (
            replace(FOUND, difference=-0.003, ci95=(-0.012, 0.006)),
            TOLD,
            "B and A cannot be told apart: A is ahead by 0.3 Dice points [\N{MINUS SIGN}0.6, 1.2] on 110 cases.",
        ),
        (
            replace(FOUND, difference=0.0, ci95=(-0.02, 0.02)),
            TOLD,
            "B and A cannot be told apart: on average they differ by 0.0 Dice points [\N{MINUS SIGN}2.0, 2.0] on "
            "110 cases.",
        ),
        (
            replace(FOUND, difference=-0.32, ci95=(-0.5, -0.1)),
            Told(("A", "B"), "hd95_mm"),
            "B is better than A by 0.32 mm of Hausdorff distance (95 %) [0.10, 0.50] on 110 cases.",
        ),
        (
            replace(FOUND, difference=1.25, ci95=(0.5, 2.0)),
            Told(("A", "B"), "volume_predicted_ml"),
            "The predicted volume of B is larger than that of A by 1.2 ml of predicted volume [0.5, 2.0] on 110 cases.",
        ),
        (
            replace(FOUND, difference=1.25, ci95=(-0.5, 2.0)),
            Told(("A", "B"), "volume_predicted_ml"),
            "B and A cannot be told apart: B is larger by 1.2 ml of predicted volume [\N{MINUS SIGN}0.5, 2.0] on "
            "110 cases.",
        ),
        (
            replace(FOUND, difference=-1.0, ci95=(-2.0, -0.5)),
            Told(("A", "B"), "volume_error_ml", Kind(0, 1e9, "lower")),
            "B is better than A by 1.0 ml of volume error [0.5, 2.0] on 110 cases.",
        ),
        (
            replace(FOUND, ci95=(None, None), n=4, wins=3, ties=0, subjects=4),
            TOLD,
            "B is ahead of A by 1.4 Dice points on 4 cases: too few for an interval.",
        ),
        (
            replace(FOUND, ci95=(None, None), n=6, wins=3, ties=0, subjects=1),
            replace(TOLD, noun="scan"),
            "B is ahead of A by 1.4 Dice points on 6 scans of 1 subject: too few for an interval.",
        ),
        (
            replace(FOUND, difference=0.0, ci95=(0.0, 0.0), wins=0, ties=110),
            TOLD,
            "B and A have the same Dice on each of 110 cases.",
        ),
        (
            replace(FOUND, difference=0.0, ci95=(None, None), n=1, wins=0, ties=1, undefined=1),
            TOLD,
            "B and A have the same Dice on the only case. 1 case has no defined value in one of the two, and no part "
            "in it.",
        ),
        (
            replace(FOUND, undefined=3),
            TOLD,
            "B is better than A by 1.4 Dice points [0.9, 1.9] on 110 cases. 3 cases have no defined value in one of "
            "the two, and no part in it.",
        ),
        (
            Comparison(None, (None, None), None, 0, 0, 0, 3, 0),
            TOLD,
            "B and A have no case in common with a defined Dice, so nothing can be compared.",
        ),
    ],
)
def test_a_difference_is_told_with_what_is_known_of_it(found: Comparison, told: Told, text: str) -> None:
    assert difference_sentence(found, told) == text


def test_small_noise_of_seeds_is_not_called_nothing() -> None:
    told = replace(TOLD, seeds_alone=0.0002)
    assert difference_sentence(FOUND, told).endswith("seeds alone move it by 0.020.")
    assert difference_sentence(FOUND, replace(TOLD, seeds_alone=0.0)).endswith("seeds alone move it by 0.0.")


@pytest.mark.parametrize(
    ("found", "measure", "p_holm", "text"),
    [
        (
            FOUND,
            "dice",
            None,
            "B wins 80 of 110 (73 %) against A, 2 are equal; Wilcoxon's signed-rank test: p < 0.001.",
        ),
        (
            replace(FOUND, p=0.02, ties=1),
            "dice",
            0.06,
            "B wins 80 of 110 (73 %) against A, 1 is equal; Wilcoxon's signed-rank test: p = 0.020, p = 0.060 with all "
            "comparisons counted. That is no evidence of a difference.",
        ),
        (
            replace(FOUND, p=0.3, ties=0),
            "volume_predicted_ml",
            0.3,
            "B has the larger value in 80 of 110 (73 %) against A; Wilcoxon's signed-rank test: p = 0.300. That is no "
            "evidence of a difference.",
        ),
        (replace(FOUND, p=None), "dice", None, ""),
    ],
)
def test_wins_and_the_test(found: Comparison, measure: str, p_holm: float | None, text: str) -> None:
    assert wins_sentence(found, Told(("A", "B"), measure), p_holm) == text


def test_seeds_are_told_with_their_range() -> None:
    spread = Spread(0.85, 0.002, None, None, None, 2, 3, 3, 1)
    assert seeds_sentence(spread, 0.0122) == (
        "Over 3 runs with 3 seeds, another seed alone changes the mean Dice with a standard deviation of 0.20: two "
        "such runs lie within 1.2 Dice points of each other 95 % of the time, as far as 3 runs can tell."
    )
    crossed = Spread(0.85, 0.002, 0.001, 0.004, 0.002, 6, 9, 3, 3)
    assert seeds_sentence(crossed, 0.0069) == (
        "Over 9 runs with 3 seeds, another seed alone changes the mean Dice with a standard deviation of 0.20: two "
        "such runs lie within 0.69 Dice points of each other 95 % of the time. The fold adds a standard deviation of "
        "0.40."
    )
    alone = Spread(0.85, None, None, None, None, 0, 1, 1, 1)
    assert seeds_sentence(alone, None) == (
        "What seeds alone do to the result is not known: 1 run, never two on one fold."
    )


@pytest.mark.parametrize(
    ("cells", "measure", "text"),
    [
        ({}, "dice", "The mean Dice is 0.850 [0.800, 0.890] on 40 scans."),
        ({"undefined": 1}, "dice", "The mean Dice is 0.850 [0.800, 0.890] on 40 scans. 1 scan has no defined value."),
        (
            {"mean": 12.3456, "ci95": [9, 20]},
            "hd95_mm",
            "The mean Hausdorff distance (95 %) is 12.35 mm [9.00, 20.00] on 40 scans.",
        ),
        ({"ci95": [None, None], "n": 4}, "dice", "The mean Dice is 0.850 on 4 scans: too few for an interval."),
        (
            {"mean": None, "ci95": [None, None], "n": 0, "undefined": 2},
            "dice",
            "No scan has a defined Dice. 2 scans have no defined value.",
        ),
    ],
)
def test_a_mean_is_told_with_its_interval(cells: dict[str, Any], measure: str, text: str) -> None:
    summary = {"mean": 0.85, "ci95": [0.8, 0.89], "n": 40, "undefined": 0}
    assert mean_sentence(summary | cells, measure) == text


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        (
            {},
            "Predicted volumes are 1.20 ml too small on average [0.40, 2.00] on 40 scans; 95 % of scans lie between "
            "5.10 ml too small and 2.70 ml too large.",
        ),
        (
            {"bias": 0.1, "bias_ci95": [-0.3, 0.5], "limits": [0.001, 0.2]},
            "Predicted volumes are on average neither too small nor too large as far as 40 scans can tell (0.10 ml "
            "[\N{MINUS SIGN}0.30, 0.50]); 95 % of scans lie between no error and 0.20 ml too large.",
        ),
        (
            {"bias_ci95": [None, None], "n": 4, "subjects": 4, "undefined": 1},
            "Predicted volumes are 1.20 ml too small on average on 4 scans, 4 patients are too few for an interval; "
            "95 % of scans lie between 5.10 ml too small and 2.70 ml too large. 1 scan has no predicted volume.",
        ),
        ({"n": 1, "bias": 0.5}, "On the only scan with tumour the predicted volume is 0.50 ml too large."),
        ({"n": 1, "bias": 0.0}, "On the only scan with tumour the predicted volume is right."),
        ({"n": 0, "undefined": 2}, "No scan with tumour has a predicted volume. 2 scans have no predicted volume."),
    ],
)
def test_volumes_are_told_in_ml_too_small_or_too_large(cells: dict[str, Any], text: str) -> None:
    found = {
        "bias": -1.2,
        "bias_ci95": [-2.0, -0.4],
        "limits": [-5.1, 2.7],
        "n": 40,
        "subjects": 40,
        "undefined": 0,
    }
    assert volume_sentence(found | cells, "tumour") == text


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ({}, "Lin's concordance of predicted with true volumes is 0.950 [0.910, 0.980] (1 is perfect agreement)."),
        (
            {"ci95": [None, None], "subjects": 1},
            "Lin's concordance of predicted with true volumes is 0.950 (1 is perfect agreement), 1 patient is too few "
            "for an interval.",
        ),
        (
            {"value": None},
            "Concordance of predicted with true volumes is not defined: it takes two scans with different volumes.",
        ),
    ],
)
def test_concordance_is_told_with_its_interval(cells: dict[str, Any], text: str) -> None:
    assert concordance_sentence({"value": 0.95, "ci95": [0.91, 0.98], "subjects": 30} | cells) == text


def test_every_measure_has_words() -> None:
    assert set(WORDS) == {name for name in columns if name not in TEXTS}
