"""MONAI's networks through the adapter: each one runs, and each wrong setting is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from medseg.networks.build import build_network, check_patch
from medseg.networks.settings import Monai
from medseg.networks.shapes import shapes_alone
from medseg.values.error import Refusal
from medseg.values.plan import Architecture

FLAT = Architecture(
    dimensions=2, channels=2, outputs=3, features=(24, 32, 32), strides=((1, 1), (2, 2), (2, 1)), kernels=((3, 3),) * 3
)
DEEP = Architecture(
    dimensions=3,
    channels=1,
    outputs=2,
    features=(8, 8, 16),
    strides=((1, 1, 1), (2, 2, 1), (2, 2, 2)),
    kernels=((3, 3, 1), (3, 3, 3), (3, 3, 3)),
)
SMALL: dict[str, dict[str, Any]] = {
    "DynUNet": {"res_block": True},
    "UNet": {"num_res_units": 1},
    "AttentionUnet": {},
    "SegResNet": {"blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    "SwinUNETR": {"num_heads": [2, 2, 2, 2], "depths": [1, 1, 1, 1], "window_size": 4},
    "UNETR": {"hidden_size": 24, "mlp_dim": 32, "num_heads": 2},
    "VNet": {},
}


def small(name: Any, **changes: Any) -> Monai:
    return Monai(name=name, **{"dimensions": 2, "options": SMALL[name], **changes})


@pytest.mark.parametrize("name", SMALL)
def test_every_network_learns_in_two_dimensions(name: str) -> None:
    settings = small(name, dropout=0.1)
    check_patch(settings, FLAT, (64, 1, 32))
    network = build_network(settings, FLAT, 0, (64, 1, 32))
    logits = network(torch.randn(1, 2, 64, 32))
    assert logits.shape == (1, 3, 64, 32)
    logits.square().mean().backward()
    # MONAI's SwinUNETR and UNETR have a few weights that nothing reads (e.g. a class token); most must learn.
    learning = [weight.grad is not None and bool(weight.grad.any()) for weight in network.parameters()]
    assert sum(learning) > 0.8 * len(learning)


@pytest.mark.parametrize("name", ["DynUNet", "UNet", "AttentionUnet", "SegResNet", "VNet"])
def test_networks_in_three_dimensions_follow_uneven_strides(name: str) -> None:
    settings = small(name, dimensions=3)
    patch = (32, 16, 16) if name == "VNet" else (8, 8, 4)
    network = build_network(settings, DEEP, 0, patch)
    assert network(torch.randn(1, 1, *patch)).shape == (1, 2, *patch)


def test_the_seed_decides_the_weights() -> None:
    before = torch.get_rng_state()
    one, same, other = (build_network(small("DynUNet"), FLAT, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SegResNet", {"block_down": [1]}, r"network.options.block_down: .* did you mean 'blocks_down'\?"),
        ("UNet", {"channels": [8, 16]}, r"network.options.channels: medseg sets channels of UNet itself"),
        ("UNETR", {"num_heads": 7}, r"network: MONAI's UNETR refuses: hidden_size should be divisible by num_heads"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    settings = small(name, options=options)
    with pytest.raises(Refusal, match=message) as refused:
        build_network(settings, FLAT, 0, (64, 64))
    assert refused.value.exit_code == 2


def test_unetr_needs_the_patch() -> None:
    with pytest.raises(Refusal, match="UNETR works at one patch size only"):
        build_network(small("UNETR"), FLAT, 0)


def test_a_width_that_does_not_suit_is_refused() -> None:
    with pytest.raises(Refusal, match=r"MONAI's SwinUNETR refuses: feature_size should be divisible by 12"):
        build_network(small("SwinUNETR"), FLAT.model_copy(update={"features": (32, 32, 32)}), 0)


def test_an_option_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(Refusal, match=r"network\.options\.patch_size: a whole number is wanted, got two"):
        check_patch(small("SwinUNETR", options={"patch_size": "two"}), FLAT, (64, 64))


@pytest.mark.parametrize(
    ("name", "patch", "fitting"),
    [
        ("DynUNet", (30, 32), "[32, 32]"),
        ("SegResNet", (30, 32), "[32, 32]"),
        ("SwinUNETR", (32, 32), "[32, 64]"),
        ("UNETR", (50, 32), "[48, 32]"),
        ("VNet", (40, 8), "[32, 16]"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_with_one_that_does(
    name: str, patch: tuple[int, int], fitting: str
) -> None:
    settings = small(name)
    with pytest.raises(Refusal, match=r"patches\.size") as refused:
        check_patch(settings, FLAT, patch)
    assert fitting in refused.value.remedy
    check_patch(settings, FLAT, tuple(int(n) for n in fitting.strip("[]").split(",")))


@pytest.mark.parametrize("name", SMALL)
def test_every_network_can_be_built_without_memory(name: str) -> None:
    """Preflight and packages ask for its shapes first; MONAI's SwinUNETR reads numbers while it is built."""
    whole = build_network(small(name), FLAT, 0, (64, 1, 32)).state_dict()
    with shapes_alone():
        hollow = build_network(small(name), FLAT, 0, (64, 1, 32)).state_dict()
    assert {part: weight.shape for part, weight in hollow.items()} == {part: w.shape for part, w in whole.items()}
    assert {weight.device.type for weight in hollow.values()} == {"meta"}
