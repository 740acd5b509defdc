"""Fine-tuning: training that starts from the package of another one, and what it leaves behind about that."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from medseg.engines.packages.package import load_model
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.transferring.transfer import Transfer
from medseg.files.prepared import write_prepared
from medseg.files.records import SchemeRecord, write_record
from medseg.files.tensors import load_tensors
from medseg.networks.settings import UNet3D
from medseg.stages.train import run
from medseg.stages.training.settings import TrainStageSettings
from medseg.values.error import Refusal
from medseg.values.plan import Plan
from tests.stages.test_train import ONE_THREAD, balls, curve, listening, make_inputs, settings, train

Inputs = dict[str, Path]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a short training on one channel with the labels rim and core."""
    folder = tmp_path_factory.mktemp("first")
    train(settings(30), make_inputs(folder), folder / "out")
    return folder / "out/model"


def tuned(steps: int = 3, **others: Any) -> TrainStageSettings:
    """Settings of a fine-tuning that barely moves, so that what it began with can be seen in the end."""
    given = {"steps": steps, "learning_rate": 1e-9, "weight_decay": 0.0, "start_from": "package", **others}
    return settings(training=TrainingSettings.model_validate(given))


def other_data(folder: Path, channels: tuple[str, ...] = (), labels: dict[str, int] | None = None) -> Inputs:
    """Inputs with these channels (all the same image) and label names; without names, one channel, rim and core."""
    inputs = make_inputs(folder)
    plan = Plan.model_validate_json(inputs["plan"].read_text(encoding="utf-8"))
    wider = plan.architecture.model_copy(update={"channels": len(channels) or 1})
    write_record(inputs["plan"], plan.model_copy(update={"architecture": wider, "channels": channels}))
    if labels is not None:
        scheme = SchemeRecord(labels=labels, regions={"tumour": tuple(labels.values())}, tumour="tumour")
        write_record(inputs["scheme"], scheme)
    for name, path in inputs.items():
        if "/" in name and channels:
            write_prepared(path, balls(int(name[-2:]), len(channels)))
    return inputs


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_tensors(folder / "weights.safetensors")


def report(out: Path) -> Transfer:
    return Transfer.model_validate_json((out / "transfer.json").read_text(encoding="utf-8"))


