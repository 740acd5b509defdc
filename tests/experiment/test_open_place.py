"""Scans of an opened run, read again from where they were: a run's by its store, an evaluation's by its record."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import medseg
from medseg.cli.main import main
from medseg.values.error import Refusal
from tests.report.tiny_run import CASES, SHAPE, SPACING_MM, make_run, prediction_of, truth_of

KEY = "ab" * 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run `tiny`, its store, its scans, and a flat folder of true masks."""
    home = tmp_path_factory.mktemp("home")
    run, work = make_run(home), home / "work"
    index = home / ".medseg" / "index" / KEY[:32]
    shutil.copytree(work / "cases", index / "cases")
    shutil.copyfile(work / "scheme.json", index / "scheme.json")
    (run / "predictions").mkdir()
    (home / "truth").mkdir()
    for one in CASES:
        shutil.copyfile(work / "data" / one.case / "mask.nii.gz", home / "truth" / f"{one.case}.nii.gz")
        if one.shift is not None:
            made = work / "predictions" / one.case / "prediction.nii.gz"
            shutil.copyfile(made, run / "predictions" / f"{one.case}.nii.gz")
    settings = {"name": "tiny", "data": {"kind": "folder", "root": str(work / "data")}}
    (run / "settings.yaml").write_text(yaml.safe_dump({**settings, "machine": {"store": ".medseg", "runs": "runs"}}))
    tasks = [{"stage": "index", "case": None, "key": KEY}, {"stage": "score", "case": "good", "key": KEY}]
    (run / "stages.json").write_text(json.dumps({"stages": {}, "tasks": tasks}))
    return home


@pytest.fixture(scope="module")
def evaluated(home: Path) -> Path:
    """What `evaluate` says of the run's predictions."""
    folders = [f"predictions={home / 'runs' / 'tiny' / 'predictions'}", f"truth={home / 'truth'}"]
    words = ["regions={core: [1], tumour: [1, 2]}", "tumour=tumour", f"out={home / 'scores'}"]
    assert main(["evaluate", *folders, *words]) == 1  # a prediction is missing
    return home / "scores"


@pytest.mark.parametrize("name", ["poor", "alarm"])
def test_voxels_of_a_run_are_those_of_its_files(home: Path, name: str) -> None:
    one = next(one for one in CASES if one.case == name)
    case = medseg.open_run(home / "runs" / "tiny").case(name)
    assert np.array_equal(case.truth.voxels[0], truth_of(one))
    assert np.array_equal(case.prediction.voxels[0], prediction_of(one))
    assert case.image.voxels.shape == (1, *SHAPE)
    assert case.image.spacing_mm == case.truth.spacing_mm == pytest.approx(SPACING_MM)
    assert case.image.voxels[0][truth_of(one) > 0].mean() > 100 if one.tumour else case.image.voxels.max() < 100


def test_where_the_reader_stands_does_not_matter(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert medseg.open_run(home / "runs" / "tiny").case("good").image.shape == SHAPE
    monkeypatch.chdir(home / "runs")
    assert medseg.open_run("tiny").case("good").image.shape == SHAPE


def test_a_command_that_was_started_beside_its_runs_is_followed(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "runs", tmp_path / "runs")
    shutil.copytree(home / ".medseg", tmp_path / "cache")
    path = tmp_path / "runs" / "tiny" / "settings.yaml"
    settings = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**settings, "machine": {"store": "../cache", "runs": "../runs"}}))
    assert medseg.open_run(path.parent).case("good").image.shape == SHAPE


def test_a_view_is_a_frame_that_needs_nothing_else(home: Path) -> None:
    case = medseg.open_run(home / "runs" / "tiny").case("poor")
    html = case.view(height=300).html
    assert html.startswith("<iframe ")
    assert 'sandbox="allow-scripts"' in html
    assert "height: 300px" in html
    assert not re.search(r"(src|href)=(&#34;|&quot;|\")?https?:", html)
    assert case.view(height=300).html == html


def test_a_copy_without_its_store_keeps_tables_and_pictures(home: Path, tmp_path: Path) -> None:
    run = medseg.open_run(shutil.copytree(home / "runs" / "tiny", tmp_path / "copy"))
    assert len(run.rows()) == 6
    assert run.case("poor").show().width > 300
    with pytest.raises(Refusal, match=r"the store still holds the index of the run, got none .*; .*case\.show\(\)"):
        _ = run.case("poor").image


