"""Planes made in pairs are those of the convolution, but for rounding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medseg.networks.paired import PairedConvolution


def convolution_of(channels: int, outputs: int, kernel: tuple[int, int, int], stride: int = 1) -> nn.Conv3d:
    """A convolution with random weights."""
    torch.manual_seed(0)
    x, y, z = (edge // 2 for edge in kernel)
    layer = nn.Conv3d(channels, outputs, kernel, stride, (x, y, z), bias=False)
    return layer.requires_grad_(False)


def planes_of(count: int, channels: int, shape: tuple[int, int]) -> Tensor:
    """Random planes `(count, Y, Z, C)`, and a plane of zeros on both sides."""
    planes = torch.randn((count + 2, *shape, channels), generator=torch.Generator().manual_seed(1))
    planes[0] = planes[-1] = 0
    return planes


def convolved(layer: nn.Conv3d, planes: Tensor) -> Tensor:
    """What PyTorch makes of the planes without their margins, with zeros around them."""
    made: Tensor = layer(planes[1:-1].permute(3, 0, 1, 2)[None])[0].permute(1, 2, 3, 0)
    return made


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 1, 1), (3, 5, 3)])
@pytest.mark.parametrize(
    ("count", "channels", "outputs", "shape"), [(2, 1, 1, (1, 1)), (6, 3, 5, (7, 4)), (8, 16, 16, (9, 16))]
)
def test_pairs_are_planes_of_the_convolution(
    kernel: tuple[int, int, int], count: int, channels: int, outputs: int, shape: tuple[int, int]
) -> None:
    layer, planes = convolution_of(channels, outputs, kernel), planes_of(count, channels, shape)
    bias = torch.linspace(-1, 1, outputs)
    expected = convolved(layer.double(), planes.double())
    paired = PairedConvolution(layer.float())
    torch.testing.assert_close(paired(planes, None).double(), expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(paired(planes, bias).double(), expected + bias, rtol=0, atol=2e-6)


def test_no_more_than_twice_the_rounding_of_the_convolution_itself() -> None:
    layer, planes = convolution_of(32, 32, (3, 3, 3)), planes_of(16, 32, (24, 24))
    single = convolved(layer, planes)
    paired = PairedConvolution(layer)(planes, None)
    exact = convolved(layer.double(), planes.double())
    direct, other = ((made - exact).square().mean().sqrt() for made in (single, paired))
    assert 0 < other < 2 * direct


def test_what_cannot_be_paired_says_so() -> None:
    assert PairedConvolution.weight_bytes(convolution_of(2, 3, (3, 3, 3))) == 4 * 2 * 3 * 9 * 4
    assert PairedConvolution.weight_bytes(convolution_of(2, 3, (1, 3, 3))) is None
    assert PairedConvolution.weight_bytes(convolution_of(2, 3, (3, 3, 3), stride=2)) is None
