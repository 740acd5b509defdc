"""How an experiment is told what to score: one tolerance or several, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from medseg.experiment.settings import read_settings
from medseg.ops.scoring.settings import ScoreSettings
from medseg.values.error import Refusal


def read(**score: Any) -> ScoreSettings:
    return read_settings({"score": score})[0].score


def test_a_tolerance_is_a_number_or_one_for_each_region() -> None:
    assert read().tolerance_mm("tumour") == 1.0
    assert read(nsd_tolerance_mm=2).tolerance_mm("tumour") == 2.0
    several = read(nsd_tolerance_mm={"tumour": 2})
    assert (several.tolerance_mm("tumour"), several.tolerance_mm("core")) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "score.nsd_tolerance_mm: must be greater than or equal to 0, got -1; surfaces this close agree"),
        ({"tumour": -2}, "score.nsd_tolerance_mm.tumour: must be greater than or equal to 0, got -2; see"),
        ("wide", 'score.nsd_tolerance_mm: a number is needed, got "wide"; surfaces this close agree'),
    ],
)
def test_a_tolerance_that_is_none_is_refused_by_its_name(value: object, message: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(nsd_tolerance_mm=value)
    assert str(refused.value).startswith(message)
    assert refused.value.exit_code == 2


def test_probabilities_are_kept_only_on_request() -> None:
    assert not read_settings({})[0].predict.probabilities
    assert read_settings({"predict": {"probabilities": True}})[0].predict.probabilities
    with pytest.raises(Refusal, match=r"predict\.probability: unknown setting, got 'probability'; did you mean"):
        read_settings({"predict": {"probability": True}})
