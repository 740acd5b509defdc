"""What a training will hold, foreseen from shapes, and the refusal of what cannot fit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from medseg.engines.ranks import Ranks
from medseg.engines.training.foreseeing.load import Load, StepPlan, load_of
from medseg.engines.training.foreseeing.preflight import (
    Wish,
    amount,
    demand_disk,
    demand_memory,
    smaller_patch,
    stored,
)
from medseg.engines.training.foreseeing.walk import Kept, walk
from medseg.engines.training.foreseeing.watch import MemoryWatch
from medseg.engines.training.settings import TrainingSettings
from medseg.networks.build import build_network
from medseg.networks.settings import Monai, NetworkSettings, UNet2D, UNet3D
from medseg.stages.training.foresight import foresee
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan

CPU = torch.device("cpu")
ARCHITECTURE = Architecture(
    dimensions=3, channels=2, outputs=3, features=(8, 16, 32), strides=((1, 1, 1), (2, 2, 2), (2, 2, 1)),
    kernels=((3, 3, 3),) * 3,
)  # fmt: skip
PLAN = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(32, 32, 16), batch=4, plane=None, architecture=ARCHITECTURE)


def wish(
    network: NetworkSettings | None = None, machine: Machine | None = None, training: TrainingSettings | None = None,
    plan: Plan = PLAN,
) -> Wish:  # fmt: skip
    found = foresee(network or UNet3D(), training or TrainingSettings(), plan, machine or Machine(), CPU)
    assert found is not None
    return found


def test_a_walk_counts_what_the_backward_pass_needs_and_computes_nothing() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Sigmoid(), nn.Conv2d(5, 2, 1))
    image, hidden = 4 * 3 * 40 * 50, 4 * 5 * 40 * 50  # the convolutions keep what goes in, the sigmoid what comes out
    assert walk(network, (3, 40, 50)) == Kept(image + hidden, hidden)
    assert walk(network, (3, 40, 50), torch.bfloat16) == Kept((image + hidden) // 2, hidden // 2)


def test_a_walk_says_so_where_a_network_looks_at_values() -> None:
    class Peeking(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    assert walk(Peeking(), (1, 4, 4)) is None


def test_weights_optimiser_and_disk_are_counted_in_copies() -> None:
    with torch.device("meta"):
        weights = 4 * sum(weight.numel() for weight in build_network(UNet3D(), ARCHITECTURE, 0).parameters())
    adamw, plain = wish().load, wish(training=TrainingSettings(optimiser="sgd", momentum=0.0)).load
    assert adamw.weights == plain.weights == weights
    assert adamw.fixed - plain.fixed == 2 * weights
    assert (adamw.stored, plain.stored) == (6 * weights, 4 * weights)
    assert stored(adamw) == 23 * weights


def test_in_half_precision_activations_take_half_and_weights_what_they_take() -> None:
    with torch.device("meta"):
        network = build_network(UNet3D(), ARCHITECTURE, 0)
    steps = [StepPlan(PLAN, TrainingSettings(), 4, dtype) for dtype in (torch.float32, torch.bfloat16, torch.float32)]
    whole, half, again = (load_of(network, step) for step in steps)
    assert whole == again
    assert whole is not None
    assert half is not None
    assert (half.fixed, half.weights, half.stored) == (whole.fixed, whole.weights, whole.stored)
    assert 0.45 * whole.patch < half.patch < 0.6 * whole.patch


def test_more_patches_larger_patches_and_wider_networks_need_more() -> None:
    usual = wish()
    assert usual.at_once == 4
    assert wish(machine=Machine(microbatch=1)).bytes < usual.bytes
    assert wish(machine=Machine(recompute=True)).bytes < usual.bytes
    assert wish(plan=PLAN.model_copy(update={"patch": (32, 32, 32)})).load.patch > 1.8 * usual.load.patch
    wider = ARCHITECTURE.model_copy(update={"features": (16, 32, 64)})
    assert wish(plan=PLAN.model_copy(update={"architecture": wider})).load.patch > 1.8 * usual.load.patch


def test_processes_share_the_batch() -> None:
    shared = foresee(UNet3D(), TrainingSettings(), PLAN, Machine(), CPU, Ranks(1, 3))
    assert shared is not None
    assert shared.at_once == 2
    assert shared.load.patch == wish().load.patch


def test_slices_and_foreign_networks_are_foreseen_too() -> None:
    flat = ARCHITECTURE.model_copy(
        update={"dimensions": 2, "strides": ((1, 1), (2, 2), (2, 2)), "kernels": ((3, 3),) * 3}
    )
    plan = PLAN.model_copy(update={"patch": (32, 1, 32), "plane": 1, "architecture": flat})
    assert wish(UNet2D(), plan=plan).sparing is not None
    swin = Monai(name="SwinUNETR", dimensions=2, options={"num_heads": [2] * 4, "depths": [1] * 4, "window_size": 4})
    wide = flat.model_copy(update={"features": (24, 32, 32)})
    assert wish(swin, plan=plan.model_copy(update={"patch": (64, 1, 64), "architecture": wide})).load.patch > 0
    foreign = wish(Monai(name="DynUNet"))
    assert foreign.load.patch > 0
    assert foreign.sparing is None


NETWORKS = [
    pytest.param(UNet3D(), id="ours"),
    pytest.param(Monai(name="UNet", dropout=0.1), id="indivisible"),
]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("share", [0.95, 0.7, 0.5, 0.35, 0.25, 0.15, 0.08])
def test_what_a_refusal_proposes_fits(network: NetworkSettings, share: float) -> None:
    plan, machine = PLAN, Machine()
    free = int(wish(network).bytes * share)
    with pytest.raises(Refusal) as refused:
        demand_memory(wish(network), free, "the memory of the computer")
    text = str(refused.value)
    assert refused.value.exit_code == 2
    need = re.escape(amount(wish(network).bytes))
    assert re.search(rf"\(about {need}, 4 patches at once\) fits in the memory of the computer, got .* free; ", text)
    if "network.width:" in text:
        assert free < wish(network).load.fixed
        return
    if found := re.search(r"machine\.microbatch=(\d+)", text):
        machine = machine.model_copy(update={"microbatch": int(found[1])})
    if "machine.recompute=true" in text:
        machine = machine.model_copy(update={"recompute": True})
    if found := re.search(r"patches\.size=\[(\d+), (\d+), (\d+)\]", text):
        plan = plan.model_copy(update={"patch": tuple(map(int, found.groups()))})
    assert (plan, machine) != (PLAN, Machine())
    demand_memory(wish(network, machine, plan=plan), free, "the memory of the computer")


def test_the_first_remedy_changes_nothing_but_rounding() -> None:
    load = Load(fixed=10**9, patch=2 * 10**9, weights=1, stored=1)
    sparing = Load(fixed=10**9, patch=10**9, weights=1, stored=1)
    asked = Wish(PLAN, load, 4, divisible=True, sparing=sparing)
    with pytest.raises(
        Refusal, match=r"^machine\.microbatch: .*got 6\.0 GB free; set machine\.microbatch=2: only round"
    ):
        demand_memory(asked, 6 * 10**9, "here")
    with pytest.raises(
        Refusal, match=r"^machine\.recompute: .*; set machine\.recompute=true and machine\.microbatch=1: "
    ):
        demand_memory(asked, 25 * 10**8, "here")
    whole = Wish(PLAN, load, 4, divisible=False, sparing=sparing)
    with pytest.raises(Refusal, match=r"^machine\.recompute: .*; set machine\.recompute=true: only rounding changes"):
        demand_memory(whole, 6 * 10**9, "here")
    with pytest.raises(Refusal, match=r"^network\.width: .* 0\.1 GB free; lower network\.width or network\.widest"):
        demand_memory(asked, 10**8, "here")
    demand_memory(asked, 9 * 10**9, "here")


def test_a_smaller_patch_keeps_its_form_and_what_the_network_divides() -> None:
    assert smaller_patch(PLAN, 0.5) == [24, 24, 12]
    assert smaller_patch(PLAN, 0.125) == [16, 16, 8]
    assert smaller_patch(PLAN, 1e-9) == [4, 4, 2]


def test_a_disk_without_room_is_refused_before_training(tmp_path: Path) -> None:
    usual = wish().load
    demand_disk(usual, tmp_path)
    large = Load(usual.fixed, usual.patch, 10**15, 6 * 10**15)
    rule = (
        r"machine\.store: checkpoints and weights \(about 23000000\.0 GB\) fit on the disk of .*set machine\.store to a"
    )
    with pytest.raises(Refusal, match=rule):
        demand_disk(large, tmp_path)


def test_checkpoints_that_are_there_count_as_room(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    (tmp_path / "checkpoint/step-1").mkdir(parents=True)
    with (tmp_path / "checkpoint/step-1/tensors").open("wb") as file:
        file.truncate(free)  # a file with a hole takes no room: the disk says as before what is free
    nearly_twice = int(1.8 * free)
    demand_disk(Load(0, 0, nearly_twice // 23, 6 * (nearly_twice // 23)), tmp_path)


def test_memory_that_a_process_takes_is_seen() -> None:
    watch = MemoryWatch.begun(CPU, None)
    before = watch.held()
    block = bytearray(b"\x01" * 300_000_000)
    assert watch.held() - before > 0.9 * len(block) or sys.platform != "linux"


def test_a_real_step_holds_what_was_foreseen(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "benchmarks/preflight.py"
    command = [sys.executable, str(script), str(tmp_path / "work"), str(tmp_path / "found.json"), "phantom"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=script.parents[1])
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["phantom"]
    assert 1 / 1.5 < found["foreseen_mb"] / found["held_mb"] < 1.5
    assert found["held_mb"] > 50
