from __future__ import annotations

import sys

import pytest

from medseg.ops.scoring.rows import columns
from medseg.report.notebook.frames import COUNTS, frame, scores_frame
from medseg.report.scores import TEXTS
from medseg.values.error import Refusal


def test_counts_are_whole_texts_are_texts_and_the_rest_is_numbers() -> None:
    row = dict.fromkeys(columns) | {"case": "007", "region": "tumour", "dice": 1, "lesions_truth": 2}
    made = scores_frame([row, row | {"case": "x", "lesions_truth": None, "dice": None}])
    assert tuple(made.columns) == columns
    assert list(made["case"]) == ["007", "x"]
    assert made["lesions_truth"].sum() == 2
    assert made["lesions_truth"].isna().tolist() == [False, True]
    assert made["dice"].isna().tolist() == [False, True]
    assert {str(made[name].dtype) for name in COUNTS} == {"Int64"}
    assert {str(made[name].dtype) for name in columns if name not in (*TEXTS, *COUNTS)} == {"float64"}


def test_without_rows_the_columns_are_there() -> None:
    assert tuple(scores_frame([]).columns) == columns
    assert list(frame([], ("a", "b")).columns) == ["a", "b"]


def test_what_is_done_to_a_table_changes_no_row() -> None:
    row = {"case": "a", "dice": 0.5}
    made = frame([row])
    made.loc[0, "dice"] = 0.0
    assert row["dice"] == 0.5


def test_a_missing_pandas_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(Refusal, match=r"pandas, got none is installed; pip install 'medseg\[notebooks\]'"):
        frame([])
