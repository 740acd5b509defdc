"""ONNX: the same answers from other runtimes, the model beside a package and in the store."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from medseg.engines.exporting.finding import MODEL, onnx_of
from medseg.engines.exporting.making import Exported, make_export, write_export
from medseg.engines.exporting.runtimes import runtime_of
from medseg.engines.packages.opening import open_members
from medseg.engines.packages.package import load_model
from medseg.files.records import SchemeRecord
from medseg.networks.settings import UNet3D
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from tests.engines.test_exporting import SLICES
from tests.packages import package

CPU = torch.device("cpu")
THREE = SchemeRecord(labels={"core": 1, "rim": 4}, regions={"all": (1, 4)}, tumour="all")


def runtime(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install 'medseg[onnx,openvino]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runtime("onnxruntime")
    network = UNet3D(deep_supervision=True, dropout=0.2)
    return package(tmp_path_factory.mktemp("package"), 3, network=network)


@pytest.fixture(scope="module")
def exported(folder: Path) -> Exported:
    return make_export(folder, "onnx", Machine())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(runtime="onnx", store=str(tmp_path_factory.mktemp("store")))


def check(content: bytes, folder: Path, shape: tuple[int, ...], kind: Literal["onnx", "openvino"] = "onnx") -> None:
    """Compare a model with the network of its package, for several batches."""
    network, _ = load_model(folder)
    forward = runtime_of(kind, content, Machine(threads=1), CPU)
    for batch in (1, 3, 5):
        windows = torch.randn(batch, *shape)
        with torch.inference_mode():
            wanted, found = network(windows), forward(windows)
        assert found.dtype == torch.float32
        assert float((found - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max())


def test_onnxruntime_answers_as_pytorch_for_any_number_of_windows(folder: Path, exported: Exported) -> None:
    check(exported.content, folder, (1, 8, 8, 8))
    assert exported.record.parity.relative <= 1e-4
    assert set(exported.record.versions) == {"torch", "onnx", "onnxscript", "onnxruntime"}


def test_openvino_answers_as_pytorch_for_any_number_of_windows(folder: Path, exported: Exported) -> None:
    runtime("openvino")
    check(exported.content, folder, (1, 8, 8, 8), "openvino")


def test_the_file_names_its_axes_and_nothing_of_this_computer(folder: Path, exported: Exported) -> None:
    onnx = runtime("onnx")
    model = onnx.load_model_from_string(exported.content)
    onnx.checker.check_model(model, full_check=True)
    ports = [*model.graph.input, *model.graph.output]
    shapes = [[axis.dim_param or axis.dim_value for axis in port.type.tensor_type.shape.dim] for port in ports]
    assert [port.name for port in ports] == ["windows", "logits"]
    assert shapes == [["batch", 1, 8, 8, 8], ["batch", 2, 8, 8, 8]]
    assert {opset.domain for opset in model.opset_import if opset.domain not in ("", "ai.onnx")} == set()
    assert b"site-packages" not in exported.content
    assert b".py" not in exported.content
    assert str(folder).encode() not in exported.content
    assert not [one for one in model.graph.initializer if one.external_data]


def test_a_model_that_is_not_there_is_made_once_and_kept_in_the_store(
    folder: Path, exported: Exported, store: Machine
) -> None:
    members, card = open_members([folder], store, CPU)
    (made,) = Path(store.store).glob(f"export/*/{MODEL}")
    assert made.read_bytes() == exported.content  # made twice: the same bytes
    windows = torch.randn(2, card.channels, *card.plan.patch)
    with torch.inference_mode():
        torch.testing.assert_close(members[0](windows), load_model(folder)[0](windows), rtol=1e-4, atol=1e-4)
    open_members([folder], store, CPU)
    (again,) = Path(store.store).glob(f"export/*/{MODEL}")
    assert (again.stat().st_ino, again.stat().st_mtime_ns) == (made.stat().st_ino, made.stat().st_mtime_ns)
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "weights.safetensors"]


def test_a_model_beside_the_weights_is_taken_if_it_was_made_from_them(
    folder: Path, exported: Exported, store: Machine, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    write_export(own / MODEL, exported)
    assert onnx_of(own, "onnx", Machine(store=str(tmp_path / "store")))[0] == exported.content
    assert not (tmp_path / "store").exists()
    (own / MODEL).write_bytes(exported.content[:-1])  # damaged: the one in the store is taken
    assert onnx_of(own, "onnx", store)[0] == exported.content


def test_slices_of_several_channels_are_exported_and_an_export_of_other_weights_is_not_taken(
    exported: Exported, store: Machine, tmp_path: Path
) -> None:
    flat = package(tmp_path / "flat", 5, plan=SLICES, scheme=THREE)
    write_export(flat / MODEL, exported)
    content, card = onnx_of(flat, "onnx", store)
    assert content != exported.content
    assert card.plan == SLICES
    check(content, flat, (2, 9, 7))


def test_what_is_no_model_and_a_device_that_is_not_there_are_refused(exported: Exported) -> None:
    with pytest.raises(Refusal, match=r"machine\.runtime: onnx takes the exported network, got .*runtime=torch"):
        runtime_of("onnx", b"not a model", Machine(), CPU)
    onnxruntime = runtime("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(Refusal, match=r"machine\.device: the installed onnxruntime knows the device, got cuda:0"):
            runtime_of("onnx", exported.content, Machine(device="cuda"), torch.device("cuda", 0))


def test_missing_weights_are_refused_before_anything_is_made(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text((folder / "card.json").read_text())
    with pytest.raises(Refusal, match="is a whole safetensors file"):
        onnx_of(tmp_path, "onnx", Machine(store=str(tmp_path / "store")))
    assert not (tmp_path / "store").exists()


BLOCKED = """
import sys
from pathlib import Path
import torch
sys.modules.update(dict.fromkeys(("onnx", "onnxscript", "onnxruntime", "openvino")))
from medseg.engines.packages.opening import open_members
from medseg.cli.main import main
from medseg.values.error import Refusal
from medseg.values.machine import Machine
for kind in ("onnx", "openvino"):
    try:
        open_members([Path(sys.argv[1])], Machine(runtime=kind), torch.device("cpu"))
    except Refusal as refusal:
        print(refusal.exit_code, refusal)
print(main(["export", f"model={sys.argv[1]}", "format=onnx", "out=there.onnx"]))
"""


def test_a_missing_extra_is_named_by_every_way_that_needs_it(tmp_path: Path) -> None:
    folder = package(tmp_path / "package")
    words = [sys.executable, "-c", BLOCKED, str(folder)]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=True)
    rule, remedy = "needs the extra '{0}', got no onnx; pip install 'medseg[{0}]', or", "set machine.runtime=torch"
    assert found.stdout.splitlines() == [
        f"2 machine.runtime: onnx {rule.format('onnx')} {remedy}",
        f"2 machine.runtime: openvino {rule.format('openvino')} {remedy}",
        "2",
    ]
    last = found.stderr.splitlines()[-1]
    assert last == f"error: format: onnx {rule.format('onnx')} take format=torch"
    assert [path.name for path in tmp_path.iterdir()] == ["package"]
