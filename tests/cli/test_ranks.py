"""One experiment by several processes under torchrun: the same as by one, stopped, killed and continued."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_run import wait_for_step
from tests.cli.tiny_data import QUICK, make_data, medseg

STEPS = 40
WORDS = (
    *QUICK, f"training.steps={STEPS}", "training.optimiser=sgd", "training.learning_rate=0.001", "patches.batch=3",
)  # fmt: skip
OFTEN = "machine.checkpoint_seconds=0.001"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "medseg")
KEPT = ("model/weights.safetensors", "model/card.json", "curve.csv")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start two processes of medseg in `folder`."""
    command = [sys.executable, *TORCHRUN, *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def together(folder: Path, *words: str) -> tuple[int, str, str]:
    """Run two processes of medseg to their end: exit code, standard output, standard error."""
    process = start(folder, *words)
    output, errors = process.communicate(timeout=240)
    return process.returncode, output, errors


def ranks_below(parent: int) -> dict[int, int]:
    """Return the numbers of the processes that torchrun has started, by rank."""
    found = {}
    for line in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        variables = Path(f"/proc/{line}/environ").read_bytes().decode().split("\0")
        found.update({int(one.removeprefix("RANK=")): int(line) for one in variables if one.startswith("RANK=")})
    return found


def errors_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error: ")]


def losses(run: Path) -> list[float]:
    with (run / "curve.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def kept(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in KEPT}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    make_data(folder)
    code, _, errors = medseg(folder, "run", *WORDS)
    assert code == 0, errors
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A run of two processes, what it wrote to standard output and to standard error."""
    folder = tmp_path_factory.mktemp("pair")
    make_data(folder)
    code, output, errors = together(folder, "run", *WORDS)
    assert code == 0, errors
    return folder, output, errors


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "runs/tiny/report/scores.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_two_processes_do_what_one_does(alone: Path, pair: tuple[Path, str, str]) -> None:
    folder, output, errors = pair
    ours, theirs = losses(folder / "runs/tiny"), losses(alone / "runs/tiny")
    assert len(ours) == STEPS
    assert ours == pytest.approx(theirs, abs=1e-5)
    names = ("case", "subject", "cohort", "region", "volume_truth_ml")
    assert [[row[name] for name in names] for row in table(folder)] == [
        [row[name] for name in names] for row in table(alone)
    ]
    for stage in ("prepare", "predict", "score"):
        assert tasks(folder, stage) == tasks(alone, stage)
    assert output.split() == ["runs/tiny/report/report.html"]
    assert errors.count("medseg 0") == errors.count("index        run") == 1


def tasks(folder: Path, stage: str) -> dict[str, str]:
    """Return what became of each case of a stage."""
    record: dict[str, Any] = json.loads((folder / "runs/tiny/stages.json").read_text(encoding="utf-8"))
    return {task["case"]: task["status"] for task in record["tasks"] if task["stage"] == stage}


def test_stopped_and_killed_it_goes_on_to_the_same_bytes_or_on_one_process(
    alone: Path, pair: tuple[Path, str, str], tmp_path: Path
) -> None:
    whole, here = pair[0], tmp_path / "here"
    shutil.copytree(whole, here)
    shutil.rmtree(here / ".medseg/train")
    process = start(here, "train", *WORDS, OFTEN)
    wait_for_step(here, 5)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert errors_in(errors) == ["error: medseg: stopped by SIGTERM; the same command goes on from here"], errors

    process = start(here, "train", *WORDS, OFTEN)
    wait_for_step(here, 20)
    os.kill(ranks_below(process.pid)[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors_in(errors)
    assert line.startswith("error: torchrun: another process of this run was lost, got ")
    assert line.endswith("; the same command continues from here")
    assert list(here.glob(".medseg/drafts/train-*/checkpoint/step-*"))

    shutil.copytree(here, tmp_path / "single")
    code, _, errors = together(here, "train", *WORDS)
    assert code == 0, errors
    assert kept(here / "runs/tiny") == kept(whole / "runs/tiny")
    code, _, errors = medseg(tmp_path / "single", "train", *WORDS)
    assert code == 0, errors
    assert losses(tmp_path / "single/runs/tiny") == pytest.approx(losses(alone / "runs/tiny"), abs=1e-5)


def test_refusals_are_said_once_and_other_commands_are_the_leaders(pair: tuple[Path, str, str]) -> None:
    code, output, errors = together(pair[0], "train", *WORDS, "patches.batch=1")
    assert code == 1
    assert output == ""
    assert [line.split(",")[0] for line in errors_in(errors)] == [
        "error: patches.batch: each of the 2 processes needs a patch of every batch"
    ]
    place = {**os.environ, "WORLD_SIZE": "2"}
    assert medseg(pair[0], "plan", *WORDS, env={**place, "RANK": "1"}) == (0, "", "")
    code, output, errors = medseg(pair[0], "plan", *WORDS, env={**place, "RANK": "0"})
    assert code == 0, errors
    assert "index        reuse" in output
