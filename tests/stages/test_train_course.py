"""The course of a training: early ends, kept weights, every place where a crash can leave it, and divergence."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from medseg.cli.display import screen
from medseg.engines.packages.package import load_model
from medseg.engines.training.settings import TrainingSettings
from medseg.files.prepared import PreparedCase, write_prepared
from medseg.values.error import Refusal
from tests.stages.test_train import (
    ALWAYS_SAVING,
    ONE_THREAD,
    balls,
    curve,
    interrupted,
    listening,
    make_inputs,
    settings,
    train,
)

KEPT = ("best", "best_raw", "last", "last_raw")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def tree(out: Path) -> dict[str, bytes]:
    """Return every file of a training but the log, which holds seconds."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "log.jsonl")
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def stale(**others: Any) -> Any:
    """Return settings with which nothing is learned, so that the second validation is no better than the first."""
    given = {"steps": 200, "learning_rate": 1e-12, "weight_decay": 0.0, "validate_every": 25, "patience": 1}
    return settings(training=TrainingSettings.model_validate({**given, "schedule": "constant", **others}))


@pytest.fixture(scope="module")
def stopped_early(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("early") / "out"
    train(stale(), inputs, out)
    return out


def test_without_a_better_dice_the_rate_falls_to_nothing_and_training_ends(stopped_early: Path) -> None:
    rows = curve(stopped_early)
    scored = [int(row["step"]) for row in rows if row["validation_dice"]]
    first, second, last = scored
    assert second == 2 * first
    assert last == len(rows) == second + 20
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates[second - 1] == pytest.approx(1e-12)
    falling = [1e-12 * (1 - (number + 0.5) / 20) for number in range(20)]
    assert rates[second:] == pytest.approx(falling, rel=1e-6)
    card = load_model(stopped_early / "model")[1]
    assert (card.steps, card.planned_steps, card.stopped_early) == (last, 200, True)
    log = [json.loads(line) for line in (stopped_early / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {"step": second, "cooling_down": True, "best_step": second} in log


def test_an_early_end_is_told_once_in_words(
    inputs: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "medseg"):
        train(stale(), inputs, tmp_path / "out")
    told = [text for text in caplog.messages if "ends early" in text]
    assert len(told) == 1
    assert "the Dice has not risen since step" in told[0]
    assert "(validations: 1): the learning rate falls" in told[0]


def test_stopped_while_cooling_down_it_goes_on_to_the_same_bytes(
    inputs: dict[str, Path], tmp_path: Path, stopped_early: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medseg.engines.training.course.NEWS_SECONDS", 0.0)  # news of every step, however quick
    end = len(curve(stopped_early))

    def stop(progress: Any) -> None:
        if progress.done > end - 12:
            raise KeyboardInterrupt

    with listening(stop), pytest.raises(KeyboardInterrupt):
        train(stale(), inputs, tmp_path / "out", ALWAYS_SAVING)
    assert 0 < len(curve(tmp_path / "out")) < end
    train(stale(), inputs, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(stopped_early)


def test_without_patience_training_goes_to_its_end(inputs: dict[str, Path], tmp_path: Path) -> None:
    train(stale(patience=None, steps=40), inputs, tmp_path / "out")
    card = load_model(tmp_path / "out/model")[1]
    assert (card.steps, card.planned_steps, card.stopped_early) == (40, 40, False)


@pytest.mark.parametrize("weights", ["best", "last"])
def test_best_and_last_weights_are_kept_averaged_and_raw(inputs: dict[str, Path], tmp_path: Path, weights: str) -> None:
    training = TrainingSettings.model_validate(
        {"steps": 60, "validate_every": 20, "learning_rate": 0.02, "schedule": "constant", "weights": weights}
    )
    train(settings(training=training), inputs, tmp_path / "out")
    found = {name: load_file(tmp_path / f"out/weights/{name}.safetensors") for name in KEPT}
    assert sorted(path.name for path in (tmp_path / "out/weights").iterdir()) == sorted(
        f"{name}.safetensors" for name in KEPT
    )
    names = set(found["best"])
    assert all(set(tensors) == names for tensors in found.values())
    assert not all(np.array_equal(found["last"][name], found["last_raw"][name]) for name in names)
    chosen = (tmp_path / f"out/weights/{weights}.safetensors").read_bytes()
    assert (tmp_path / "out/model/weights.safetensors").read_bytes() == chosen
    card, rows = load_model(tmp_path / "out/model")[1], curve(tmp_path / "out")
    dice = {int(row["step"]): float(row["validation_dice"]) for row in rows if row["validation_dice"]}
    assert card.step == (max(dice, key=lambda step: (dice[step], step)) if weights == "best" else 60)
    assert card.validation_dice == pytest.approx(dice[card.step], rel=1e-6)


def test_without_an_average_raw_and_averaged_weights_are_the_same(inputs: dict[str, Path], tmp_path: Path) -> None:
    train(settings(training=TrainingSettings(steps=4, ema=0.0)), inputs, tmp_path / "out")
    contents = {(tmp_path / f"out/weights/{name}.safetensors").read_bytes() for name in KEPT}
    assert len(contents) == 1


@pytest.fixture(scope="module")
def whole(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    train(settings(24), inputs, out)
    return out


@pytest.fixture(scope="module")
def broken_off(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was stopped with two checkpoints."""
    out = tmp_path_factory.mktemp("broken") / "out"
    assert len(interrupted(settings(24), inputs, out)) == 2
    return out


def checkpoints(out: Path) -> list[Path]:
    return sorted((out / "checkpoint").glob("step-*"))


def half_a_draft(out: Path, whole: Path) -> None:
    newest = checkpoints(out)[-1]
    (out / "checkpoint/draft").mkdir()
    content = (newest / "tensors.safetensors").read_bytes()
    (out / "checkpoint/draft/.tensors.safetensors.draft").write_bytes(content[: len(content) // 2])


def a_draft_before_its_renaming(out: Path, whole: Path) -> None:
    checkpoints(out)[-1].rename(out / "checkpoint/draft")


def renamed_before_the_old_ones_went(out: Path, whole: Path) -> None:
    for number in range(3):
        shutil.copytree(checkpoints(out)[0], out / f"checkpoint/step-000000000{number}", dirs_exist_ok=True)


def half_way_through_deleting_an_old_one(out: Path, whole: Path) -> None:
    old = out / "checkpoint/step-0000000000"
    shutil.copytree(checkpoints(out)[0], old)
    (old / "tensors.safetensors").unlink()


def the_newest_was_never_whole(out: Path, whole: Path) -> None:
    (checkpoints(out)[-1] / "checkpoint.json").write_bytes(b"")


def rows_beyond_the_checkpoint(out: Path, whole: Path) -> None:
    with (out / "curve.csv").open("ab") as file:
        file.write(b"0.5\n99,0.1,0.2,\n100,nan")


def curve_cut_and_log_not_yet(out: Path, whole: Path) -> None:
    facts = json.loads((checkpoints(out)[-1] / "checkpoint.json").read_text(encoding="utf-8"))["facts"]
    with (out / "curve.csv").open("r+b") as file:
        file.truncate(facts["lengths"][0])
    with (out / "log.jsonl").open("ab") as file:
        file.write(b'{"step": 99}\n')


def the_curve_lost_more_than_the_newest_allows(out: Path, whole: Path) -> None:
    facts = json.loads((checkpoints(out)[0] / "checkpoint.json").read_text(encoding="utf-8"))["facts"]
    with (out / "curve.csv").open("r+b") as file:
        file.truncate(facts["lengths"][0])


def in_the_middle_of_writing_the_model(out: Path, whole: Path) -> None:
    (out / "weights").mkdir()
    shutil.copy(whole / "weights/best.safetensors", out / "weights")
    (out / "weights/.best_raw.safetensors.draft").write_bytes(b"half")
    (out / "model").mkdir()
    shutil.copy(whole / "model/weights.safetensors", out / "model")
    (out / "model/.card.json.draft").write_bytes(b'{"medseg":')


def before_the_checkpoints_went(out: Path, whole: Path) -> None:
    for name in ("weights", "model"):
        shutil.copytree(whole / name, out / name)
    for name in ("curve.csv", "log.jsonl"):
        shutil.copy(whole / name, out / name)
    (checkpoints(out)[-1] / "checkpoint.json").unlink()


def everything_is_damaged(out: Path, whole: Path) -> None:
    for place in checkpoints(out):
        (place / "tensors.safetensors").write_bytes(b"\xff" * 100)


def strangers_lie_about(out: Path, whole: Path) -> None:
    (out / "checkpoint/step-9999999999").write_text("a file")
    (out / "checkpoint/step-7").mkdir()
    (out / "checkpoint/step-0000000098").symlink_to(checkpoints(out)[0])
    (out / "checkpoint/notes.txt").write_text("mine")
    (out / "checkpoint/draft").write_text("a file, too")


def the_folder_is_a_file(out: Path, whole: Path) -> None:
    shutil.rmtree(out / "checkpoint")
    (out / "checkpoint").write_text("not a folder")


STATES = [
    half_a_draft, a_draft_before_its_renaming, renamed_before_the_old_ones_went, half_way_through_deleting_an_old_one,
    the_newest_was_never_whole, rows_beyond_the_checkpoint, curve_cut_and_log_not_yet,
    the_curve_lost_more_than_the_newest_allows, in_the_middle_of_writing_the_model, before_the_checkpoints_went,
    everything_is_damaged, strangers_lie_about, the_folder_is_a_file,
]  # fmt: skip


@pytest.mark.parametrize("crash", STATES, ids=lambda crash: crash.__name__)
def test_whatever_a_crash_leaves_the_same_bytes_come_out(
    inputs: dict[str, Path], tmp_path: Path, whole: Path, broken_off: Path, crash: Callable[[Path, Path], None]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(broken_off, out)
    crash(out, whole)
    train(settings(24), inputs, out, ALWAYS_SAVING)
    assert tree(out) == tree(whole)


def test_what_is_passed_over_is_told(
    inputs: dict[str, Path], tmp_path: Path, broken_off: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    shutil.copytree(broken_off, out)
    the_newest_was_never_whole(out, whole)
    strangers_lie_about(out, whole)
    with caplog.at_level(logging.WARNING, "medseg"):
        train(settings(24), inputs, out)
    assert any(" is damaged, so training goes back to the one before it" in text for text in caplog.messages)
    assert sum("is no checkpoint, so it is not looked at" in text for text in caplog.messages) == 4


def test_people_see_on_the_screen_that_a_checkpoint_was_damaged(
    inputs: dict[str, Path], tmp_path: Path, broken_off: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(broken_off, out)
    newest = checkpoints(out)[-1]
    (newest / "tensors.safetensors").write_bytes(b"")
    with screen():
        train(settings(24), inputs, out)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert lines == [
        f"warning: checkpoint {newest} is damaged, so training goes back to the one before it, or to its start"
    ]


def test_a_damaged_newest_one_does_not_push_the_sound_one_out(
    inputs: dict[str, Path], tmp_path: Path, whole: Path, broken_off: Path
) -> None:
    """Resumed from the older one, stopped after one more checkpoint and damaged again: the older one is still there."""
    out = tmp_path / "out"
    shutil.copytree(broken_off, out)
    sound, newest = checkpoints(out)
    (newest / "checkpoint.json").write_bytes(b"")

    def stop(progress: Any) -> None:
        raise KeyboardInterrupt

    with listening(stop), pytest.raises(KeyboardInterrupt):
        train(settings(24), inputs, out, ALWAYS_SAVING)
    assert sound in checkpoints(out)


def broken_case(inputs: dict[str, Path], folder: Path) -> dict[str, Path]:
    """Return inputs of which case02 holds a value that is not a number."""
    image = balls(2).image.copy()
    image[0, 7, 7, 7] = np.nan
    case = PreparedCase("case02", image, balls(2).classes, balls(2).seeds, (1.0, 1.0, 1.0), {})
    write_prepared(folder / "case02", case)
    return {**inputs, "train/case02": folder / "case02"}


def test_a_loss_that_is_not_finite_leaves_its_batch_and_the_last_good_weights(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    out, broken = tmp_path / "out", broken_case(inputs, tmp_path)
    interrupted(settings(60), inputs, out)  # stopped while the data were sound
    messages, kept = [], []
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            train(settings(60), broken, out, ALWAYS_SAVING)
        messages.append(str(refused.value))
        kept.append({path.name: (path / "tensors.safetensors").read_bytes() for path in checkpoints(out)})
    assert messages[0] == messages[1]
    assert kept[0] == kept[1] != {}
    assert messages[0].startswith("training: the loss of step ")
    step = int(messages[0].split("the loss of step ")[1].split()[0])
    picture = out / f"failure/step-{step}.png"
    assert messages[0].endswith(f"; {picture} shows the batch of that step")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert max(kept[0]) == f"step-{step - 1:010d}"
    batch = load_file(out / f"failure/step-{step}.safetensors")
    assert np.isnan(batch["images"]).any()
    drawn = json.loads((out / f"failure/step-{step}.json").read_text(encoding="utf-8"))
    assert len(drawn["draws"]) == len(batch["images"]) == 2
    numbers = json.loads((out / "failure/failure.json").read_text(encoding="utf-8"))
    assert (numbers["step"], numbers["found"]) == (step, "nan")
    assert 0 < numbers["learning_rate"] <= 0.01


def test_after_the_data_were_mended_it_goes_on_and_the_failure_is_gone(inputs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(Refusal, match="is finite, got nan"):
        train(settings(30), broken_case(inputs, tmp_path), out, ALWAYS_SAVING)
    train(settings(30), inputs, out)
    assert sorted(path.name for path in out.iterdir()) == ["curve.csv", "log.jsonl", "model", "weights"]


def test_weights_that_are_not_finite_are_never_saved(inputs: dict[str, Path], tmp_path: Path) -> None:
    training = TrainingSettings(steps=5, learning_rate=1e39, warmup=0.0)
    with pytest.raises(Refusal, match=r"training: the weights after step 1 are finite, got nan; lower training\.lea"):
        train(settings(training=training), inputs, tmp_path / "out", ALWAYS_SAVING)
    assert checkpoints(tmp_path / "out") == []
    assert (tmp_path / "out/failure/step-1.png").is_file()


def test_the_first_steps_say_what_they_hold(
    inputs: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "medseg"):
        train(settings(4), inputs, tmp_path / "out", ONE_THREAD)
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text(encoding="utf-8").splitlines()]
    held = next(record for record in log if "held_mb" in record)
    assert held["step"] == 3
    assert held["foreseen_mb"] > 0
    assert any("train: a step holds" in text and "foreseen" in text for text in caplog.messages)
