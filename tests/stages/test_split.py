from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.files.records import CaseRecord
from medseg.stages.split import SplitSettings, divide
from medseg.values.error import Refusal


def cases(tumour: int, healthy: int, scans: int = 1) -> list[CaseRecord]:
    return [
        CaseRecord(
            case=f"s{number}_{scan}", subject=f"s{number}", channels={}, mask=None, tumour_voxels=int(number < tumour)
        )
        for number in range(tumour + healthy)
        for scan in range(scans)
    ]


@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 3), st.integers(0, 5))
def test_parts_are_disjoint_complete_and_by_subject(tumour: int, healthy: int, scans: int, seed: int) -> None:
    everything = cases(tumour, healthy, scans)
    split = divide(everything, SplitSettings(held_out=0.25, validation=0.2), seed)
    parts = [set(split.train), set(split.validation), set(split.held_out)]
    assert sum(len(part) for part in parts) == len(everything)
    assert set().union(*parts) == {case.case for case in everything}
    subjects = [{case.split("_")[0] for case in part} for part in parts]
    assert sum(len(part) for part in subjects) == len(set().union(*subjects))


def test_strata_keep_their_proportion() -> None:
    split = divide(cases(60, 30), SplitSettings(held_out=0.2, validation=0.25), 0)
    healthy = [sum(int(case[1:].split("_")[0]) >= 60 for case in part) for part in (split.held_out, split.validation)]
    assert (len(split.held_out), healthy[0]) == (18, 6)
    assert (len(split.validation), healthy[1]) == (18, 6)


def test_order_of_cases_and_seed() -> None:
    everything = cases(12, 6)
    settings = SplitSettings()
    assert divide(everything, settings, 3) == divide(reversed(everything), settings, 3)
    assert divide(everything, settings, 3).held_out != divide(everything, settings, 4).held_out


def test_a_new_subject_hardly_moves_the_others() -> None:
    before = divide(cases(40, 0), SplitSettings(), 0)
    after = divide(cases(41, 0), SplitSettings(), 0)
    assert len(set(before.held_out) ^ set(after.held_out)) <= 2


def test_folds_cover_every_subject_once() -> None:
    everything = cases(12, 8)
    folds = [divide(everything, SplitSettings(held_out=0.2, folds=4, fold=fold), 0) for fold in range(4)]
    assert len({fold.held_out for fold in folds}) == 1
    validated = [case for fold in folds for case in fold.validation]
    assert len(validated) == len(set(validated)) == 16


def test_named_cases_take_their_subject_with_them() -> None:
    split = divide(cases(6, 0, scans=2), SplitSettings(), 0, frozenset({"s2_0"}))
    assert split.held_out == ("s2_0", "s2_1")


def test_nothing_held_out_when_the_share_is_zero() -> None:
    assert divide(cases(4, 2), SplitSettings(held_out=0.0), 0).held_out == ()


def test_too_few_subjects() -> None:
    with pytest.raises(
        Refusal, match=r"split: this split needs at least 3 subjects, one in each part, got 2 .*; add subjects"
    ):
        divide(cases(2, 0), SplitSettings(), 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"held_out": 1.5}, "split.held_out: a share is at least 0 and below 1, got 1.5"),
        ({"folds": 1}, "split.fold: folds are 0, or at least 2"),
        ({"folds": 3, "fold": 3}, "split.fold: .* got fold 3 of 3"),
    ],
)
def test_refused_settings(values: dict[str, object], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        SplitSettings(**values)
