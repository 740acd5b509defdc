"""A run opened in Python: tables, verdicts, cases and pictures, from a folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import medseg
from medseg.report.notebook.run import Run
from medseg.report.wording import number
from medseg.values.error import Refusal
from tests.report.tiny_run import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return medseg.open_run(make_run(tmp_path_factory.mktemp("run")))


def test_a_run_says_what_came_of_it(run: Run) -> None:
    assert (run.name, run.kind, run.region) == ("tiny", "run", "tumour")
    assert run.answer.startswith("On 4 held-out patients with tumour")
    assert repr(run) == f"run {run.path}: {run.answer}"
    assert run.failed == {"gone": "out of memory"}
    assert run.settings == {"name": "tiny", "seed": 0}
    assert run.card["labels"] == {"core": 1, "rim": 2}
    assert run.provenance == {}


def test_scores_are_a_table_with_every_case_and_region(run: Run) -> None:
    assert set(run.scores["case"]) == set(run.cases) == set(run.summary["held_out"])
    assert len(run.rows()) == len(run.rows("core")) == 6
    mean = run.summary["regions"]["tumour"]["dice"]["mean"]
    assert run.rows()["dice"].mean() == pytest.approx(mean)
    with pytest.raises(Refusal, match=r"regions are .*core.*, got brain; name one of them"):
        run.rows("brain")


def test_changing_a_table_changes_nothing_else(run: Run) -> None:
    run.scores["dice"] = 0.0
    assert run.case("good").dice == 1.0


def test_the_curve_is_a_table_with_a_row_per_step(run: Run) -> None:
    assert run.curve["step"].tolist() == list(range(1, 31))
    assert run.curve["validation_dice"].count() == 3


def test_times_are_a_table_of_the_stages(run: Run) -> None:
    assert run.times.set_index("stage").loc["train", "seconds"] == 2.5


def test_the_worst_come_first_and_failed_ones_before_all(run: Run) -> None:
    assert [case.id for case in run.worst(9)] == ["gone", "poor", "fair", "good"]
    assert [case.id for case in run.best(2)] == ["good", "fair"]
    assert [case.id for case in run.false_alarms()] == ["alarm"]


def test_verdicts_name_who_did_badly_and_why(run: Run) -> None:
    verdicts = run.verdicts.set_index("case")
    assert "out of memory" in verdicts.loc["gone", "why"]
    assert verdicts.loc["alarm", "what"] == "false alarm"
    assert "good" not in verdicts.index


def test_a_case_has_its_rows_and_says_how_it_did(run: Run) -> None:
    case = run.case("poor")
    assert set(case.rows["case"]) == {"poor"}
    assert case.row["region"] == "tumour"
    assert repr(case) == f"case poor (tumour): Dice {number(case.dice)}"
    assert repr(run.case("gone")) == "case gone (tumour): failed: out of memory"
    assert run.case("clean").dice is None
    assert repr(run.case("clean")) == "case clean (healthy): nothing marked"
    assert repr(run.case("alarm")) == "case alarm (healthy): 0.02 ml marked, all of it false"


def test_a_case_with_a_prediction_has_a_picture_and_others_are_refused(run: Run) -> None:
    picture = run.case("poor").show()
    assert picture.width > 300
    with pytest.raises(Refusal, match=r"scans with a prediction have a picture, got out of memory; see run\.failed"):
        run.case("gone").show()


@pytest.mark.parametrize(("name", "remedy"), [("poorr", "did you mean poor?"), ("zzz", "run.cases names them all")])
def test_an_unknown_case_is_refused_and_near_names_are_told(run: Run, name: str, remedy: str) -> None:
    with pytest.raises(Refusal) as refused:
        run.case(name)
    assert refused.value.rule == "a judged scan of this folder, of which there are 6"
    assert refused.value.remedy == remedy


def test_voxels_of_a_copied_run_are_refused_and_the_picture_remains(run: Run) -> None:
    case = run.case("poor")
    with pytest.raises(Refusal, match=r"case\.show\(\)"):
        _ = case.image
    with pytest.raises(Refusal, match=r"case\.show\(\)"):
        case.view()
    assert case.show().size


def test_pieces_for_notebooks_are_html_with_the_numbers(run: Run) -> None:
    tumour = run.summary["regions"]["tumour"]
    assert number(tumour["dice"]["mean"]) in run.measures()._repr_html_()
    assert number(tumour["sensitivity"]["mean"]) in run.measures("sensitivity")._repr_html_()
    assert number(run.summary["cohorts"]["tumour"]["dice"]["mean"]) in run.comparison()._repr_html_()
    assert run.charts()._repr_html_().count("<svg") == 3
    with pytest.raises(Refusal, match=r"dicee: a measure of the summary, got no such measure; known: .*dice"):
        run.measures("dicee")


def test_names_from_strangers_are_escaped(tmp_path: Path) -> None:
    found = medseg.open_run(make_run(tmp_path, region="<script>alert(1)</script> tumour"))
    assert "<script" not in found.measures()._repr_html_() + found.comparison()._repr_html_()
