"""Exports that need no extra: the windows that are compared, the comparison, and files of torch.export."""

from __future__ import annotations

import io
import json
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from medseg.engines.exporting.making import Exported, make_export, record_place, write_export
from medseg.engines.exporting.parity import LIMIT, compare
from medseg.engines.exporting.programs import trace, window_shape
from medseg.engines.exporting.record import ExportRecord
from medseg.engines.exporting.runtimes import program_of
from medseg.engines.exporting.windows import windows_of_noise, windows_of_scan
from medseg.engines.packages.package import load_model, read_card
from medseg.files.nifti.writing import write_image
from medseg.networks.settings import UNet3D
from medseg.ops.intensity import ChannelNormalisation
from medseg.ops.preparing import Preparation
from medseg.values.digests import digest_of_file
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan
from medseg.values.volume import Volume
from tests.packages import card as card_of
from tests.packages import package

WIDE = Architecture(
    dimensions=2, channels=2, outputs=3, features=(4, 8), strides=((1, 1), (2, 2)), kernels=((3, 3),) * 2
)
SLICES = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(9, 1, 7), batch=1, plane=1, architecture=WIDE)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    folder = package(tmp_path_factory.mktemp("package"), 3, network=UNet3D(deep_supervision=True, dropout=0.2))
    return folder, make_export(folder, "torch", Machine())


def scan(folder: Path, name: str, shape: tuple[int, int, int] = (12, 9, 5), shift: float = 0.0) -> Path:
    voxels = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape) ** 1.5
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[0, 3] = shift
    write_image(folder / name, Volume(voxels, affine))
    return folder / name


def test_noise_has_the_range_of_a_prepared_scan_and_is_always_the_same() -> None:
    plan = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(30, 1, 22), batch=1, plane=1, architecture=WIDE)
    kinds = {"a": ChannelNormalisation(kind="zscore"), "b": ChannelNormalisation(kind="percentile")}
    card = card_of(plan, preparation=Preparation(spacing_mm=plan.spacing_mm, normalisations=kinds))
    windows = windows_of_noise(card)
    assert windows.shape == (3, *window_shape(card)) == (3, 2, 30, 22)
    assert windows.dtype == torch.float32
    assert abs(float(windows[:, 0].mean())) < 0.2
    assert abs(float(windows[:, 0].std()) - 1) < 0.2
    assert float(windows[:, 1].min()) == 0 <= float(windows[:, 1].max()) <= 1
    assert torch.equal(windows, windows_of_noise(card))
    assert not torch.equal(windows[0], windows[1])


def test_windows_of_a_scan_lie_in_the_prepared_scan_and_small_ones_in_the_middle(tmp_path: Path) -> None:
    card = read_card(package(tmp_path / "package"))
    windows = windows_of_scan([scan(tmp_path, "scan.nii.gz")], card)
    voxels = np.arange(12 * 9 * 5, dtype=np.float64).reshape(12, 9, 5) ** 1.5
    normal = torch.from_numpy((voxels - voxels.mean()) / voxels.std()).float()
    for window, x in zip(
        windows, (2, 1, 3), strict=True
    ):  # 0.5, 0.25 and 0.75 of the 4 places along X, and of 1 along Y
        torch.testing.assert_close(window[0, :, :, 1:6], normal[x : x + 8, :8], rtol=0, atol=1e-5)
        assert not window[0, :, :, :1].any()
        assert not window[0, :, :, 6:].any()


def test_scans_with_other_channels_or_grids_are_refused(tmp_path: Path) -> None:
    card = card_of(SLICES, channel_names=("FLAIR", "T1"))
    one = scan(tmp_path, "one.nii.gz")
    with pytest.raises(Refusal, match="images: one file for each of the 2 channels: FLAIR, T1, got 1") as caught:
        windows_of_scan([one], card)
    assert caught.value.exit_code == 2
    for other in (scan(tmp_path, "other.nii.gz", (12, 9, 4)), scan(tmp_path, "moved.nii.gz", shift=2.0)):
        with pytest.raises(Refusal, match="images: all channels are on the grid of the first"):
            windows_of_scan([one, other], card)


