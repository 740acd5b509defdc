"""A few planes at a time, the U-Net gives the answers of the whole, for less memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from medseg.networks.build import build_network
from medseg.networks.norm import NormAct
from medseg.networks.planewise import PlanewiseUNet
from medseg.networks.settings import UNet3D
from medseg.networks.unet import UNet
from medseg.values.plan import Architecture

CUBE, FLAT = (3, 3, 3), (1, 3, 3)
ONE, TWO, SLICES = (1, 1, 1), (2, 2, 2), (1, 2, 2)
ARCHITECTURES = {
    "cubes": ((4, 8, 8), (ONE, TWO, TWO), (CUBE,) * 3),
    "slices first": ((4, 8, 8), (ONE, SLICES, TWO), (FLAT, CUBE, CUBE)),
    "one step": ((3, 5), (ONE, TWO), (CUBE, CUBE)),
    "wide": ((16, 32, 40), (ONE, TWO, TWO), (CUBE,) * 3),
}

MEMORY = """
import sys
import torch
from tests.networks.test_planewise import network_of
from medseg.networks.planewise import PlanewiseUNet
network = network_of("wide", 2, (96, 96, 96))
answer = PlanewiseUNet(network) if sys.argv[1] == "planewise" else network
x = torch.randn((1, 2, 96, 96, 96), generator=torch.Generator().manual_seed(0))
torch.set_num_threads(1)
with torch.inference_mode():
    network(x[..., :8, :8, :8])  # what the libraries take for themselves
def largest():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
before = largest()
with torch.inference_mode():
    answer(x)
print(largest() - before)
"""


def network_of(name: str, channels: int, shape: tuple[int, int, int]) -> UNet:
    """A network with random weights, norms included."""
    features, strides, kernels = ARCHITECTURES[name]
    architecture = Architecture(
        dimensions=3, channels=channels, outputs=3, features=features, strides=strides, kernels=kernels
    )
    network = build_network(UNet3D(), architecture, 0, shape).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, NormAct):
            layer.weight.data = torch.empty_like(layer.weight).uniform_(0.5, 1.5, generator=generator)
            layer.bias.data = torch.empty_like(layer.bias).normal_(0, 0.3, generator=generator)
    assert isinstance(network, UNet)
    return network


def images(count: int, channels: int, shape: tuple[int, int, int]) -> Tensor:
    """Random windows, the same each time."""
    return torch.randn((count, channels, *shape), generator=torch.Generator().manual_seed(2))


def exact(network: nn.Module, x: Tensor) -> Tensor:
    """The network's answer in double precision."""
    with torch.inference_mode():
        answer: Tensor = network.double()(x.double())
    network.float()
    return answer


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cubes", (32, 24, 20)),
        ("cubes", (13, 27, 19)),
        ("slices first", (7, 27, 22)),
        ("one step", (9, 9, 9)),
        ("wide", (97, 65, 60)),  # several parts, the last of which is thinner
        ("wide", (100, 64, 64)),
    ],
)
def test_the_answers_are_those_of_the_network(name: str, shape: tuple[int, int, int]) -> None:
    network, x = network_of(name, 2, shape), images(2, 2, shape)
    torch.testing.assert_close(PlanewiseUNet(network)(x).double(), exact(network, x), rtol=0, atol=1e-4)


def test_an_answer_does_not_depend_on_what_else_was_asked() -> None:
    network, x = network_of("cubes", 1, (24, 24, 24)), images(3, 1, (24, 24, 24))
    planewise = PlanewiseUNet(network)
    together = planewise(x)
    assert all(torch.equal(planewise(one[None])[0], answer) for one, answer in zip(x, together, strict=True))


@pytest.mark.parametrize("axes", [(2,), (3,), (2, 4), (2, 3, 4)])
def test_mirror_images_are_answered_without_being_made(axes: tuple[int, ...]) -> None:
    network, x = network_of("cubes", 2, (24, 20, 28)), images(2, 2, (24, 20, 28))
    planewise = PlanewiseUNet(network)
    assert torch.equal(planewise.flipped(x, axes), planewise(x.flip(axes)).flip(axes))


def test_values_far_from_zero_keep_their_digits() -> None:
    """Sums of squares about zero would lose ten times as many."""
    shape = (24, 24, 24)
    network, x = network_of("one step", 1, shape), 1000 + 0.01 * images(1, 1, shape)
    torch.testing.assert_close(PlanewiseUNet(network)(x).double(), exact(network, x), rtol=0, atol=5e-4)


def test_it_needs_little_more_than_half_of_the_memory_at_most() -> None:
    """As processes have it: the growth of the largest resident memory."""
    kilobytes = {
        name: int(
            subprocess.run([sys.executable, "-c", MEMORY, name], capture_output=True, text=True, check=True).stdout
        )
        for name in ("planewise", "whole")
    }
    assert 0 < kilobytes["planewise"] < 0.6 * kilobytes["whole"], kilobytes
