"""The train stage: it learns, writes its package, and survives signals, kill -9 and damage byte for byte."""

from __future__ import annotations

import csv
import json
import logging
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.packages.package import load_model
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.engines.training.settings import TrainingSettings
from medseg.files.prepared import PreparedCase, write_prepared
from medseg.files.records import SchemeRecord, write_record
from medseg.networks.settings import UNet2D, UNet3D
from medseg.ops.loss_settings import LossSettings
from medseg.ops.preparing import PrepareSettings
from medseg.stages.train import run
from medseg.stages.training.settings import TrainStageSettings
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan
from tests.packages import write_preparation

ROOT = Path(__file__).parents[2]
ONE_THREAD = Machine(device="cpu", threads=1, checkpoint_seconds=1e9)
ALWAYS_SAVING = Machine(device="cpu", threads=1, checkpoint_seconds=1e-9)
KEPT = ("curve.csv", "model/weights.safetensors", "model/card.json")


def settings(steps: int = 12, plane: bool = False, **others: Any) -> TrainStageSettings:
    given: dict[str, Any] = {
        "seed": 1,
        "network": UNet2D(dropout=0.1) if plane else UNet3D(deep_supervision=True, dropout=0.05),
        "loss": LossSettings(),
        "patches": PatchSettings(),
        "augment": AugmentSettings(),
        "training": TrainingSettings(steps=steps, validate_every=-(-steps // 3), learning_rate=0.01),
        "inference": InferenceSettings(),
        "prepare": PrepareSettings(),
    }
    return TrainStageSettings(**{**given, **others})


def balls(seed: int, channels: int = 1) -> PreparedCase:
    """Return a case with a bright ball, its core (class 2) brighter still; seed 99 has none."""
    generator = np.random.default_rng(seed)
    grid = np.indices((14, 15, 16)).T.swapaxes(0, 2)
    away = np.linalg.norm(grid - generator.uniform(5, 9, 3), axis=-1)
    classes = ((away < 4.5).astype(np.uint8) + (away < 2.5).astype(np.uint8)) * np.uint8(seed != 99)
    image = classes + generator.normal(0, 0.3, (channels, *classes.shape))
    seeds = {k: np.argwhere(classes == k).astype(np.int32) for k in (1, 2) if (classes == k).any()}
    return PreparedCase(f"case{seed:02}", image.astype(np.float32), classes, seeds, (1.0, 1.0, 1.0), {})


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """Return the inputs of a small training: four cases, two and a healthy one to validate."""
    return make_inputs(tmp_path)


def make_inputs(folder: Path, plane: int | None = None, size: int = 8, width: int = 4) -> dict[str, Path]:
    dimensions: Literal[2, 3] = 3 if plane is None else 2
    patch = [size] * 3
    if plane is not None:
        patch[plane] = 1
    architecture = Architecture(
        dimensions=dimensions,
        channels=1,
        outputs=3,
        features=(width, 2 * width),
        strides=((1,) * dimensions, (2,) * dimensions),
        kernels=((3,) * dimensions,) * 2,
    )
    plan = Plan(
        spacing_mm=(1.0, 1.0, 1.0),
        patch=(patch[0], patch[1], patch[2]),
        batch=2 if plane is None else 8,
        plane=plane,
        architecture=architecture,
    )
    scheme = SchemeRecord(labels={"rim": 1, "core": 4}, regions={"core": (4,), "tumour": (1, 4)}, tumour="tumour")
    write_record(folder / "in/plan.json", plan)
    write_record(folder / "in/scheme.json", scheme)
    found = {"plan": folder / "in/plan.json", "scheme": folder / "in/scheme.json", **write_preparation(folder / "in")}
    for seed, role in [(1, "train"), (2, "train"), (3, "train"), (99, "train"), (5, "validation"), (6, "validation")]:
        case = balls(seed)
        found[f"{role}/{case.case}"] = folder / "in" / case.case
        write_prepared(folder / "in" / case.case, case)
    return found


def train(
    given: TrainStageSettings, inputs: dict[str, Path], out: Path, machine: Machine = ONE_THREAD
) -> dict[str, bytes]:
    out.mkdir(exist_ok=True)
    run(given, inputs, out, machine)
    return {name: (out / name).read_bytes() for name in KEPT}


def curve(out: Path) -> list[dict[str, str]]:
    with (out / "curve.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@contextmanager
def listening(hear: Callable[[Any], None]) -> Iterator[None]:
    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            hear(record.progress)  # type: ignore[attr-defined]

    ear, logger = Ear(), logging.getLogger("medseg.progress")
    level = logger.level
    logger.addHandler(ear)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)


@pytest.mark.parametrize(("plane", "size", "width"), [(None, 12, 8), (1, 14, 16)])
def test_it_learns_and_writes_a_model_that_others_can_load(
    tmp_path: Path, plane: int | None, size: int, width: int
) -> None:
    news: list[Any] = []
    given = settings(96, plane is not None)
    with listening(news.append):
        train(given, make_inputs(tmp_path, plane, size, width), tmp_path / "out")
    rows = curve(tmp_path / "out")
    assert list(rows[0]) == ["step", "loss", "learning_rate", "validation_dice"]
    assert [int(row["step"]) for row in rows] == list(range(1, 97))
    losses = [float(row["loss"]) for row in rows]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    scored = {int(row["step"]): float(row["validation_dice"]) for row in rows if row["validation_dice"]}
    assert list(scored) == [32, 64, 96]
    network, card = load_model(tmp_path / "out/model")
    assert card.validation_dice == pytest.approx(max(scored.values()), rel=1e-6)
    assert scored[card.step] == max(scored.values()) > 0.6
    assert (card.steps, card.activation, card.channels, card.mirror_axes) == (96, "softmax", 1, (0,))
    assert network(torch.zeros(1, 1, *(n for n in card.plan.patch if n > 1))).shape[1] == 3
    assert not (tmp_path / "out/checkpoint").exists()
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum("loss" in record for record in log) == 96
    validations = [record for record in log if "validation_dice" in record]
    assert len(validations) == 3
    assert {name for record in validations for name in record["cases"]} <= {"case05", "case06"}
    assert all(record["cases"].keys() == validations[0]["cases"].keys() for record in validations)
    assert {(item.task, item.total, item.unit) for item in news} == {("train", 96, "steps")}
    assert (news[-1].done, sorted(news[-1].facts)) == (96, ["dice", "loss"])


def test_regions_are_trained_with_sigmoid(tmp_path: Path) -> None:
    inputs = make_inputs(tmp_path, None, 12, 8)
    plan = Plan.model_validate_json(inputs["plan"].read_text(encoding="utf-8"))
    two = plan.architecture.model_copy(update={"outputs": 2})
    write_record(inputs["plan"], plan.model_copy(update={"architecture": two}))
    train(settings(100, loss=LossSettings(activation="sigmoid")), inputs, tmp_path / "out")
    card = load_model(tmp_path / "out/model")[1]
    assert card.activation == "sigmoid"
    assert card.validation_dice is not None
    assert card.validation_dice > 0.6


def test_the_same_training_gives_the_same_bytes_and_another_seed_others(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    one = train(settings(), inputs, tmp_path / "one")
    assert train(settings(), dict(reversed(inputs.items())), tmp_path / "two", ALWAYS_SAVING) == one
    other = train(settings(seed=2), inputs, tmp_path / "three")
    assert all(other[name] != one[name] for name in KEPT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_next_run_ends_with_the_same_bytes(
    tmp_path: Path, inputs: dict[str, Path], number: signal.Signals
) -> None:
    class Stopped(KeyboardInterrupt):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    whole = train(settings(), inputs, tmp_path / "whole")
    former = signal.signal(number, stop)
    try:
        with listening(lambda _: signal.raise_signal(number)), pytest.raises(Stopped):
            train(settings(), inputs, tmp_path / "out")
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, former)
    stopped_at = int((tmp_path / "out/curve.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")[0])
    assert stopped_at < 12
    assert [path.name for path in (tmp_path / "out/checkpoint").iterdir()] == [f"step-{stopped_at:010}"]
    assert train(settings(), inputs, tmp_path / "out") == whole


KILLED = """
    import logging, sys
    from pathlib import Path
    from medseg.stages.train import run
    from medseg.stages.training.settings import TrainStageSettings
    from medseg.values.machine import Machine

    class Tell(logging.Handler):
        def emit(self, record):
            print(int(record.progress.done), flush=True)

    logging.getLogger("medseg.progress").addHandler(Tell())
    logging.getLogger("medseg.progress").setLevel(logging.INFO)
    folder = Path(sys.argv[1])
    given = TrainStageSettings.model_validate_json((folder / "settings.json").read_text())
    inputs = {name: Path(path) for name, path in (line.split("=") for line in sys.argv[2:])}
    run(given, inputs, folder / "out", Machine(device="cpu", threads=1, checkpoint_seconds=1e-9))
"""


def kill_after(step: int, folder: Path, inputs: dict[str, Path]) -> None:
    """Run the stage in a process of its own and kill it, without any warning, once it tells of `step`."""
    arguments = [f"{name}={path}" for name, path in inputs.items()]
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= step:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL


def test_killed_without_warning_it_goes_on_to_the_same_bytes(tmp_path: Path, inputs: dict[str, Path]) -> None:
    given = settings(100)
    (tmp_path / "settings.json").write_text(given.model_dump_json(), encoding="utf-8")
    (tmp_path / "out").mkdir()
    whole = train(given, inputs, tmp_path / "whole")
    kill_after(2, tmp_path, inputs)
    assert list((tmp_path / "out/checkpoint").glob("step-*"))
    assert not (tmp_path / "out/model").exists()
    with (tmp_path / "out/curve.csv").open("ab") as file:
        file.write(b"\n9999,half a ro")
    assert train(given, inputs, tmp_path / "out") == whole


def interrupted(given: TrainStageSettings, inputs: dict[str, Path], out: Path) -> list[Path]:
    """Train until the second piece of news, saving after every step; return the checkpoints, newest first."""

    def stop(progress: Any) -> None:
        if progress.done > 1:
            raise KeyboardInterrupt

    with listening(stop), pytest.raises(KeyboardInterrupt):
        train(given, inputs, out, ALWAYS_SAVING)
    return sorted((out / "checkpoint").iterdir(), reverse=True)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, inputs: dict[str, Path]) -> None:
    given = settings(30)
    whole = train(given, inputs, tmp_path / "whole")
    newest, before = interrupted(given, inputs, tmp_path / "out")
    tensors = newest / "tensors.safetensors"
    content = bytearray(tensors.read_bytes())
    content[len(content) // 2] ^= 0x10
    tensors.write_bytes(bytes(content))
    first: list[float] = []
    with listening(lambda progress: first.append(progress.done)):
        assert train(given, inputs, tmp_path / "out") == whole
    assert first[0] == int(before.name.removeprefix("step-")) + 1


def test_a_checkpoint_of_another_training_or_without_its_curve_is_not_used(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    given = settings(30)
    whole = train(given, inputs, tmp_path / "whole")
    interrupted(settings(30, seed=5), inputs, tmp_path / "out")
    assert train(given, inputs, tmp_path / "out") == whole
    interrupted(given, inputs, tmp_path / "cut")
    (tmp_path / "cut/curve.csv").write_bytes(b"step")
    assert train(given, inputs, tmp_path / "cut") == whole


def test_a_finished_training_is_left_as_it_is(tmp_path: Path, inputs: dict[str, Path]) -> None:
    train(settings(3), inputs, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    train(settings(3), inputs, tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_minutes_end_the_training_and_are_counted_over_restarts(tmp_path: Path, inputs: dict[str, Path]) -> None:
    given = settings(training=TrainingSettings(minutes=0.025, validate_every="0.0125min"))
    fractions: list[float] = []

    def stop(progress: Any) -> None:
        fractions.append(progress.fraction)
        if progress.fraction > 0.3:
            raise KeyboardInterrupt

    with listening(stop), pytest.raises(KeyboardInterrupt):
        train(given, inputs, tmp_path / "out", ALWAYS_SAVING)
    with listening(lambda progress: fractions.append(progress.fraction)):
        train(given, inputs, tmp_path / "out")
    stopped = next(place for place, fraction in enumerate(fractions) if fraction > 0.3)
    assert fractions[stopped + 1] > 0.2
    assert fractions[-1] == 1.0
    rows = curve(tmp_path / "out")
    assert [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    assert rows[-1]["validation_dice"]
    assert float(rows[-1]["learning_rate"]) < 0.3 * max(float(row["learning_rate"]) for row in rows)


def test_without_labelled_validation_cases_the_last_average_is_kept(tmp_path: Path, inputs: dict[str, Path]) -> None:
    alone = {name: path for name, path in inputs.items() if not name.startswith("validation/")}
    train(settings(4), alone, tmp_path / "out")
    card = load_model(tmp_path / "out/model")[1]
    assert (card.validation_dice, card.step, card.steps) == (None, 4, 4)
    assert not any(row["validation_dice"] for row in curve(tmp_path / "out"))


def test_a_loss_that_is_not_finite_is_refused_and_not_saved(tmp_path: Path, inputs: dict[str, Path]) -> None:
    write_prepared(inputs["train/case01"], PreparedCase("case01", np.full((1, 14, 15, 16), np.nan, np.float32),
                   balls(1).classes, balls(1).seeds, (1.0, 1.0, 1.0), {}))  # fmt: skip
    with pytest.raises(Refusal, match=r"the loss of step \d+ is finite, got nan; lower training\.learning_rate"):
        train(settings(), inputs, tmp_path / "out")
    assert not (tmp_path / "out/model").exists()


def test_cases_that_do_not_fit_the_plan_are_refused(tmp_path: Path, inputs: dict[str, Path]) -> None:
    write_prepared(inputs["train/case02"], balls(2, channels=3))
    with pytest.raises(Refusal, match=r"case02: a case has the plan's 1 channels, got 3"):
        train(settings(), inputs, tmp_path / "out")
    none = {name: path for name, path in inputs.items() if not name.startswith("train/")}
    with pytest.raises(Refusal, match="training set: holds at least one case, got 0"):
        train(settings(), none, tmp_path / "out")
