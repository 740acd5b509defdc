"""`medseg train training.show_batch=N`: the batch of a step as a picture and as tensors, and nothing is trained."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from medseg.engines.sampling.drawing.replay import read_batch_record, replay
from medseg.files.prepared import PreparedCase, read_prepared
from medseg.files.tensors import load_tensors
from tests.cli.tiny_data import QUICK, make_data, medseg


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Train, then ask for the batch of step 2; return the folder and what the second command printed."""
    folder = tmp_path_factory.mktemp("shown")
    make_data(folder)
    assert medseg(folder, "train", *QUICK)[0] == 0
    code, output, errors = medseg(folder, "train", *QUICK, "training.show_batch=2")
    assert code == 0, errors
    return folder, output


def prepared(folder: Path) -> list[PreparedCase]:
    return [read_prepared(path.parent) for path in sorted(folder.glob(".medseg/prepare/*/prepared.json"))]


def test_the_path_of_the_picture_is_printed(shown: tuple[Path, str]) -> None:
    folder, output = shown
    assert output.strip() == str(Path("runs") / "tiny" / "batches" / "step-2" / "batch.png")
    picture = Image.open(BytesIO((folder / output.strip()).read_bytes()))
    assert picture.format == "PNG"
    assert min(picture.size) > 100


def test_nothing_was_trained_and_the_model_stays(shown: tuple[Path, str]) -> None:
    folder, _ = shown
    stages = json.loads((folder / "runs" / "tiny" / "stages.json").read_text())["stages"]
    assert stages["batch"]["run"] == 1
    assert "train" not in stages
    assert (folder / "runs" / "tiny" / "model" / "weights.safetensors").is_file()
    assert yaml.safe_load((folder / "runs" / "tiny" / "settings.yaml").read_text())["training"]["show_batch"] is None


def test_asking_for_a_batch_does_not_train_again(shown: tuple[Path, str]) -> None:
    _, output, _ = medseg(shown[0], "plan", *QUICK, "training.show_batch=3")
    assert "train        reuse" in output


def test_the_batch_is_replayed_to_the_same_bytes(shown: tuple[Path, str]) -> None:
    step = shown[0] / "runs" / "tiny" / "batches" / "step-2"
    record = read_batch_record((step / "batch.json").read_text())
    tensors = load_tensors(step / "batch.safetensors")
    assert (record.step, record.plane, len(record.draws)) == (2, None, len(tensors["images"]))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        again = replay(record, prepared(shown[0]), torch.device(record.device))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(again.images, tensors["images"])
    assert torch.equal(again.classes, tensors["classes"])
    assert set(tensors) == {"images", "classes"}


def test_a_step_before_the_first_is_refused(tmp_path: Path) -> None:
    code, _, errors = medseg(tmp_path, "train", *QUICK, "training.show_batch=0")
    assert code == 2
    assert "error: training.show_batch: must be greater than or equal to 1, got 0" in errors
