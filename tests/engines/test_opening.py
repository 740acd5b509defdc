"""Packages opened for inference: what each answers, what several agree on, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from medseg.engines.device import computing
from medseg.engines.packages.opening import open_members, package_folder, together
from medseg.engines.packages.package import CARD, WEIGHTS, Card, load_model, read_card
from medseg.files.records import SchemeRecord
from medseg.networks.settings import UNet3D
from medseg.ops.intensity import ChannelNormalisation
from medseg.ops.postprocessing import Postprocessing
from medseg.ops.preparing import Preparation
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from tests.packages import package, preparation

CPU = torch.device("cpu")
OTHER = SchemeRecord(labels={"lesion": 1}, regions={"lesion": (1,)}, tumour="lesion")


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_members_answer_as_their_networks_do_in_eval_mode(tmp_path: Path, layout: Any) -> None:
    network = UNet3D(dropout=0.5, deep_supervision=True)
    folders = [package(tmp_path / str(seed), seed, network=network) for seed in (1, 2)]
    machine = Machine(layout=layout, device="cpu", threads=1)
    windows = torch.randn(3, 1, 8, 8, 8)
    with computing(machine) as device:
        members, card = open_members(folders, machine, device)
        with torch.inference_mode():
            for member, folder in zip(members, folders, strict=True):
                wanted = load_model(folder)[0](windows)
                torch.testing.assert_close(member(windows), wanted, rtol=1e-5, atol=1e-5)
                assert torch.equal(member(windows), member(windows))
    assert card == read_card(folders[0])


def test_a_run_folder_stands_for_its_package(tmp_path: Path) -> None:
    package(tmp_path / "run" / "model")
    assert package_folder(tmp_path / "run") == tmp_path / "run" / "model"
    assert package_folder(tmp_path / "run" / "model") == tmp_path / "run" / "model"
    members, _ = open_members([tmp_path / "run"], Machine(), CPU)
    assert len(members) == 1


def cards(folder: Path, **others: Any) -> tuple[Card, Card]:
    return read_card(package(folder / "one")), read_card(package(folder / "two", 1, **others))


FAR = Preparation(spacing_mm=(1.0, 1.0, 2.0), normalisations={"channel0": ChannelNormalisation(kind="zscore")})
SCALED = Preparation(spacing_mm=(1.0, 1.0, 1.0), normalisations={"channel0": ChannelNormalisation(kind="percentile")})
DIFFERENCES = [
    ({"scheme": OTHER}, r"the same scheme.labels, which is \{'tumour': 1\} in .*one, got \{'lesion': 1\}"),
    ({"activation": "sigmoid"}, "the same activation, which is softmax in .*one, got sigmoid"),
    ({"channel_names": ("PET",)}, r"the same channel_names, which is \('channel0',\) in .*one, got \('PET',\)"),
    ({"preparation": FAR}, r"the same preparation.spacing_mm, which is \(1.0, 1.0, 1.0\) .*got \(1.0, 1.0, 2.0\)"),
    ({"preparation": SCALED}, "same preparation.normalisations.channel0.kind, which is zscore .*got percentile"),
    ({"preparation": preparation("a", "b")}, "the same preparation.normalisations, which is"),
]


@pytest.mark.parametrize(("others", "told"), DIFFERENCES)
def test_models_for_other_images_or_answers_are_refused(tmp_path: Path, others: dict[str, Any], told: str) -> None:
    one, two = cards(tmp_path)
    with pytest.raises(Refusal, match=told) as caught:
        together([tmp_path / "one", tmp_path / "two"], [one, two.model_copy(update=others)])
    assert caught.value.subject == str(tmp_path / "two")
    assert caught.value.exit_code == 1


def test_another_plan_is_refused_by_its_first_difference(tmp_path: Path) -> None:
    one = read_card(package(tmp_path / "one"))
    other = one.model_copy(update={"plan": one.plan.model_copy(update={"patch": (8, 8, 16)})})
    with pytest.raises(Refusal, match=r"same plan.patch, which is \(8, 8, 8\) .*got \(8, 8, 16\)"):
        together([tmp_path, tmp_path], [one, other])


def test_several_models_keep_only_what_holds_for_all(tmp_path: Path) -> None:
    one, two = cards(tmp_path, mirror_axes=(1, 2), missing_channels=True)
    one = one.model_copy(update={"mirror_axes": (0, 1), "missing_channels": True, "postprocessing": Postprocessing()})
    folders = [tmp_path / "one", tmp_path / "two"]
    both = together(folders, [one, two])
    assert both.mirror_axes == (1,)
    assert both.missing_channels
    assert both.postprocessing is None
    assert together(folders[:1], [one]) == one
    agreed = two.model_copy(update={"postprocessing": Postprocessing(), "missing_channels": False})
    assert together(folders, [one, agreed]).postprocessing == Postprocessing()
    assert not together(folders, [one, agreed]).missing_channels


def test_no_model_a_missing_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="model: a model package is needed, got none; set model=DIR") as caught:
        open_members([], Machine(), CPU)
    assert caught.value.exit_code == 2
    with pytest.raises(Refusal, match="is the card of a model"):
        open_members([tmp_path / "nowhere"], Machine(), CPU)
    folder = package(tmp_path / "one")
    shutil.copytree(folder, tmp_path / "cut")
    (tmp_path / "cut" / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-4])
    with pytest.raises(Refusal, match="is a whole safetensors file"):
        open_members([folder, tmp_path / "cut"], Machine(), CPU)
    shutil.copytree(folder, tmp_path / "other")
    card = json.loads((folder / CARD).read_text())
    card["plan"]["architecture"]["features"] = [4, 16]
    (tmp_path / "other" / CARD).write_text(json.dumps(card))
    with pytest.raises(Refusal, match="the weights fit the card"):
        open_members([tmp_path / "other"], Machine(), CPU)


def with_card(folder: Path, **architecture: Any) -> Path:
    """Change the architecture that a package's card names, and nothing else."""
    card = json.loads((folder / CARD).read_text())
    card["plan"]["architecture"].update(architecture)
    (folder / CARD).write_text(json.dumps(card))
    return folder


@pytest.mark.parametrize("features", [[10**6, 10**6], [10**12, 10**12]])
def test_a_card_that_lies_about_its_network_takes_no_memory(tmp_path: Path, features: list[int]) -> None:
    """The network would need 10 TB, and more than anybody can count; its weights are some kB."""
    with pytest.raises(Refusal, match=r"weights\.safetensors: the weights fit the card"):
        load_model(with_card(package(tmp_path), features=features))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("plan", "spacing_mm"), [0.0, 1.0, 1.0]),
        (("plan", "patch"), [8, 8, -8]),
        (("plan", "plane"), 7),
        (("mirror_axes",), [0, 9]),
        (("channels",), 2),
        (("scheme", "labels"), {"core": 1, "rim": 2}),
        (("scheme", "labels"), {"tumour": 900}),
        (("nobody",), "knows this"),
        (("plan", "architecture", "strides"), [[1, 1, 1], [2, 2, 0]]),
        (("preparation", "spacing_mm"), [-1.0, 1.0, 1.0]),
    ],
)
def test_a_card_with_impossible_numbers_is_refused(tmp_path: Path, place: tuple[str, ...], value: Any) -> None:
    """A negative spacing would make one voxel of a whole scan, and segment that."""
    folder = package(tmp_path)
    card = json.loads((folder / CARD).read_text())
    inner = card
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(Refusal, match="is the card of a model"):
        read_card(folder)
