"""Whole experiments as real processes: what they leave behind, and that nothing is lost when they are stopped."""

from __future__ import annotations

import csv
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.cli.tiny_data import QUICK, make_data, medseg, save, scan, start

COMPARED = ("report/scores.csv", "report/summary.json", "model/weights.safetensors", "curve.csv")


def contents(folder: Path, names: tuple[str, ...] = COMPARED) -> dict[str, bytes]:
    return {name: (folder / "runs" / "tiny" / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and one finished run."""
    folder = tmp_path_factory.mktemp("finished")
    make_data(folder)
    code, output, errors = medseg(folder, "run", *QUICK)
    assert code == 0, errors
    assert output.strip() == "runs/tiny/report/report.html"
    return folder


def test_a_run_folder_is_complete(finished: Path) -> None:
    run = finished / "runs" / "tiny"
    for name in (
        *COMPARED,
        "settings.yaml",
        "stages.json",
        "provenance.json",
        "log.jsonl",
        "model/card.json",
        "calibration.json",
        "report/report.html",
    ):
        assert (run / name).stat().st_size > 0, name
    summary = json.loads((run / "report" / "summary.json").read_text())
    assert len(summary["held_out"]) == 2
    predictions = sorted(path.name.removesuffix(".nii.gz") for path in (run / "predictions").iterdir())
    assert predictions == sorted(summary["held_out"])
    with (run / "report" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:4] == ["case", "subject", "cohort", "region"]
    assert {row["case"] for row in rows} == set(summary["held_out"])
    assert sorted(path.name for path in finished.iterdir()) == [".medseg", "data", "runs"]


def test_predictions_lie_on_the_grid_of_the_scan(finished: Path) -> None:
    for path in (finished / "runs" / "tiny" / "predictions").iterdir():
        predicted = nibabel.load(path)
        scanned = nibabel.load(finished / "data" / "images" / path.name)
        assert predicted.shape == scanned.shape
        assert np.allclose(predicted.affine, scanned.affine, atol=1e-5)


def test_held_out_cases_are_no_input_of_what_is_learned(finished: Path) -> None:
    held_out = set(json.loads((finished / "runs" / "tiny" / "report" / "summary.json").read_text())["held_out"])
    for stage in ("fingerprint", "train", "calibrate"):
        manifests = list((finished / ".medseg" / stage).glob("*/manifest.json"))
        assert manifests
        for manifest in manifests:
            named = {name.split("/")[-1] for name in json.loads(manifest.read_text())["inputs"]}
            assert not named & held_out


def test_the_same_command_reuses_everything_and_changes_nothing(finished: Path) -> None:
    before = contents(finished)
    code, _, errors = medseg(finished, "run", *QUICK)
    assert code == 0
    statuses = {
        task["status"] for task in json.loads((finished / "runs" / "tiny" / "stages.json").read_text())["tasks"]
    }
    assert statuses == {"reused"}, errors
    assert contents(finished) == before


def test_an_earlier_stage_asked_for_again_takes_nothing_away(finished: Path) -> None:
    before = contents(finished)
    code, _, errors = medseg(finished, "prepare", *QUICK)
    assert code == 0, errors
    assert contents(finished) == before
    assert len(list((finished / "runs" / "tiny" / "predictions").iterdir())) == 2


def test_another_store_gives_the_same_bytes(finished: Path) -> None:
    before = contents(finished)
    code, _, errors = medseg(finished, "run", *QUICK, "machine.store=other_store", "machine.runs=other_runs")
    assert code == 0, errors
    for name, content in before.items():
        assert (finished / "other_runs" / "tiny" / name).read_bytes() == content, name


def test_written_settings_run_the_same_again(finished: Path) -> None:
    before = contents(finished)
    code, _, errors = medseg(finished, "plan", "--config-dir", "runs/tiny", "--config-name", "settings")
    assert code == 0, errors
    code, output, _ = medseg(finished, "plan", "--config-dir", "runs/tiny", "--config-name", "settings")
    stages = [line for line in output.splitlines() if " run" in line[12:18]]
    assert stages == [], output
    assert contents(finished) == before


def test_one_new_patient_costs_one_new_patient(finished: Path, tmp_path: Path) -> None:
    make_data(tmp_path)
    options = (*QUICK, f"machine.store={finished / '.medseg'}")
    image, mask = scan(99)
    save(tmp_path / "data" / "images" / "case_new.nii.gz", image)
    save(tmp_path / "data" / "labels" / "case_new.nii.gz", mask)
    code, _, errors = medseg(tmp_path, "prepare", *options)
    assert code == 0, errors
    tasks = json.loads((tmp_path / "runs" / "tiny" / "stages.json").read_text())["tasks"]
    assert [task["case"] for task in tasks if task["stage"] == "prepare" and task["status"] == "run"] == ["case_new"]


def test_plan_says_which_setting_makes_training_run_again(finished: Path) -> None:
    code, output, _ = medseg(finished, "plan", *QUICK, "training.learning_rate=0.001")
    assert code == 0
    assert "train        run: training.learning_rate 0.002 -> 0.001" in output
    assert "prepare      reuse (8 of 8 cases)" in output
    assert "calibrate    run: after train" in output
    assert "predict      run: after train" in output


def test_what_comes_after_training_is_no_reason_to_train_again(finished: Path) -> None:
    code, output, errors = medseg(finished, "plan", *QUICK, "inference.mirror=true", "inference.postprocess=none")
    assert code == 0, errors
    assert "train        reuse" in output
    assert "calibrate    run: inference.mirror False -> True; inference.postprocess auto -> none" in output


def test_a_clean_up_of_an_unknown_region_is_refused_before_training(finished: Path) -> None:
    before = sorted((finished / ".medseg" / "train").iterdir())
    words = ("inference.postprocess={keep_largest:[tumor]}", "training.steps=5")
    code, _, errors = medseg(finished, "run", *QUICK, *words)
    assert code == 2
    assert errors.splitlines()[-1] == (
        "error: inference.postprocess.keep_largest: names regions of ['tumour'], got tumor; did you mean 'tumour'?"
    )
    assert sorted((finished / ".medseg" / "train").iterdir()) == before


def test_a_sweep_gives_each_job_its_own_folder(finished: Path) -> None:
    code, output, errors = medseg(finished, "train", "-m", "training.learning_rate=0.002,0.004", *QUICK)
    assert code == 0, errors
    assert output.split() == ["runs/tiny-training.learning_rate=0.002", "runs/tiny-training.learning_rate=0.004"]
    for line in output.split():
        assert (finished / line / "model" / "weights.safetensors").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_in_training_and_continued(finished: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    make_data(tmp_path)
    words = ("run", *QUICK, "training.steps=800")
    # A parent that ignores Ctrl-C (a background job of a shell) hands that on; a person's terminal does not.
    process = start(tmp_path, *words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_for_step(tmp_path, 5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert "the same command goes on from here" in errors
    assert "Traceback" not in errors
    assert list((tmp_path / ".medseg" / "drafts").glob("train-*/checkpoint/*"))
    assert medseg(tmp_path, *words)[0] == 0
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "data").symlink_to(tmp_path / "data")
    assert medseg(whole, *words)[0] == 0
    assert contents(tmp_path) == contents(whole)


def wait_for_step(folder: Path, step: int) -> None:
    """Follow the log of the training until it holds `step` lines."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for log in (folder / ".medseg" / "drafts").glob("train-*/log.jsonl"):
            if log.read_bytes().count(b"\n") >= step:
                return
        select.select([], [], [], 0.05)
    raise AssertionError("training did not start")


def test_a_terminal_sees_bars_and_a_file_sees_lines(tmp_path: Path) -> None:
    make_data(tmp_path)
    ours, theirs = pty.openpty()
    code, _, errors = medseg(tmp_path, "train", *QUICK, "training.steps=6", "name=lines")
    assert code == 0
    assert "\x1b[" not in errors
    assert errors.splitlines()[0].startswith("medseg ")
    command = [sys.executable, "-m", "medseg", "train", *QUICK, "training.steps=30", "name=bars"]
    wide = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    running = subprocess.Popen(command, cwd=tmp_path, stderr=theirs, stdout=subprocess.DEVNULL, env=wide)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    assert running.wait(timeout=60) == 0
    text = seen.decode(errors="replace")
    assert "\x1b[" in text
    assert "train" in text
    assert "loss" in text


@pytest.mark.parametrize(
    "words",
    [
        ("network=unet2d", "patches.batch=4", "inference.mirror=true"),
        ("loss.activation=sigmoid", "loss=dice_focal", "network.deep_supervision=true"),
        ("network=monai", "network.name=UNet", "training.optimiser=sgd", "training.learning_rate=0.01"),
        ("prepare.normalise=percentile", "prepare.n4=true", "augment=full", "loss=tversky", "training.schedule=cosine"),
        ("training.minutes=0.05", "augment=none", "split.folds=3", "split.fold=1", "score.lesions=glioma"),
    ],
    ids=["2d", "sigmoid", "monai", "options", "minutes"],
)
def test_settings_combine(finished: Path, words: tuple[str, ...]) -> None:
    code, output, errors = medseg(finished, "run", *QUICK, *words)
    assert code == 0, errors
    summary = json.loads((finished / output.strip()).with_name("summary.json").read_text())
    assert summary["failed"] == []
    assert len(summary["held_out"]) == 2


def test_nothing_held_out_ends_with_the_model(finished: Path) -> None:
    code, output, errors = medseg(finished, "run", *QUICK, "split.held_out=0", "name=all")
    assert code == 0, errors
    assert output.strip() == "runs/all"
    assert (finished / "runs" / "all" / "model" / "weights.safetensors").is_file()
    assert not (finished / "runs" / "all" / "report").exists()


def test_a_named_list_is_held_out(finished: Path) -> None:
    (finished / "held_out.txt").write_text("case_3\ncase_5\n")
    code, _, errors = medseg(finished, "run", *QUICK, "split.held_out=held_out.txt", "name=named")
    (finished / "held_out.txt").unlink()
    assert code == 0, errors
    summary = json.loads((finished / "runs" / "named" / "report" / "summary.json").read_text())
    assert summary["held_out"] == ["case_3", "case_5"]


def test_a_case_that_cannot_be_predicted_counts_as_worst_and_is_listed(tmp_path: Path) -> None:
    make_data(tmp_path)
    flat = np.full((16, 14, 12), 100.0, np.float32)
    flat[0, 0, 0] = 1000.0
    save(tmp_path / "data" / "images" / "case_3.nii.gz", flat)
    (tmp_path / "held_out.txt").write_text("case_3\ncase_5\n")
    words = ("split.held_out=held_out.txt", "prepare.normalise=percentile")
    code, _, errors = medseg(tmp_path, "run", *QUICK, *words)
    assert code == 1
    assert [line.split(":")[1].strip() for line in errors.splitlines() if line.startswith("error:")] == ["case_3"]
    summary = json.loads((tmp_path / "runs" / "tiny" / "report" / "summary.json").read_text())
    assert [one["case"] if isinstance(one, dict) else one for one in summary["failed"]] == ["case_3"]
    with (tmp_path / "runs" / "tiny" / "report" / "scores.csv").open() as file:
        rows = {(row["case"], row["region"]): row for row in csv.DictReader(file)}
    assert float(rows["case_3", "tumour"]["dice"]) == 0
    assert rows["case_3", "tumour"]["reason"]