def test_the_comparison_finds_the_largest_difference_and_refuses_too_large_ones() -> None:
    windows = torch.randn(3, 2, 4, 4)
    windows[2, 0, 1, 1] = 10.0  # only the batch of three sees this one

    def apart(windows: Tensor, by: float) -> Tensor:
        moved = windows.clone()
        moved[windows == 10.0] += by
        return moved

    found = compare(lambda x: x, lambda x: apart(x, 0.005), windows, "noise", "sigmoid")
    assert found.logits == pytest.approx(0.005, rel=1e-3)
    assert found.relative == pytest.approx(0.0005, rel=1e-3)
    assert 0 < found.probabilities < 0.005
    assert found.batches == (1, 3)
    with pytest.raises(Refusal, match=f"to {LIMIT:g} of the largest logit, got 0.002"):
        compare(lambda x: x, lambda x: apart(x, 0.02), windows, "noise", "softmax")
    with pytest.raises(Refusal, match=r"logits are finite, of shape \(1, 2, 4, 4\), got \(1, 1, 4, 4\)"):
        compare(lambda x: x, lambda x: x[:, :1], windows, "noise", "softmax")
    with pytest.raises(Refusal, match="with NaN or infinity"):
        compare(lambda x: x, lambda x: x / 0, windows, "noise", "softmax")


def test_a_torch_export_takes_any_number_of_windows_and_answers_alike(exported: tuple[Path, Exported]) -> None:
    folder, made = exported
    network, _ = load_model(folder)
    forward = program_of(made.content)
    for batch in (1, 2, 5):
        windows = torch.randn(batch, 1, 8, 8, 8)
        with torch.inference_mode():
            torch.testing.assert_close(forward(windows), network(windows), rtol=1e-5, atol=1e-5)
    assert made.record.parity.windows == "noise"
    assert made.record.parity.relative <= 1e-5


def test_a_torch_export_holds_no_pickle_and_no_path_of_this_computer(exported: tuple[Path, Exported]) -> None:
    _, made = exported
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    pickled = [name for name, content in contents.items() if content[:1] == b"\x80" or content[:2] == b"PK"]
    assert not [name for name in pickled if not name.split("/")[-1].startswith("weight_")], pickled
    configs = [json.loads(content) for name, content in contents.items() if name.endswith("_config.json")]
    assert configs
    assert not [one for config in configs for one in config["config"].values() if one["use_pickle"]]
    assert not [name for name, content in contents.items() if b"site-packages" in content or b"/medseg/" in content]


def test_the_same_package_gives_the_same_bytes_and_a_record_that_says_all(
    tmp_path: Path, exported: tuple[Path, Exported]
) -> None:
    folder, made = exported
    again = make_export(folder, "torch", Machine())
    assert again.content == made.content
    write_export(tmp_path / "deep" / "model.pt2", made)
    place = record_place(tmp_path / "deep" / "model.pt2")
    assert place.name == "model.pt2.json"
    record = ExportRecord.model_validate_json(place.read_text())
    assert record == made.record
    assert record.sha256 == digest_of_file(tmp_path / "deep" / "model.pt2")
    assert record.weights == digest_of_file(folder / "weights.safetensors")
    assert record.input.shape == ("batch", 1, 8, 8, 8)
    assert record.output.shape == ("batch", 2, 8, 8, 8)
    assert (record.labels, record.activation, record.channels) == ({"tumour": 1}, "softmax", ("channel0",))
    assert record.versions == {"torch": version("torch")}
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["model.pt2", "model.pt2.json"]


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    class Choosy(torch.nn.Module):
        def forward(self, windows: Tensor) -> Tensor:
            return windows if float(windows.sum()) > 0 else -windows

    with pytest.raises(Refusal, match=r"network: PyTorch's exporter takes unet2d, got .*; use the package itself"):
        trace(Choosy(), card_of(SLICES))
