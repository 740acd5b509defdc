from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from medseg import open_run
from medseg.report.reading import read_curve, read_kept
from medseg.values.error import Refusal
from tests.report.tiny_run import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


def test_a_run_is_read_from_its_folder(folder: Path) -> None:
    kept = read_kept(folder)
    assert (kept.kind, kept.path, kept.report) == ("run", folder, folder / "report")
    assert kept.summary["tumour"] == "tumour"
    assert {row["region"] for row in kept.rows} >= {"core", "rim", "tumour"}
    assert len(kept.curve) == 30
    assert kept.text("settings.yaml").startswith("name: tiny")
    assert kept.record("model/card.json")["labels"] == {"core": 1, "rim": 2}
    assert (kept.text("nothing.txt"), kept.record("calibration.json")) == ("", {})


def test_a_folder_of_scores_alone_is_an_evaluation(folder: Path, tmp_path: Path) -> None:
    for name in ("scores.csv", "summary.json"):
        shutil.copyfile(folder / "report" / name, tmp_path / name)
    kept = read_kept(tmp_path)
    assert (kept.kind, kept.report, kept.curve) == ("evaluation", tmp_path, [])
    assert kept.rows == read_kept(folder).rows


@pytest.mark.parametrize(("there", "value"), [(True, "neither"), (False, "no such folder")])
def test_a_folder_without_scores_is_refused(tmp_path: Path, there: bool, value: str) -> None:
    folder = tmp_path / "nothing"
    if there:
        folder.mkdir()
        (folder / "summary.json").write_text("{}")
    with pytest.raises(Refusal, match=rf"a finished run has report/summary\.json .*, got {value}; check the path"):
        read_kept(folder)


def test_a_curve_has_none_where_nothing_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("step,loss,validation_dice\n1,0.5,\n2,0.25,0.75\n")
    assert read_curve(path) == [
        {"step": 1.0, "loss": 0.5, "validation_dice": None},
        {"step": 2.0, "loss": 0.25, "validation_dice": 0.75},
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("report/summary.json", "{"),
        ("report/summary.json", "[1]"),
        ("report/summary.json", "[" * 100_000),
        ("report/scores.csv", "case,region,dice\na,tumour,much\n"),
        ("report/scores.csv", "case,region,dice\na,tumour,0.5,0.5\n"),
        ("curve.csv", "step,loss\n1,low\n"),
    ],
)
def test_a_damaged_file_is_refused_by_its_name(folder: Path, tmp_path: Path, name: str, text: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    (copy / name).unlink()
    (copy / name).write_text(text)
    with pytest.raises(Refusal, match=rf"{name}: the file is as medseg wrote it, got .*; copy the folder again"):
        read_kept(copy)


def test_damaged_settings_and_records_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    for name, text in (("settings.yaml", "a: &a [1]\nb: *a\n"), ("provenance.json", "{")):
        (copy / name).unlink(missing_ok=True)
        (copy / name).write_text(text)
    run = open_run(copy)
    with pytest.raises(Refusal, match=r"settings\.yaml: the file is as medseg wrote it, got an alias"):
        _ = run.settings
    with pytest.raises(Refusal, match=r"provenance\.json: the file is as medseg wrote it"):
        _ = run.provenance
