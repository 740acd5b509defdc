"""Kinds of measures: every column of scores.csv has one."""

from __future__ import annotations

from math import inf

import pytest

from medseg.ops.scoring.rows import columns
from medseg.ops.statistics.kinds import Kind, kind_of
from medseg.values.error import Refusal

TEXTS = {"case", "subject", "cohort", "region", "site", "reason"}


@pytest.mark.parametrize("measure", [name for name in columns if name not in TEXTS])
def test_every_measure_has_a_kind(measure: str) -> None:
    kind = kind_of(measure)
    assert kind.low < kind.high
    if measure.endswith("_mm"):
        assert (kind.within, kind.better) == ((0, inf), "lower")


def test_shares_differ_by_one_at_most() -> None:
    assert kind_of("dice") == Kind(0, 1, "higher")
    assert kind_of("dice").difference_within == (-1, 1)
    assert kind_of("hd95_mm").difference_within == (-inf, inf)
    assert kind_of("ece").better == "lower"


def test_what_is_no_measure_is_refused() -> None:
    with pytest.raises(Refusal, match=r"measure: it is one of dice, iou, .*, got site; name one of them") as refusal:
        kind_of("site")
    assert refusal.value.exit_code == 2