def test_training_begins_with_the_weights_of_the_package(
    tmp_path: Path, package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = {**other_data(tmp_path), "start": package}
    with caplog.at_level(logging.INFO, "medseg"):
        train(tuned(), inputs, tmp_path / "out")
    before, after = weights(package), weights(tmp_path / "out/model")
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    done = report(tmp_path / "out")
    assert (set(done.taken), done.adapted, done.new, done.share) == (set(before), {}, {}, 1.0)
    count, digest = len(before), done.weights[:12]
    told = f"starts from package {digest}: {count} of {count} tensors taken, 0 new; 100.0 % of the values"
    assert told in caplog.text
    started = load_model(tmp_path / "out/model")[1].started_from
    assert started is not None
    assert (started.weights, started.taken, started.adapted, started.new) == (done.weights, count, 0, 0)
    assert load_model(package)[1].started_from is None
    train(settings(3), {name: path for name, path in inputs.items() if name != "start"}, tmp_path / "random")
    losses = [float(curve(tmp_path / name)[0]["loss"]) for name in ("out", "random")]
    assert losses[0] < 0.8 * losses[1]


def test_another_channel_and_another_label_are_adapted(
    tmp_path: Path, package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = {**other_data(tmp_path, ("CT", "PET"), {"core": 1, "cyst": 2}), "start": package}
    with caplog.at_level(logging.INFO, "medseg"):
        train(tuned(), inputs, tmp_path / "out")
    done, before, after = report(tmp_path / "out"), weights(package), weights(tmp_path / "out/model")
    assert done.adapted["encoder.0.0.weight"] == "channels CT, PET start with the mean of unnamed"
    assert done.adapted["heads.0.bias"] == "outputs background, core taken; cyst start at random; rim left behind"
    torch.testing.assert_close(after["heads.0.weight"][:2], before["heads.0.weight"][[0, 2]], rtol=0, atol=1e-6)
    halves = (before["encoder.0.0.weight"] / 2).expand(-1, 2, -1, -1, -1)
    torch.testing.assert_close(after["encoder.0.0.weight"], halves, rtol=0, atol=1e-6)
    assert "adapted (channels CT, PET start with the mean of unnamed; outputs background, core taken;" in caplog.text


def test_frozen_parts_keep_every_bit_and_the_rest_learns(tmp_path: Path, package: Path) -> None:
    inputs = {**other_data(tmp_path), "start": package}
    train(tuned(10, learning_rate=0.01, freeze=("encoder", "climbs")), inputs, tmp_path / "out")
    before, after = weights(package), weights(tmp_path / "out/model")
    for name in before:
        assert torch.equal(before[name], after[name]) == name.startswith(("encoder", "climbs")), name
    started = load_model(tmp_path / "out/model")[1].started_from
    assert started is not None
    assert started.frozen == report(tmp_path / "out").frozen == ("encoder", "climbs")


def test_stopped_and_continued_it_ends_with_the_same_bytes(tmp_path: Path, package: Path) -> None:
    inputs, given = {**other_data(tmp_path), "start": package}, tuned(12, learning_rate=0.01, freeze=("encoder.0",))

    def stop(progress: Any) -> None:
        if progress.done > 4:
            raise KeyboardInterrupt

    whole = train(given, inputs, tmp_path / "whole")
    always = ONE_THREAD.model_copy(update={"checkpoint_seconds": 1e-9})
    with listening(stop), pytest.raises(KeyboardInterrupt):
        train(given, inputs, tmp_path / "out", always)
    assert train(given, inputs, tmp_path / "out") == whole
    elsewhere = tmp_path / "moved"
    package.rename(elsewhere)
    try:
        assert train(given, {**inputs, "start": elsewhere}, tmp_path / "again") == whole
    finally:
        elsewhere.rename(package)


def test_a_checkpoint_from_another_start_is_not_used(tmp_path: Path, package: Path) -> None:
    inputs, given = other_data(tmp_path), tuned(12, learning_rate=0.01)
    first = train(given, {**inputs, "start": package}, tmp_path / "one")
    train(settings(3, seed=7), inputs, tmp_path / "second")
    other = train(given, {**inputs, "start": tmp_path / "second/model"}, tmp_path / "one")
    assert other != first
    assert other == train(given, {**inputs, "start": tmp_path / "second/model"}, tmp_path / "fresh")


@pytest.mark.parametrize(
    ("network", "training", "message"),
    [
        (
            UNet3D(),
            {"freeze": ("encoder",)},
            r"training\.freeze: what stays as it is has all its weights from the package, got 'encoder' with 1 that "
            r"have not; freeze smaller parts, without encoder\.0\.0\.weight",
        ),
        (
            UNet3D(),
            {"freeze": ("stem",)},
            r"training\.freeze: the network has the parts encoder, climbs, decoder, heads",
        ),
    ],
)
def test_what_cannot_be_frozen_is_refused(
    tmp_path: Path, package: Path, network: UNet3D, training: dict[str, Any], message: str
) -> None:
    inputs = {**other_data(tmp_path, ("CT", "PET")), "start": package}
    with pytest.raises(Refusal, match=message):
        train(tuned(**training).model_copy(update={"network": network}), inputs, tmp_path / "out")


def test_a_package_of_which_nothing_fits_is_refused_with_the_settings_that_would(tmp_path: Path, package: Path) -> None:
    inputs = {**make_inputs(tmp_path, width=6), "start": package}
    given = tuned().model_copy(update={"network": UNet3D(width=6, deep_supervision=True, dropout=0.05)})
    message = (
        r"training\.start_from: some weights of the package fit this network, got none; set network\.width=32, as the "
        r"package was trained with"
    )
    with pytest.raises(Refusal, match=message) as caught:
        run(given, inputs, tmp_path, ONE_THREAD)
    assert caught.value.exit_code == 2
