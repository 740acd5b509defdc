"""What only a CUDA device can show of a step: half precision, graphs, and a host that does not wait."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medseg.engines.device import computing, place
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.fit import fit
from medseg.engines.training.keeping.state import State, start
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.setup import Means, build_stepper
from medseg.engines.training.stepping.step import Step
from medseg.networks.build import build_network
from medseg.networks.settings import UNet3D
from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss
from medseg.values.machine import Machine
from medseg.values.plan import Architecture

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this computer has no CUDA device"),
]
SOLID = Architecture(
    dimensions=3,
    channels=2,
    outputs=3,
    features=(16, 32, 32),
    strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)),
    kernels=((3, 3, 3),) * 3,
)
SPACE = (32, 32, 32)


@pytest.fixture(autouse=True)
def on_cuda() -> Iterator[None]:
    with computing(Machine(device="cuda")):
        yield


def some_batches(count: int, loud: float = 1.0) -> list[Batch]:
    chance = torch.Generator().manual_seed(0)
    found = []
    for number in range(count):
        images = torch.randn(4, 2, *SPACE, generator=chance)
        classes = (images[:, 0] > 0).long() + (images[:, 1] > 0.5)
        known = torch.ones(4, 256, dtype=torch.bool)
        known[1, 2] = False
        batch = Batch(loud * images, classes, known if number % 3 == 1 else None)
        found.append(Batch(*(None if one is None else one.cuda() for one in batch)))  # type: ignore[arg-type]
    return found


def trained(
    batches: list[Batch], settings: dict[str, Any], dropout: float = 0.0, **machine: Any
) -> tuple[State, list[Step]]:
    given = Machine.model_validate({"device": "cuda", **machine})
    training = TrainingSettings.model_validate({"precision": "bf16", **settings})
    network = build_network(UNet3D(deep_supervision=True, dropout=dropout), SOLID, 0)
    state = start(place(network, torch.device("cuda"), given), training)
    stepper = build_stepper(state, build_loss(LossSettings()), training, 0, Means(given))
    return state, list(fit(stepper, batches, lambda number: 1 / number))


def weights(module: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in module.parameters()]).cpu()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_as_single_precision_does(precision: str) -> None:
    _, full = trained(some_batches(12), {"precision": "fp32"})
    _, half = trained(some_batches(12), {"precision": precision})
    assert [step.loss for step in half] == pytest.approx([step.loss for step in full], rel=0.05)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_fp16_skips_steps_that_overflow_and_goes_on(kind: str) -> None:
    state, steps = trained(some_batches(40, loud=30.0), {"precision": "fp16", "optimiser": kind})
    assert all(isfinite(step.loss) for step in steps)
    assert isfinite(steps[-1].norm)
    assert weights(state.network).isfinite().all()
    scales = [step.scale for step in steps]
    assert all(scale is not None and scale <= 2.0**16 for scale in scales)
    assert set(state.scaler) == {"scale", "steps"}


@pytest.mark.parametrize("settings", [{}, {"optimiser": "sgd"}, {"precision": "fp16"}, {"precision": "fp32"}])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_recorded_step_gives_the_same_bytes(settings: dict[str, Any], dropout: float) -> None:
    plain, steps = trained(some_batches(12), settings, dropout)
    replayed, others = trained(some_batches(12), settings, dropout, cuda_graphs=True)
    assert [step.loss for step in others] == [step.loss for step in steps]
    assert [step.rate for step in others] == [step.rate for step in steps]
    assert torch.equal(weights(replayed.network), weights(plain.network))
    assert torch.equal(weights(replayed.average), weights(plain.average))


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_the_same_command_gives_the_same_bytes(precision: str) -> None:
    found = [weights(trained(some_batches(6), {"precision": precision}, 0.3)[0].network) for _ in range(2)]
    assert torch.equal(*found)


def test_microbatches_and_recomputing_change_rounding_only() -> None:
    settings = {"precision": "fp32", "optimiser": "sgd", "momentum": 0.0}
    plain = weights(trained(some_batches(2), settings, 0.3)[0].network)
    for machine in ({"microbatch": 1}, {"microbatch": 3}, {"recompute": True}, {"microbatch": 2, "recompute": True}):
        other = weights(trained(some_batches(2), settings, 0.3, **machine)[0].network)
        torch.testing.assert_close(other, plain, rtol=1e-3, atol=1e-4)


def test_a_compiled_step_learns_the_same() -> None:
    plain, steps = trained(some_batches(5), {"precision": "fp32"})
    compiled, others = trained(some_batches(5), {"precision": "fp32"}, compile=True)
    assert [step.loss for step in others] == pytest.approx([step.loss for step in steps], rel=0.01)
    assert compiled.network.state_dict().keys() == plain.network.state_dict().keys()


def test_nothing_in_a_step_waits_for_the_device() -> None:
    batches = some_batches(8)
    given = Machine(device="cuda")
    training = TrainingSettings(precision="fp16")
    state = start(place(build_network(UNet3D(), SOLID, 0), torch.device("cuda"), given), training)
    stepper = build_stepper(state, build_loss(LossSettings()), training, 0, Means(given))
    for batch in batches[:2]:
        stepper.take(batch, 1.0)
    torch.cuda.synchronize()
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps = [stepper.take(batch, 1.0) for batch in batches[2:]]
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    assert [step.number for step in steps] == [3, 4, 5, 6, 7, 8]
    assert all(isfinite(step.loss) for step in steps)


def test_faster_kernels_on_request_leave_nothing_behind() -> None:
    with computing(Machine(device="cuda", deterministic=False)):
        assert torch.backends.cudnn.benchmark
        assert not torch.are_deterministic_algorithms_enabled()
        _, steps = trained(some_batches(3), {}, deterministic=False)
    assert all(isfinite(step.loss) for step in steps)
    assert not torch.backends.cudnn.benchmark
    assert torch.are_deterministic_algorithms_enabled()
