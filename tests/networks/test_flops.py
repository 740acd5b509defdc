"""The count of operations is what PyTorch counts as it computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from medseg.networks.build import build_network
from medseg.networks.flops import Flops, count_flops
from medseg.networks.settings import UNet2D, UNet3D
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


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def counted(architecture: Architecture, space: Sequence[int], batch: int, deep_supervision: bool) -> Flops:
    kind = UNet3D if architecture.dimensions == 3 else UNet2D
    network = build_network(kind(deep_supervision=deep_supervision), architecture, 0)
    with FlopCounterMode(display=False) as counter:
        scales = network(torch.randn(batch, architecture.channels, *space))
        forward = counter.get_total_flops()
        torch.stack([one.square().mean() for one in (scales if deep_supervision else (scales,))]).sum().backward()
    return Flops(forward, counter.get_total_flops())


@pytest.mark.parametrize("deep_supervision", [False, True])
def test_the_count_is_exact_for_even_and_uneven_patches(deep_supervision: bool) -> None:
    for architecture, space in ((ODD, (12, 16, 4)), (ODD, (13, 17, 5)), (FLAT, (21, 16))):
        for batch in (1, 3):
            known = counted(architecture, space, batch, deep_supervision)
            assert count_flops(architecture, space, batch, deep_supervision) == known


def test_a_brain_tumour_plan_takes_one_teraflop_forward() -> None:
    plan = {
        "features": (32, 64, 128, 256, 320, 320),
        "strides": ((1,) * 3, *((2,) * 3,) * 5),
        "kernels": ((3,) * 3,) * 6,
    }
    found = count_flops(ODD.model_copy(update={**plan, "channels": 4, "outputs": 4}), (128,) * 3, 1, True)
    assert found == Flops(965_771_001_856, 2_882_817_490_944)
