"""What trackers leave on the disk, read back with the tools of their makers, also after a crash and a restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.trackers.opening import flat, open_trackers
from medseg.engines.training.trackers.tracker import Start, Tracker, Trackers

ROOT = Path(__file__).parents[2]
Found = tuple[list[tuple[int, float]], list[tuple[int, float]]]  # steps with their losses, and with their Dice
LOSSES = {step: 1.0 / step for step in range(1, 9)}
CRASHING = """
    import os, signal, sys
    from pathlib import Path
    from medseg.engines.training.trackers.tracker import Trackers
    from tests.engines.test_training_tracker_files import opened, rows, validation

    trackers = Trackers()
    trackers.add(opened(Path(sys.argv[1]), sys.argv[2], 0))
    trackers.steps(rows(1, 2))
    trackers.validation(validation(2))
    trackers.steps(rows(3, 4))
    trackers.save()  # a checkpoint
    trackers.steps(rows(5, 6))
    trackers.validation(validation(6))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def rows(*steps: int) -> list[dict[str, float]]:
    return [
        {"step": n, "loss": LOSSES[n], "learning_rate": 0.1, "gradient_norm": 2.0, "seconds": 0.5 * n} for n in steps
    ]


def validation(step: int) -> dict[str, object]:
    return {"step": step, "validation_dice": step / 10, "cases": {"jane_doe": 0.25}, "seconds": 9.0}


def opened(folder: Path, kind: str, step: int) -> dict[str, Tracker]:
    """Open a tracker for a training that goes on after `step`, which is 0 or 4."""
    records = [*rows(1, 2), validation(2), {"step": 3, "memory_mb": 5}, *rows(3, 4)]
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return open_trackers([kind], Start(folder, "f" * 64, step, flat(TrainingSettings())), folder / "log.jsonl")


def go_on(folder: Path, kind: str) -> None:
    """Go on from the checkpoint after step four to step eight."""
    trackers = Trackers()
    trackers.add(opened(folder, kind, 4))
    trackers.steps(rows(5, 6))
    trackers.validation(validation(6))
    trackers.steps(rows(7, 8))
    trackers.validation(validation(8))
    trackers.close()


def in_tensorboard(folder: Path) -> Found:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert "settings/text_summary" in events.Tags()["tensors"]
    losses, dices = events.Scalars("training/loss"), events.Scalars("validation/dice")
    return [(one.step, one.value) for one in losses], [(one.step, one.value) for one in dices]


def in_mlflow(folder: Path) -> Found:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("medseg").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["optimiser"] == "adamw"
    assert [path.name for path in (folder / "mlflow").iterdir()] == ["mlflow.db"]
    losses, dices = (client.get_metric_history(run.info.run_id, name) for name in ("loss", "validation_dice"))
    return sorted((one.step, one.value) for one in losses), sorted((one.step, one.value) for one in dices)


def in_wandb(folder: Path) -> Found:
    (run,) = (folder / "wandb/wandb").glob("offline-run-*")
    assert run.name.endswith("f" * 16)
    history = wandb_history(next(run.glob("*.wandb")))
    dices = [(int(row["_step"]), row["validation_dice"]) for row in history if "validation_dice" in row]
    return [(int(row["_step"]), row["loss"]) for row in history], dices


def wandb_history(path: Path) -> list[dict[str, float]]:
    """Read the rows of an offline run: a log in LevelDB's format, of protocol buffers."""
    from wandb.proto import wandb_internal_pb2

    found = []
    for data in log_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            found.append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in items})
    return found


def log_records(content: bytes, block: int = 32768) -> Iterator[bytes]:
    """Yield the records of a log file: after 7 bytes of its own, pieces with checksum, length and kind (4 + 2 + 1)."""
    assert content[:4] == b":W&B"
    place, whole = 7, b""
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            yield whole
            whole = b""


READERS = {"tensorboard": in_tensorboard, "mlflow": in_mlflow, "wandb": in_wandb}


@pytest.mark.parametrize("kind", sorted(READERS))
def test_killed_and_continued_every_step_is_shown_once(tmp_path: Path, kind: str) -> None:
    pytest.importorskip(kind)
    command = [sys.executable, "-c", textwrap.dedent(CRASHING), str(tmp_path), kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout + done.stderr == ""
    go_on(tmp_path, kind)
    losses, dices = READERS[kind](tmp_path)
    assert losses == [(step, pytest.approx(loss)) for step, loss in LOSSES.items()]
    assert dices == [(step, pytest.approx(step / 10)) for step in (2, 6, 8)]
    assert not any(b"jane_doe" in path.read_bytes() for path in (tmp_path / kind).rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_one_that_was_not_asked_for_at_first_gets_the_past(tmp_path: Path, kind: str) -> None:
    pytest.importorskip(kind)
    go_on(tmp_path, kind)
    losses, dices = READERS[kind](tmp_path)
    assert [step for step, _ in losses] == list(LOSSES)
    assert [step for step, _ in dices] == [2, 6, 8]


def test_a_clock_that_is_behind_hides_nothing(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    go_on(tmp_path, "tensorboard")
    (first,) = (tmp_path / "tensorboard").iterdir()
    *head, second, rest = first.name.split(".", 4)
    first.rename(first.with_name(".".join([*head, str(int(second) + 1000), rest])))
    go_on(tmp_path, "tensorboard")
    losses, dices = in_tensorboard(tmp_path)
    assert [step for step, _ in losses] == list(LOSSES)
    assert [step for step, _ in dices] == [2, 6, 8]


def test_a_tracker_that_cannot_be_opened_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").write_text("a file where a folder is wanted")
    assert opened(tmp_path, "tensorboard", 0) == {}
    assert "the tracker tensorboard could not be opened (FileExistsError" in caplog.text
    assert "training goes on without it" in caplog.text
