from __future__ import annotations

from pathlib import Path

import pytest

from medseg.report.reading import open_run
from medseg.report.wording import number
from medseg.values.error import Refusal
from tests.report.tiny_run import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


def test_a_run_comes_back_from_its_folder(folder: Path) -> None:
    run = open_run(folder)
    assert run.region == "tumour"
    assert run.answer.startswith("On 4 held-out patients with tumour")
    assert [row["case"] for row in run.worst(2)] == ["gone", "poor"]
    assert {row["region"] for row in run.rows("core")} == {"core"}
    assert len(run.curve) == 30
    assert run.curve[0] == {"step": 1.0, "loss": 1.0, "learning_rate": 0.001, "validation_dice": None}
    assert run.stages["stages"]["train"]["seconds"] == 2.5
    assert run.card["labels"] == {"core": 1, "rim": 2}
    assert run.settings.startswith("name: tiny")


def test_tables_and_charts_are_html_with_the_numbers(folder: Path) -> None:
    run = open_run(folder)
    mean = run.summary["regions"]["tumour"]["dice"]["mean"]
    assert number(mean) in run.measures()._repr_html_()
    assert number(run.summary["cohorts"]["tumour"]["dice"]["mean"]) in run.comparison()._repr_html_()
    assert all(case in run.cases()._repr_html_() for case in run.summary["held_out"])
    assert run.charts()._repr_html_().count("<svg") == 3


def test_a_case_with_a_prediction_has_a_picture_and_others_are_refused(folder: Path) -> None:
    run = open_run(folder)
    assert run.show("poor").width > run.show("poor").height
    with pytest.raises(Refusal, match="gone: only scans with a prediction have a picture"):
        run.show("gone")


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"a finished run has report/summary\.json"):
        open_run(tmp_path)
