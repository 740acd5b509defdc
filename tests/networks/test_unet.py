"""Our U-Net: shapes, gradients, size, seeds."""

from __future__ import annotations

from math import prod

import pytest
import torch

from medseg.networks.build import build_network, check_patch
from medseg.networks.norm import NormAct
from medseg.networks.settings import UNet2D, UNet3D
from medseg.values.error import Refusal
from medseg.values.plan import Architecture

ODD = Architecture(
    dimensions=3,
    channels=2,
    outputs=3,
    features=(4, 6, 8, 8),
    strides=((1, 1, 1), (2, 2, 1), (3, 2, 1), (1, 2, 2)),
    kernels=((3, 3, 1), (3, 3, 1), (3, 3, 3), (3, 3, 3)),
)
FLAT = Architecture(
    dimensions=2, channels=1, outputs=2, features=(4, 8, 8), strides=((1, 1), (2, 2), (2, 2)), kernels=((3, 3),) * 3
)


@pytest.mark.parametrize("space", [(12, 16, 4), (13, 17, 5), (7, 9, 3)])
def test_logits_have_the_size_of_the_image_for_odd_strides_and_odd_sizes(space: tuple[int, ...]) -> None:
    network = build_network(UNet3D(deep_supervision=True), ODD, 0)
    images = torch.randn(2, 2, *space)
    fine, coarse = network(images)
    assert fine.shape == (2, 3, *space)
    assert coarse.shape[2:] == tuple(-(-n // s) for n, s in zip(space, ODD.strides[1], strict=True))
    assert network.eval()(images).shape == (2, 3, *space)


def test_slices_go_through_the_flat_network() -> None:
    assert build_network(UNet2D(dropout=0.2), FLAT, 0)(torch.randn(3, 1, 21, 16)).shape == (3, 2, 21, 16)


def test_every_weight_gets_a_gradient() -> None:
    network = build_network(UNet3D(deep_supervision=True), ODD, 0)
    sum(scale.square().mean() for scale in network(torch.randn(1, 2, 12, 16, 4))).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_supervised_levels_leave_out_the_two_coarsest_but_not_the_second_finest() -> None:
    for levels, scales in [(2, 1), (3, 2), (4, 2), (5, 2), (6, 3)]:
        deep = FLAT.model_copy(
            update={
                "features": (4,) * levels,
                "strides": ((1, 1), *((2, 2),) * (levels - 1)),
                "kernels": ((3, 3),) * levels,
            }
        )
        found = build_network(UNet2D(deep_supervision=True), deep, 0)(torch.randn(1, 1, 64, 64))
        assert (1 if isinstance(found, torch.Tensor) else len(found)) == scales


def test_number_of_weights_is_what_the_architecture_says() -> None:
    features, channels = ODD.features, (ODD.channels, *ODD.features)
    volume = [prod(kernel) for kernel in ODD.kernels]
    norms = [2 * f for f in features]
    down = [v * (c * f + f * f) + 2 * n for v, c, f, n in zip(volume, channels[:-1], features, norms, strict=True)]
    up = [volume[i] * (2 * f * f + f * f) + 2 * norms[i] for i, f in enumerate(features[:-1])]
    climbs = [prod(ODD.strides[i + 1]) * features[i + 1] * features[i] for i in range(len(features) - 1)]
    head = features[0] * ODD.outputs + ODD.outputs
    network = build_network(UNet3D(), ODD, 0)
    assert sum(p.numel() for p in network.parameters()) == sum(down) + sum(up) + sum(climbs) + head


def test_a_flat_kernel_keeps_slices_apart() -> None:
    flat = ODD.model_copy(update={"kernels": ((3, 3, 1),) * 4, "strides": ((1, 1, 1), *((2, 2, 1),) * 3)})
    network = build_network(UNet3D(), flat, 0)
    for module in network.modules():  # an instance norm would mix the slices
        if isinstance(module, torch.nn.Sequential):
            for i, layer in enumerate(module):
                if isinstance(layer, NormAct):
                    module[i] = torch.nn.Identity()
    images = torch.randn(1, 2, 16, 16, 3)
    changed = images.clone()
    changed[..., 0] += 1.0
    difference = (network(images) - network(changed)).abs().amax((0, 1, 2, 3))
    assert difference[0] > 1e-3
    assert difference[1:].max() < 1e-6


def test_the_seed_decides_the_weights_and_nothing_global_changes() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (build_network(UNet2D(), FLAT, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["encoder.0.0.weight"], other["encoder.0.0.weight"])


def test_first_convolutions_keep_the_variance() -> None:
    wide = FLAT.model_copy(update={"channels": 64, "features": (64, 64, 64)})
    network = build_network(UNet2D(), wide, 0)
    weight = network.get_parameter("encoder.0.0.weight")
    expected = (2 / (1 + 0.01**2) / (64 * 9)) ** 0.5
    assert weight.std().item() == pytest.approx(expected, rel=0.03)


def test_other_dimensions_than_the_plan_are_refused() -> None:
    with pytest.raises(
        Refusal, match=r"network: the plan is for a network of 2 dimensions, got 3; make the plan again"
    ):
        build_network(UNet3D(), FLAT, 0)


def test_a_patch_with_one_voxel_at_the_bottom_is_refused() -> None:
    check_patch(UNet2D(), FLAT, (1, 5, 4))
    check_patch(UNet2D(), FLAT, (5, 4))
    with pytest.raises(Refusal, match=r"patches.size: unet2d wants .* got \(4, 4\); set \[4, 8\]"):
        check_patch(UNet2D(), FLAT, (4, 1, 4))
    with pytest.raises(Refusal, match="a patch has 2 axes longer than 1"):
        check_patch(UNet2D(), FLAT, (8, 8, 8))
