"""Fine-tuning by command: what is told, what is kept, and that only the content of the package counts."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.tiny_data import QUICK, make_data, medseg

TUNED = (*QUICK, "name=tuned", "training.start_from=runs/tiny")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, one trained run and one that was fine-tuned from it."""
    folder = tmp_path_factory.mktemp("trained")
    make_data(folder)
    code, _, errors = medseg(folder, "train", *QUICK)
    assert code == 0, errors
    shown = ("machine.trackers=[tensorboard]",) if find_spec("tensorboard") else ()
    code, _, errors = medseg(folder, "train", *TUNED, *shown)
    assert code == 0, errors
    (folder / "told.txt").write_text(errors)
    return folder


def test_it_tells_and_keeps_what_was_taken(trained: Path) -> None:
    lines = [line for line in (trained / "told.txt").read_text().splitlines() if line.startswith("starts from")]
    report = json.loads((trained / "runs/tuned/transfer.json").read_text())
    count, digest = len(report["taken"]), report["weights"][:12]
    assert lines == [f"starts from package {digest}: {count} of {count} tensors taken, 0 new; 100.0 % of the values"]
    card = json.loads((trained / "runs/tuned/model/card.json").read_text())
    assert card["started_from"] == {
        "weights": report["weights"], "taken": count, "adapted": 0, "new": 0, "frozen": [],
    }  # fmt: skip
    first = json.loads((trained / "runs/tiny/model/card.json").read_text())
    assert first["started_from"] is None
    assert card["plan"] == first["plan"]


def test_trackers_are_told_of_and_lie_in_the_run_where_they_can_be_written_to(trained: Path) -> None:
    pytest.importorskip("tensorboard")
    lines = (trained / "told.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("curves in tensorboard: tensorboard --logdir ")]
    (events,) = (trained / "runs/tuned/trackers/tensorboard").iterdir()
    assert events.stat().st_mode & 0o200
    assert events.stat().st_nlink == 1


def test_moving_the_package_trains_nothing_again_and_another_one_does(trained: Path) -> None:
    shutil.copytree(trained / "runs/tiny/model", trained / "elsewhere")
    settings = (trained / "runs/tuned/settings.yaml").read_text()
    assert f"start_from: {trained / 'runs/tiny'}\n" in settings
    moved = ("--config-dir", "runs/tuned", "--config-name", "settings", "training.start_from=elsewhere")
    code, output, errors = medseg(trained, "plan", *moved)
    assert code == 0, errors
    assert "train        reuse" in output
    card = json.loads((trained / "elsewhere/card.json").read_text())
    (trained / "elsewhere/card.json").chmod(0o644)
    (trained / "elsewhere/card.json").write_text(json.dumps({**card, "steps": 999}))
    code, output, _ = medseg(trained, "plan", *moved)
    assert "fingerprint  run: input start changed" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("training.start_from=nowhere",),
            "error: training.start_from: a folder with card.json and weights.safetensors, or of a run that holds "
            "model/, is needed, got nowhere; check the path",
        ),
        (
            ("training.start_from=runs/tiny", "name=tiny"),
            "error: training.start_from: a package that this run does not replace is needed, got runs/tiny; "
            "give the new run another name=",
        ),
        (
            ("training.freeze=[encoder]",),
            "error: training.freeze: only parts of a package can stay as they are, got ['encoder']; "
            "set training.start_from, or take it out",
        ),
    ],
)
def test_what_cannot_be_started_from_is_refused_before_anything_is_done(
    trained: Path, words: tuple[str, ...], message: str
) -> None:
    code, output, errors = medseg(trained, "run", *QUICK, "name=refused", "machine.store=untouched", *words)
    assert (code, output) == (2, "")
    assert errors.splitlines()[-1] == message
    assert not (trained / "untouched" / "index").exists()


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="the extra mlflow is installed")
def test_a_tracker_that_is_not_installed_is_refused_before_anything_is_done(trained: Path) -> None:
    code, _, errors = medseg(trained, "run", *QUICK, "machine.store=untouched", "machine.trackers=[mlflow]")
    assert code == 2
    assert errors.splitlines()[-1] == (
        "error: machine.trackers: mlflow needs the extra 'mlflow', got no mlflow; pip install 'medseg[mlflow]', or "
        "take mlflow out of machine.trackers"
    )
    assert not (trained / "untouched" / "index").exists()


def test_what_the_package_does_not_have_is_refused_before_any_scan_is_prepared(trained: Path) -> None:
    code, _, errors = medseg(trained, "run", *TUNED, "machine.store=early", "training.freeze=[encodr]")
    assert code == 2
    assert errors.splitlines()[-1] == (
        "error: training.freeze: the network has the parts encoder, climbs, decoder, heads, and parts of them such as "
        "encoder.0, got 'encodr'; did you mean 'encoder'? name one of them"
    )
    assert (trained / "early" / "fingerprint").is_dir()
    assert not (trained / "early" / "prepare").exists()


def test_a_training_done_elsewhere_is_reused_where_it_could_not_be_done(trained: Path) -> None:
    code, output, errors = medseg(trained, "plan", *QUICK, "machine.cuda_graphs=true")
    assert code == 0, errors
    assert "train        reuse" in output
    code, _, errors = medseg(trained, "plan", *QUICK, "machine.cuda_graphs=true", "seed=5")
    assert code == 2
    assert errors.splitlines()[-1].startswith("error: machine.cuda_graphs: a step is recorded whole")


def test_a_refused_command_leaves_what_an_earlier_one_has_made(trained: Path) -> None:
    run = trained / "runs/tiny"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "settings.yaml"}
    settings = (run / "settings.yaml").read_bytes()
    for words in (("training.start_from=nowhere",), ("data.root=nowhere",), ("patches.case_weights={case_99: 2}",)):
        code, _, errors = medseg(trained, "run", *QUICK, *words)
        assert (code, errors.count("error: ")) == (2, 1)
    assert medseg(trained, "train", *QUICK, "augment=full", "training.show_batch=1")[0] == 0
    batch = {run / "batches"} | set((run / "batches").rglob("*"))
    assert {p: p.stat().st_mtime_ns for p in set(run.rglob("*")) - batch if p.name != "settings.yaml"} == before
    assert (run / "settings.yaml").read_bytes() == settings
