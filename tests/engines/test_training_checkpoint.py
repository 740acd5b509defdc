"""Checkpoints and model packages: exact, checked, and never half."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from medseg.engines.device import computing
from medseg.engines.packages.package import Card, is_finished, load_model, save_model
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.fit import fit
from medseg.engines.training.keeping.checkpoint import Checkpoint, latest_checkpoint, save_checkpoint
from medseg.engines.training.keeping.state import State, start
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.setup import Means, build_stepper
from medseg.files.records import SchemeRecord
from medseg.networks.build import build_network
from medseg.networks.settings import UNet3D
from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan
from tests.packages import card as card_of


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


def saved(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, step, Checkpoint({"w": torch.full((50,), float(step))}, {"step": step}))


def latest(folder: Path) -> int | None:
    found = latest_checkpoint(folder, lambda checkpoint: True)
    if found is None:
        return None
    checkpoint = found[1]
    assert torch.equal(checkpoint.tensors["w"], torch.full((50,), float(checkpoint.facts["step"])))
    return int(checkpoint.facts["step"])


def test_the_last_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    assert latest(tmp_path / "none") is None
    saved(tmp_path, 5, 40, 300)
    assert latest(tmp_path) == 300
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-0000000040", "step-0000000300"]
    saved(tmp_path, 300)
    assert latest(tmp_path) == 300


@pytest.mark.parametrize("name", ["tensors.safetensors", "checkpoint.json"])
def test_any_flipped_byte_is_noticed(tmp_path: Path, name: str) -> None:
    saved(tmp_path, 1, 2)
    path = tmp_path / "step-0000000002" / name
    content = path.read_bytes()
    for place in range(0, len(content), 1 if name.endswith(".json") else 7):
        damaged = bytearray(content)
        damaged[place] ^= 0x01
        path.write_bytes(bytes(damaged))
        assert latest(tmp_path) in (1, 2)  # whitespace of the JSON may differ; no wrong number is ever read
    path.write_bytes(content[: len(content) // 2])
    assert latest(tmp_path) == 1
    path.unlink()
    assert latest(tmp_path) == 1


def test_the_last_one_of_a_step_is_the_newest(tmp_path: Path) -> None:
    for number in range(12):
        save_checkpoint(tmp_path, 300, Checkpoint({"w": torch.full((2,), float(number))}, {"step": 300}))
        found = latest_checkpoint(tmp_path, lambda checkpoint: True)
        assert found is not None
        assert found[1].tensors["w"].tolist() == [number, number]


def test_a_half_written_one_is_ignored_and_cleared(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft" / "tensors.safetensors").write_bytes(b"half")
    assert latest(tmp_path) == 1
    saved(tmp_path, 2)
    assert latest(tmp_path) == 2
    assert not (tmp_path / "draft").exists()


def test_one_that_does_not_fit_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved(tmp_path, 1, 2)
    found = latest_checkpoint(tmp_path, lambda checkpoint: checkpoint.facts["step"] == 1)
    assert found is not None
    assert found[1].facts["step"] == 1
    assert "step-0000000002 is from another training or lacks its curve" in caplog.text


def some_batches(first: int) -> Iterator[Batch]:
    for number in range(first, 1000):
        images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(number))
        yield Batch(images, (images[:, 0] > 0).long())


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_a_restored_state_goes_on_exactly(tmp_path: Path, kind: str) -> None:
    settings = TrainingSettings.model_validate({"optimiser": kind})

    def fresh(seed: int) -> State:
        torch.manual_seed(seed)
        return start(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)), settings)

    def go_on(state: State, count: int) -> None:
        source = islice(some_batches(state.tally.step), count)
        stepper = build_stepper(state, build_loss(LossSettings(kind="ce")), settings, 0, Means(Machine(device="cpu")))
        for _ in fit(stepper, source, lambda _: 1.0):
            pass

    whole = fresh(0)
    go_on(whole, 4)
    whole.note_validation(0.5)
    save_checkpoint(tmp_path, 4, Checkpoint(whole.tensors(), whole.facts()))
    go_on(whole, 4)
    found = latest_checkpoint(tmp_path, lambda checkpoint: True)
    assert found is not None
    read = found[1]
    other = fresh(1)
    other.restore(read.tensors, read.facts)
    go_on(other, 4)
    assert other.tally == whole.tally
    expected, restored = whole.tensors(), other.tensors()
    assert expected.keys() == restored.keys()
    assert all(torch.equal(expected[name], restored[name]) for name in expected)
    assert {name.split("/")[0] for name in restored} == {"network", "average", "best", "best_raw", "optimiser"}


def test_a_restored_state_does_not_hold_the_file_of_its_checkpoint(tmp_path: Path) -> None:
    settings = TrainingSettings()
    state, other = (start(nn.Conv2d(1, 4, 3), settings) for _ in range(2))
    state.note_validation(0.5)
    save_checkpoint(tmp_path, 1, Checkpoint(state.tensors(), state.facts()))
    found = latest_checkpoint(tmp_path, lambda checkpoint: True)
    assert found is not None
    other.restore(found[1].tensors, found[1].facts)
    del found
    # On a network disk the folder of a file that is still in use cannot be deleted.
    assert str(tmp_path) not in Path("/proc/self/maps").read_text(encoding="utf-8")
    assert torch.equal(other.best["weight"], state.best["weight"])


def test_better_validations_replace_the_kept_weights() -> None:
    state = start(nn.Conv2d(1, 1, 1), TrainingSettings())
    for step, dice in enumerate([0.4, None, 0.6, 0.5, 0.6, 0.1]):
        state.tally.step = step
        with torch.no_grad():
            next(state.average.parameters()).fill_(float(step))
            next(state.network.parameters()).fill_(-float(step))
        state.note_validation(dice)
    assert (state.tally.best_dice, state.tally.best_step, state.tally.dice, state.tally.stale) == (0.6, 4, 0.1, 3)
    kept = {name: weights["weight"].item() for name, weights in state.kept().items()}
    assert kept == {"best": 4.0, "best_raw": -4.0, "last": 5.0, "last_raw": -5.0}


def card() -> tuple[Card, nn.Module]:
    architecture = Architecture(
        dimensions=3,
        channels=1,
        outputs=2,
        features=(4, 8),
        strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3), (3, 3, 3)),
    )
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(8, 8, 8), batch=1, plane=None, architecture=architecture)
    scheme = SchemeRecord(labels={"core": 1}, regions={"tumour": (1,)}, tumour="tumour")
    settings = UNet3D(deep_supervision=True)
    made = card_of(plan, network=settings, scheme=scheme, mirror_axes=(0,), step=3, steps=4)
    return made, build_network(settings, architecture, 7)


def test_a_package_gives_back_network_and_card(tmp_path: Path) -> None:
    made, network = card()
    save_model(tmp_path, network.state_dict(), made)
    loaded, found = load_model(tmp_path)
    assert found == made
    image = torch.randn(1, 1, 8, 8, 8)
    with torch.inference_mode():
        assert torch.equal(loaded(image), network.eval()(image))
    assert not any(module.training for module in loaded.modules())
    assert is_finished(tmp_path, "ab")
    assert not is_finished(tmp_path, "cd")
    assert not is_finished(tmp_path / "none", "ab")


def test_a_package_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    made, network = card()
    with pytest.raises(Refusal, match=r"card\.json: is the card of a model"):
        load_model(tmp_path)
    save_model(tmp_path, dict(list(network.state_dict().items())[1:]), made)
    with pytest.raises(Refusal, match=r"weights\.safetensors: the weights fit the card"):
        load_model(tmp_path)
