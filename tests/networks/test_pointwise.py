"""Convolutions of single voxels agree with PyTorch's in both memory orders."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from medseg.networks.pointwise import Pointwise2d, Pointwise3d


@pytest.mark.parametrize(
    ("kind", "plain", "space", "last"),
    [
        (Pointwise2d, nn.Conv2d, (5, 7), torch.channels_last),
        (Pointwise3d, nn.Conv3d, (5, 7, 3), torch.channels_last_3d),
    ],
)
@pytest.mark.parametrize("channels_last", [True, False])
def test_it_is_the_convolution(kind: Any, plain: Any, space: tuple[int, ...], last: Any, channels_last: bool) -> None:
    torch.manual_seed(0)
    layer, oracle = kind(4, 3).double(), plain(4, 3, 1).double()
    oracle.load_state_dict(layer.state_dict())
    order = last if channels_last else torch.contiguous_format
    x = torch.randn(2, 4, *space, dtype=torch.float64).contiguous(memory_format=order).requires_grad_()
    found, expected = layer(x), oracle(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert found.is_contiguous(memory_format=order)
    weights = torch.randn_like(expected)
    ours = torch.autograd.grad(found, (x, *layer.parameters()), weights)
    theirs = torch.autograd.grad(expected, (x, *oracle.parameters()), weights)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