def test_scans_that_are_gone_are_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "runs", tmp_path / "runs")
    shutil.copytree(home / ".medseg", tmp_path / ".medseg")
    path = tmp_path / "runs" / "tiny" / "settings.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["data"]["root"] = str(tmp_path / "gone")
    path.write_text(yaml.safe_dump(settings))
    with pytest.raises(Refusal, match=r"the scans are where they were, got no folder .*gone"):
        _ = medseg.open_run(path.parent).case("poor").truth


def test_a_case_without_a_prediction_has_no_voxels(home: Path) -> None:
    with pytest.raises(Refusal, match=r"gone: the scan has a prediction, got no file .*; see run\.failed"):
        _ = medseg.open_run(home / "runs" / "tiny").case("gone").prediction


def test_an_evaluation_opens_like_a_run(evaluated: Path) -> None:
    run = medseg.open_run(evaluated)
    assert (run.kind, run.region, len(run.cases)) == ("evaluation", "tumour", 6)
    assert run.curve.empty
    assert (run.card, run.stages, run.calibration) == ({}, {}, {})
    assert run.settings["settings"]["tumour"] == "tumour"
    assert set(run.failed) == {"gone"}
    assert run.worst(2)[1].id == "poor"


def test_voxels_of_an_evaluation_are_those_of_its_masks(evaluated: Path) -> None:
    one = next(one for one in CASES if one.case == "poor")
    case = medseg.open_run(evaluated).case("poor")
    assert np.array_equal(case.truth.voxels[0], truth_of(one))
    assert np.array_equal(case.prediction.voxels[0], prediction_of(one))
    with pytest.raises(
        Refusal, match="poor: an image is at hand, got label maps alone; evaluate again with images=DIR"
    ):
        _ = case.image
    assert case.view().html.startswith("<iframe ")
    with pytest.raises(Refusal, match="gone: the scan has a prediction that can be scored"):
        _ = medseg.open_run(evaluated).case("gone").truth


def test_masks_that_are_gone_are_refused(evaluated: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(evaluated, tmp_path / "copy")
    path = copy / "evaluate.json"
    record = json.loads(path.read_text())
    record["folders"]["truth"] = str(tmp_path / "nowhere")
    path.write_text(json.dumps(record))
    with pytest.raises(Refusal, match="poor: the masks are where they were, got no file"):
        _ = medseg.open_run(copy).case("poor").truth


def test_runs_are_compared_in_sentences_and_a_table(home: Path, evaluated: Path) -> None:
    found = medseg.compare_runs([home / "runs" / "tiny", evaluated], "regions=[tumour]")
    assert found.sentences
    dice = found.table.set_index(["region", "measure"]).loc[("tumour", "dice")]
    assert (dice["difference"], dice["n"], dice["p"]) == (0.0, 5, 1.0)
    assert (dice["wins"], dice["losses"]) == (0, 0)
    assert "<iframe" in found.show().html
    assert str(found) == "\n".join(found.sentences)


def test_a_comparison_is_kept_where_it_is_asked_to(home: Path, evaluated: Path, tmp_path: Path) -> None:
    medseg.compare_runs([home / "runs" / "tiny", evaluated], f"out={tmp_path / 'kept'}")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["compare.html", "compare.json"]
    with pytest.raises(Refusal, match="two runs or more are compared"):
        medseg.compare_runs([home / "runs" / "tiny"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("settings.yaml", "data: &a {root: here}\nmachine: *a\n"),
        ("settings.yaml", "[" * 3000),
        ("settings.yaml", "7"),
        ("stages.json", "{}"),
        ("stages.json", '{"tasks": [1]}'),
    ],
)
def test_a_strangers_records_are_refused_by_name(home: Path, tmp_path: Path, name: str, text: str) -> None:
    shutil.copytree(home / "runs", tmp_path / "runs")
    shutil.copytree(home / ".medseg", tmp_path / ".medseg")
    run = medseg.open_run(tmp_path / "runs" / "tiny")
    (run.path / name).write_text(text)
    with pytest.raises(Refusal, match=rf"tiny: its {name} is as medseg wrote it, got "):
        _ = run.case("poor").truth
