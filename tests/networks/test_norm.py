"""Norm and activation: the fused function is PyTorch's pair, its gradient too, in every memory order and type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.networks.build import build_network
from medseg.networks.norm import EPS, SLOPE, NormAct, choose_norm
from medseg.networks.norm_fused import norm_act
from medseg.networks.settings import UNet3D
from medseg.values.error import Refusal
from medseg.values.machine import Machine
from medseg.values.plan import Architecture

CPU = torch.device("cpu")
LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
SHAPES = [(3, 5, 4, 6, 7), (1, 40, 3, 3, 2), (2, 6, 9, 5), (2, 3, 1, 1, 2)]
SOLID = Architecture(
    dimensions=3,
    channels=2,
    outputs=2,
    features=(4, 6, 8),
    strides=((1,) * 3, (2, 2, 1), (2,) * 3),
    kernels=((3,) * 3,) * 3,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def given(shape: Sequence[int], dtype: torch.dtype, last: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return x, weight, bias and the gradient of y; channels have unlike means, far from 0."""
    chance = torch.Generator().manual_seed(0)
    column = (-1, *[1] * (len(shape) - 2))
    x, dy = (torch.randn(*shape, generator=chance, dtype=torch.float64) for _ in range(2))
    x = 3 * x + 20 * torch.randn(shape[1], generator=chance, dtype=torch.float64).view(column)
    order = LAST[len(shape)] if last else torch.contiguous_format
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    weight, bias = (torch.randn(shape[1], generator=chance, dtype=kind) for _ in range(2))
    return x.to(dtype, memory_format=order), weight, bias, dy.to(dtype, memory_format=order)


def exact(x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor) -> list[Tensor]:
    """Return y and the gradients of x, weight and bias in double precision, by PyTorch's own functions."""
    ends = [one.detach().double().cpu().requires_grad_() for one in (x, weight, bias)]
    y = functional.leaky_relu(functional.instance_norm(ends[0], weight=ends[1], bias=ends[2], eps=EPS), SLOPE)
    return [y.detach(), *torch.autograd.grad(y, ends, dy.double().cpu())]


def found(x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor) -> list[Tensor]:
    ends = [one.clone().requires_grad_() for one in (x, weight, bias)]
    y = norm_act(*ends, EPS, SLOPE)
    return [y.detach(), *torch.autograd.grad(y, ends, dy)]


def errors(ones: Sequence[Tensor], others: Sequence[Tensor]) -> list[float]:
    return [float((a.double().cpu() - b).norm() / b.norm()) for a, b in zip(ones, others, strict=True)]


TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 1e-3, torch.bfloat16: 6e-3}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_fused_is_the_norm_and_the_activation_with_their_gradients(dtype: torch.dtype, last: bool) -> None:
    for shape in SHAPES[:3]:
        x, weight, bias, dy = given(shape, dtype, last)
        before = x.clone()
        results = found(x, weight, bias, dy)
        assert max(errors(results, exact(x, weight, bias, dy))) < TOLERANCES[dtype], shape
        assert torch.equal(x, before)
        for result, like in zip(results, (x, x, weight, bias), strict=True):
            assert (result.dtype, result.shape) == (like.dtype, like.shape)
            assert result.stride() == like.stride()
        assert all(torch.equal(a, b) for a, b in zip(results, found(x, weight, bias, dy), strict=True))


@pytest.mark.parametrize(("shape", "last"), [*product(SHAPES, [False, True])])
def test_the_gradient_is_that_of_differences(shape: tuple[int, ...], last: bool) -> None:
    ends = [one.requires_grad_() for one in given(shape, torch.float64, last)[:3]]
    torch.autograd.gradcheck(lambda x, weight, bias: norm_act(x, weight, bias, EPS, SLOPE), ends, fast_mode=True)


def test_a_tensor_in_no_order_is_taken_too() -> None:
    x, weight, bias, dy = given((2, 6, 5, 4, 3), torch.float64, False)
    turned = x.transpose(2, 4)[:, :, :, 1:]
    slope = dy.transpose(2, 4)[:, :, :, 1:]
    assert max(errors(found(turned, weight, bias, slope), exact(turned, weight, bias, slope))) < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_plain_is_pytorchs_pair_byte_for_byte(shape: tuple[int, ...]) -> None:
    layer, pair = NormAct(shape[1]), nn.LeakyReLU(SLOPE)
    x, weight, bias, _ = given(shape, torch.float32, True)
    layer.load_state_dict({"weight": weight, "bias": bias})
    assert torch.equal(layer(x), pair(functional.instance_norm(x, weight=weight, bias=bias)))


@pytest.mark.parametrize("fused", [False, True])
def test_one_voxel_has_no_spread(fused: bool) -> None:
    layer = NormAct(3)
    layer.fused = fused
    with pytest.raises(ValueError, match="Expected more than 1 spatial element when training"):
        layer(torch.randn(2, 3, 1, 1, 1))


def test_the_network_keeps_its_names_and_its_numbers() -> None:
    network = build_network(UNet3D(deep_supervision=True, dropout=0.0), SOLID, 0).double()
    names = [name.removeprefix("encoder.0.") for name in network.state_dict() if name.startswith("encoder.0.")]
    assert names == ["0.weight", "1.weight", "1.bias", "3.weight", "4.weight", "4.bias"]
    dropping = build_network(UNet3D(dropout=0.1), SOLID, 0).state_dict()
    assert "encoder.0.2.bias" in dropping
    assert "encoder.0.6.bias" in dropping
    images = torch.randn(2, 2, 8, 9, 6, dtype=torch.float64).contiguous(memory_format=LAST[5])
    gradients = []
    for norm in ("plain", "fused"):
        choose_norm(network, CPU, Machine.model_validate({"norm": norm}))
        network.zero_grad()
        sum(scale.square().sum() for scale in network(images)).backward()
        gradients.append([weight.grad.clone() for weight in network.parameters()])
    assert max(errors(*gradients)) < 1e-10


@pytest.mark.parametrize(
    ("machine", "fused"),
    [
        ({}, True),
        ({"layout": "channels_first"}, False),
        ({"compile": True}, False),
        ({"norm": "plain"}, False),
        ({"norm": "fused", "compile": True, "layout": "channels_first"}, True),
    ],
)
def test_a_cpu_takes_the_fused_norm_unless_something_speaks_against_it(machine: dict[str, Any], fused: bool) -> None:
    network = build_network(UNet3D(), SOLID, 0)
    choose_norm(network, CPU, Machine.model_validate(machine))
    assert {layer.fused for layer in network.modules() if isinstance(layer, NormAct)} == {fused}


def test_a_network_without_such_norms_cannot_fuse_them() -> None:
    message = r"machine\.norm: only unet3d and unet2d have a norm that can be fused, got Conv2d; set machine\.norm=auto"
    choose_norm(nn.Conv2d(1, 1, 1), CPU, Machine())
    with pytest.raises(Refusal, match=message):
        choose_norm(nn.Conv2d(1, 1, 1), CPU, Machine(norm="fused"))


def test_a_compiler_sees_one_whole_graph() -> None:
    layer = NormAct(6)
    layer.fused = True
    x, weight, bias, dy = given((2, 6, 5, 4, 3), torch.float32, True)
    layer.load_state_dict({"weight": weight, "bias": bias})
    results = []
    for forward in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=False)):
        end = x.clone().requires_grad_()
        y = forward(end)
        results.append([y.detach(), *torch.autograd.grad(y, [end, layer.weight, layer.bias], dy)])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
