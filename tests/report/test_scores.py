from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.ops.scoring.rows import columns
from medseg.report.scores import TEXTS, Row, read_scores, write_scores
from medseg.values.error import Refusal

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
NUMBER = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10**6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.fixed_dictionaries({c: TEXT if c in TEXTS else NUMBER for c in columns}), max_size=4))
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    write_scores(path, rows)
    back = read_scores(path)
    assert back == rows
    assert [type(row[c]) for row in back for c in columns] == [type(row[c]) for row in rows for c in columns]


def test_none_is_an_empty_cell_and_floats_keep_all_digits(tmp_path: Path) -> None:
    write_scores(tmp_path / "a.csv", [{"case": "a,b", "dice": 0.1 + 0.2, "hd95_mm": None, "lesions_truth": 2}])
    head, line = (tmp_path / "a.csv").read_bytes().decode().splitlines()
    assert head.split(",") == list(columns)
    cells = line.replace('"a,b"', "a;b").split(",")
    filled = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
    assert filled == {"case": "a;b", "dice": "0.30000000000000004", "lesions_truth": "2"}


def test_strange_columns_and_cells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"scores: columns are case.*dise"):
        write_scores(tmp_path / "a.csv", [{"dise": 1.0}])
    with pytest.raises(Refusal, match="a text, a number or empty"):
        write_scores(tmp_path / "a.csv", [{"dice": [1.0]}])


FORMULAS = ["=1+1", "@SUM(A1)", "+1+1|' /C calc'!A0", "-x", "'=1", "''=1"]
NO_FORMULAS = ["'a", "-1", "+2.5", "-", "a=b", "'", "1=2"]


@pytest.mark.parametrize("text", FORMULAS + NO_FORMULAS)
def test_no_name_is_a_formula_in_a_spreadsheet_and_each_comes_back(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scores.csv"
    write_scores(path, [{"case": text, "volume_error_ml": -0.5}])
    [row] = read_scores(path)
    assert (row["case"], row["volume_error_ml"]) == (text, -0.5)
    with path.open(encoding="utf-8", newline="") as file:
        [stored] = csv.DictReader(file)
    assert stored["case"] == (f"'{text}" if text in FORMULAS else text)
    assert stored["volume_error_ml"] == "-0.5"
