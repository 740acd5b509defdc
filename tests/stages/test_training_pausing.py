"""What lies in memory between steps: foreseen from shapes, and refused where it cannot fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from medseg.engines.inference.settings import InferenceSettings
from medseg.engines.training.foreseeing.preflight import Pause, Wish, demand_memory_between
from medseg.engines.training.settings import TrainingSettings
from medseg.networks.settings import UNet3D
from medseg.stages.training.foresight import foresee
from medseg.stages.training.pausing import SMALLER_GB, Scans, with_pauses
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Architecture, Plan

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ARCHITECTURE = Architecture(
    dimensions=3, channels=2, outputs=3, features=(8, 16), strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2
)
PLAN = Plan(spacing_mm=(1.0, 1.0, 1.0), patch=(32, 32, 32), batch=1, plane=None, architecture=ARCHITECTURE)


def wish(*shapes: tuple[int, int, int], device: torch.device = CPU, memory_gb: float = 4.0) -> Wish:
    first = foresee(UNet3D(), TrainingSettings(), PLAN, Machine(), CPU)
    scans = Scans(shapes, InferenceSettings(), "softmax")
    found = with_pauses(first, UNet3D(), scans, Machine(memory_gb=memory_gb), device)
    assert found is not None
    return found


def test_larger_scans_need_more_and_the_largest_counts() -> None:
    small, large = wish((40, 40, 40)), wish((300, 400, 500))
    assert wish((40, 40, 40), (300, 400, 500), (60, 20, 40)).pause == large.pause
    slab = 4 * 3 * 32 * 300 * 400  # the live part lies across the longest axis
    assert large.pause.here - small.pause.here > 0.7 * slab
    assert large.pause.host == 0
    assert large.bytes == small.bytes == large.load.of(1)
    assert large.most == large.load.fixed + large.pause.here > large.bytes


def test_without_scans_weights_are_copied_still() -> None:
    none = wish()
    assert none.pause == Pause(none.load.weights)
    assert none.most == none.bytes
    assert wish(device=CUDA).pause == none.pause


def test_with_less_granted_the_slab_lies_in_a_file() -> None:
    huge, slab = (1000, 1200, 1300), 4 * 3 * 32 * 1000 * 1200
    large = wish(huge)
    assert [*large.spared] == [f"machine.memory_gb={size:g}" for size in SMALLER_GB]
    held = [pause.here for pause in large.spared.values()]
    assert held == sorted(held, reverse=True)
    assert held[0] == large.pause.here > held[-1] + 0.9 * slab
    assert wish(huge, memory_gb=0.5).pause == large.spared["machine.memory_gb=0.5"]
    assert [*wish(huge, memory_gb=0.5).spared] == ["machine.memory_gb=0.25", "machine.memory_gb=0.1"]


def test_beside_a_gpu_the_computer_is_asked_too() -> None:
    there = wish((300, 400, 500), device=CUDA)
    assert 0 < there.pause.here < wish((300, 400, 500)).pause.here
    assert there.pause.host > 4 * 3 * 32 * 300 * 400


@pytest.mark.parametrize(
    ("free", "host", "text"),
    [
        (9, 99, r"\(about 11\.0 GB\) fits in the GPU, got 9\.0 GB free; set machine\.memory_gb=1$"),
        (99, 3, r"\(about 4\.0 GB\) fits in the memory of the computer, got 3\.0 GB free; set machine\.memory_gb=2$"),
        (99, 1, r"got 1\.0 GB free; set machine\.memory_gb=1$"),
        (4, 99, r"got 4\.0 GB free; lower patches\.size or network\.width, or take a machine with more memory$"),
    ],
)
def test_what_does_not_fit_between_steps_is_refused_with_what_would(free: int, host: int, text: str) -> None:
    giga = 10**9
    spared = {"machine.memory_gb=2": Pause(8 * giga, 2 * giga), "machine.memory_gb=1": Pause(5 * giga, giga)}
    first: Any = wish()
    asked = replace(first, load=replace(first.load, fixed=2 * giga), pause=Pause(9 * giga, 4 * giga), spared=spared)
    with pytest.raises(Refusal, match=r"^machine\.memory_gb: a validation .*" + text) as refused:
        demand_memory_between(asked, free * giga, host * giga, "the GPU")
    assert refused.value.exit_code == 2
    demand_memory_between(asked, 11 * giga, 4 * giga, "the GPU")
