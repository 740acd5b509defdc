"""What training would refuse is refused before the stages that lead to it, unless it is done already."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from medseg.engines.ranks import Ranks, as_current
from medseg.experiment.demands import Demands, accelerator_in_sight
from medseg.experiment.order import Chain
from medseg.experiment.runner import Foreteller
from medseg.experiment.settings import read_settings
from medseg.pipeline.store import Store
from medseg.values.error import Refusal
from tests.stages.test_train import make_inputs, settings

MONAI = {"kind": "monai", "name": "DynUNet"}
NO_HALF = "training.precision: bf16 is for a CUDA device, got bf16; set auto or fp32"


def demands(trained: bool = False, **tree: Any) -> Demands:
    return Demands(*read_settings(tree), lambda: trained)


def refused(until: str, **tree: Any) -> str:
    """Return why an experiment without any data is refused; with data it would be before these are looked at."""
    own, machine = read_settings(tree)
    with pytest.raises(Refusal) as caught:
        Chain(own, Foreteller(Store(Path("nowhere"))), machine).walk(until)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"training": {"precision": "bf16"}, "machine": {"device": "cpu"}}, NO_HALF),
        (
            {"training": {"precision": "fp16"}, "machine": {"device": "cpu"}},
            "training.precision: fp16 is for a CUDA device, got fp16; set auto or fp32",
        ),
        (
            {"machine": {"device": "cpu", "cuda_graphs": True}},
            "machine.cuda_graphs: a step is recorded whole, on one CUDA device, got machine.device=cpu; change that, "
            "or set machine.cuda_graphs=false",
        ),
        (
            {"machine": {"cuda_graphs": True, "microbatch": 1}},
            "machine.cuda_graphs: a step is recorded whole, on one CUDA device, got machine.microbatch=1; change that, "
            "or set machine.cuda_graphs=false",
        ),
        (
            {"network": MONAI, "machine": {"recompute": True}},
            "machine.recompute: only unet3d and unet2d can compute their activations again, got DynUNet; "
            "set machine.recompute=false",
        ),
        (
            {"network": MONAI, "machine": {"norm": "fused"}},
            "machine.norm: only unet3d and unet2d have a norm that can be fused, got DynUNet; set machine.norm=auto",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_the_data_are_looked_at(
    tree: dict[str, Any], why: str
) -> None:
    assert refused("train", **tree) == why
    assert refused("report", **tree) == why
    assert refused("prepare", **tree).startswith("data.root: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer can do what is refused here")
def test_where_no_gpu_is_half_precision_is_refused_whatever_the_device_is_called() -> None:
    asked = demands(training={"precision": "bf16"})
    with pytest.raises(Refusal) as caught:
        asked.of_device()
    assert str(caught.value) == NO_HALF
    with pytest.raises(Refusal, match=r"machine\.device: the device exists, got cuda; set machine\.device=cpu or auto"):
        demands(machine={"device": "cuda"}).of_device()


def test_what_is_trained_already_is_held_against_nothing() -> None:
    done = demands(trained=True, training={"precision": "bf16"}, machine={"device": "cpu", "cuda_graphs": True})
    done.before_all()
    done.of_device()


def test_several_processes_record_no_step() -> None:
    with as_current(Ranks(0, 2)), pytest.raises(Refusal, match="got 2 processes; change that"):
        demands(machine={"cuda_graphs": True}).before_all()


def test_weights_of_unknown_cases_are_refused() -> None:
    asked = demands(patches={"case_weights": {"case_1": 2.0, "cse_2": 3.0}})
    with pytest.raises(Refusal, match=r"patches\.case_weights: .*got 'cse_2'; take it out, or did you mean 'case_2'\?"):
        asked.of_cases(["case_1", "case_2"])
    asked.of_cases(["case_1", "cse_2"])


def test_ordinary_settings_ask_nobody() -> None:
    """PyTorch takes long to import, and the index cannot share itself out beside it."""
    program = (
        "import sys; from pathlib import Path; from medseg.experiment.demands import Demands\n"
        "from medseg.experiment.settings import read_settings\n"
        "asked = Demands(*read_settings({}), lambda: sys.exit(8))\n"
        "asked.before_all(); asked.of_device(); asked.of_cases([])\n"
        "sys.exit(9 if 'torch' in sys.modules else 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_gpu_is_told_by_its_device_files(tmp_path: Path) -> None:
    (tmp_path / "nvidia-uvm").touch()
    assert not accelerator_in_sight(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert accelerator_in_sight(tmp_path)


def test_a_plan_that_monai_builds_nothing_for_is_refused_before_scans_are_prepared(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    inputs = make_inputs(tmp_path)  # two levels, where DynUNet wants three
    asked = demands(network=MONAI)
    with pytest.raises(Refusal, match="network: MONAI's DynUNet refuses: length of kernel_size and strides") as caught:
        asked.of_beginning(settings(network=asked.settings.network), inputs["plan"], inputs["scheme"], None)
    assert caught.value.exit_code == 2
    own = demands()
    own.of_beginning(settings(network=own.settings.network), inputs["plan"], inputs["scheme"], None)
