"""A step has the same result however it is computed: in parts, again, compiled, in another order, in half precision."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from math import isfinite
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medseg.engines.device import computing, ordered, place
from medseg.engines.ranks import Ranks
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.training.fit import fit
from medseg.engines.training.keeping.state import State, start
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.gradients import Division, Gradients
from medseg.engines.training.stepping.precision import LARGEST_SCALE, STEPS_TO_DOUBLE, adapt, first_scale
from medseg.engines.training.stepping.setup import Means, build_stepper
from medseg.engines.training.stepping.step import Step
from medseg.networks.build import build_network
from medseg.networks.settings import UNet3D
from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss
from medseg.values.error import Refusal
from medseg.values.labels import IGNORED
from medseg.values.machine import Machine
from medseg.values.plan import Architecture

SOLID = Architecture(
    dimensions=3,
    channels=2,
    outputs=3,
    features=(4, 6, 8),
    strides=((1, 1, 1), (2, 2, 2), (2, 2, 1)),
    kernels=((3, 3, 3),) * 3,
)
PLAIN = TrainingSettings(optimiser="sgd", momentum=0.0, learning_rate=0.1, clip=1e9, ema=0.0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with computing(Machine(device="cpu", threads=1)):
        yield


def some_batches(dtype: torch.dtype = torch.float32, count: int = 2, patches: int = 5) -> list[Batch]:
    chance = torch.Generator().manual_seed(0)
    found = []
    for number in range(count):
        images = torch.randn(patches, 2, 8, 8, 4, generator=chance, dtype=dtype)
        classes = (images[:, 0] > 0).long() + (images[:, 1] > 0.5)
        classes[torch.rand(classes.shape, generator=chance) < 0.1] = IGNORED
        known = torch.ones(patches, 256, dtype=torch.bool)
        known[1, 2] = False
        found.append(Batch(images, classes, known if number == 1 else None))
    return found


def network(dtype: torch.dtype = torch.float32, dropout: float = 0.0) -> nn.Module:
    return build_network(UNet3D(deep_supervision=True, dropout=dropout), SOLID, 0).to(dtype)


def taken(
    network: nn.Module,
    machine: dict[str, Any],
    batches: list[Batch],
    settings: TrainingSettings = PLAIN,
    kind: Any = "dice_ce",
) -> tuple[State, list[Step]]:
    means = Means(Machine.model_validate({"device": "cpu", **machine}))
    state = start(place(network, torch.device("cpu"), means.machine), settings)
    loss = build_loss(LossSettings(kind=kind), ignore=True)
    return state, list(fit(build_stepper(state, loss, settings, 0, means), batches, lambda number: 1 / number))


def weights(state: State) -> Tensor:
    return torch.cat([weight.detach().flatten().double() for weight in state.network.parameters()])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("microbatch", [1, 2, 3, 5, 9])
def test_microbatches_change_rounding_only(microbatch: int, dropout: float) -> None:
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        whole, steps = taken(network(dtype, dropout), {}, some_batches(dtype))
        parts, others = taken(network(dtype, dropout), {"microbatch": microbatch}, some_batches(dtype))
        torch.testing.assert_close(weights(parts), weights(whole), rtol=tolerance, atol=tolerance)
        assert [step.loss for step in others] == pytest.approx([step.loss for step in steps], rel=1e-6)
        assert [step.norm for step in others] == pytest.approx([step.norm for step in steps], rel=1e-4)


def test_the_dice_of_a_divided_batch_is_not_the_mean_of_its_parts() -> None:
    batch = some_batches(count=1)[0]
    loss = build_loss(LossSettings(), ignore=True)
    whole = network()
    singly = [loss(whole(batch.images[[i]]), batch.classes[[i]]).item() for i in range(5)]
    step = taken(network(), {"microbatch": 1}, [batch])[1][0]
    assert step.loss == pytest.approx(loss(whole(batch.images), batch.classes).item(), rel=1e-5)
    assert abs(step.loss - sum(singly) / 5) > 1e-4


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("microbatch", [None, 2])
def test_activations_computed_again_give_the_same_bytes(dropout: float, microbatch: int | None) -> None:
    kept, _ = taken(network(dropout=dropout), {"microbatch": microbatch}, some_batches())
    again, _ = taken(network(dropout=dropout), {"microbatch": microbatch, "recompute": True}, some_batches())
    assert torch.equal(weights(again), weights(kept))


def test_memory_order_changes_rounding_only() -> None:
    found = [taken(network(), {"layout": layout}, some_batches())[0] for layout in ("channels_last", "channels_first")]
    torch.testing.assert_close(weights(found[0]), weights(found[1]), rtol=1e-5, atol=1e-5)
    last, first = (state.network.get_parameter("encoder.1.0.weight") for state in found)
    assert last.is_contiguous(memory_format=torch.channels_last_3d)
    assert first.is_contiguous()


def test_images_of_one_channel_count_as_channels_last_where_they_should() -> None:
    images = torch.randn(2, 1, 4, 5, 6)
    last, first = ordered(images, torch.channels_last_3d), ordered(images, torch.contiguous_format)
    assert torch.equal(last, images)
    assert last.data_ptr() == images.data_ptr()
    weight = torch.randn(3, 1, 3, 3, 3)
    one, other = (nn.functional.conv3d(image, weight) for image in (last, first))
    assert one.is_contiguous(memory_format=torch.channels_last_3d)
    assert other.is_contiguous()
    torch.testing.assert_close(one, other)
    assert ordered(torch.randn(2, 3, 4, 4), torch.channels_last).is_contiguous(memory_format=torch.channels_last)


def test_half_precision_learns_the_same_to_its_rounding() -> None:
    # bf16 is refused on a CPU for the gradients of tiny volumes, of which this network has none.
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv3d(2, 16, 3, padding=1), nn.LeakyReLU(), nn.Conv3d(16, 3, 1))
    halves, losses = (copy.deepcopy(plain), plain), []
    loss, batch = build_loss(LossSettings(), ignore=True), some_batches(count=1)[0]
    for one, dtype in zip(halves, (torch.bfloat16, torch.float32), strict=True):
        gradients = Gradients(one, one, loss, loss.sums, dtype, torch.contiguous_format, Division())
        losses.append(gradients.compute(batch, 0))
    half, full = (torch.cat([weight.grad.flatten() for weight in one.parameters()]) for one in halves)  # type: ignore[union-attr]
    assert [value.dtype for value in (*losses, half)] == [torch.float32] * 3
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=0.01)
    assert 1e-5 < (half - full).norm() / full.norm() < 0.02


def scaled(kind: str, scale: float, count: int = 12, loud: float = 1e3) -> tuple[State, list[Step]]:
    """Train in float32 as fp16 does, on images so loud that gradients overflow at a high scale."""
    settings = TrainingSettings.model_validate({"optimiser": kind, "learning_rate": 1e-3, "ema": 0.0})
    torch.manual_seed(0)
    state = start(nn.Conv3d(2, 3, 1), settings)
    if scale:
        state.scaler.update(first_scale(torch.device("cpu")))
        state.scaler["scale"].fill_(scale)
    stepper = build_stepper(state, build_loss(LossSettings(kind="ce"), ignore=True), settings, 0, Means(Machine()))
    batches = [Batch(loud * batch.images, batch.classes) for batch in some_batches(count=count)]
    return state, list(fit(stepper, batches, lambda _: 1.0))


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_loss_scale_does_not_change_what_is_learnt(kind: str) -> None:
    plain, steps = scaled(kind, 0.0)
    state, others = scaled(kind, 2.0**12)
    assert torch.equal(weights(state), weights(plain))
    assert [step.norm for step in others] == [step.norm for step in steps]
    assert state.scaler["steps"].item() == 12


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_steps_whose_gradients_overflow_are_skipped_until_the_scale_is_low_enough(kind: str) -> None:
    before, _ = scaled(kind, 0.0, count=0)
    state, steps = scaled(kind, 2.0**64)
    skipped = [step for step in steps if not isfinite(step.norm)]
    assert 0 < len(skipped) < 12
    assert steps[: len(skipped)] == skipped
    assert all(isfinite(step.loss) for step in steps)
    scales = [step.scale for step in steps if step.scale is not None]
    assert scales == [2.0 ** (64 - min(number, len(skipped))) for number in range(1, 13)]
    assert torch.equal(weights(scaled(kind, 2.0**64, count=len(skipped))[0]), weights(before))
    rest = some_batches(count=12)[len(skipped) :]
    late = scaled(kind, 0.0, count=0)[0]
    settings = TrainingSettings.model_validate({"optimiser": kind, "learning_rate": 1e-3, "ema": 0.0})
    stepper = build_stepper(late, build_loss(LossSettings(kind="ce"), ignore=True), settings, 0, Means(Machine()))
    list(fit(stepper, [Batch(1e3 * batch.images, batch.classes) for batch in rest], lambda _: 1.0))
    torch.testing.assert_close(weights(state), weights(late), rtol=1e-6, atol=1e-7)


def test_gradients_that_are_finite_at_no_scale_are_refused() -> None:
    with pytest.raises(Refusal, match=r"training: the gradients of step \d+ are finite at some loss scale, got inf"):
        scaled("sgd", 2.0**-14, loud=1e33)


def test_the_scale_doubles_after_many_good_steps_and_no_further_than_its_limit() -> None:
    scale, good, bad = first_scale(torch.device("cpu")), torch.tensor(True), torch.tensor(False)
    for _ in range(STEPS_TO_DOUBLE - 1):
        adapt(scale, good)
    assert (scale["scale"].item(), scale["steps"].item()) == (2.0**16, STEPS_TO_DOUBLE - 1)
    adapt(scale, bad)
    assert (scale["scale"].item(), scale["steps"].item()) == (2.0**15, 0)
    for _ in range(STEPS_TO_DOUBLE):
        adapt(scale, good)
    assert (scale["scale"].item(), scale["steps"].item()) == (2.0**16, 0)
    scale["scale"].fill_(LARGEST_SCALE)
    scale["steps"].fill_(STEPS_TO_DOUBLE)
    adapt(scale, good)
    assert scale["scale"].item() == LARGEST_SCALE


def test_a_compiled_network_learns_the_same() -> None:
    def small() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.LeakyReLU(), nn.Conv3d(4, 3, 1))

    plain, _ = taken(small(), {}, some_batches(count=1) * 2, kind="ce")
    compiled, _ = taken(small(), {"compile": True}, some_batches(count=1) * 2, kind="ce")
    torch.testing.assert_close(weights(compiled), weights(plain), rtol=1e-5, atol=1e-5)
    assert compiled.network.state_dict().keys() == plain.network.state_dict().keys()


def refused(network: nn.Module, ranks: Ranks | None = None, **machine: Any) -> str:
    means = Means(Machine.model_validate({"device": "cpu", **machine}), ranks or Ranks())
    with pytest.raises(Refusal) as caught:
        build_stepper(start(network, PLAIN), build_loss(LossSettings()), PLAIN, 0, means)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_what_does_not_go_together_is_refused() -> None:
    normed = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    dropping = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Dropout(0.1))
    for other, what in ((normed, "BatchNorm2d (1)"), (dropping, "Dropout (1)")):
        for means in ({"microbatch": 2}, {"ranks": Ranks(0, 2)}):
            assert refused(other, **means) == (  # type: ignore[arg-type]
                f"network: the network treats every patch by itself where a batch is divided, got {what}; "
                "train in one process with machine.microbatch=null, or take network=unet3d or unet2d"
            )
    assert refused(normed, recompute=True) == (
        "machine.recompute: only unet3d and unet2d can compute their activations again, got Sequential; "
        "set machine.recompute=false"
    )
    assert refused(normed, cuda_graphs=True) == (
        "machine.cuda_graphs: a step is recorded whole, on one CUDA device, got machine.device=cpu; "
        "change that, or set machine.cuda_graphs=false"
    )


def test_a_missing_compiler_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("/nowhere/g++",))
    monkeypatch.setattr(config, "force_disable_caches", True)
    torch._dynamo.reset()
    found = refused(network(), compile=True)
    assert found.startswith("machine.compile: there is a compiler for cpu, got ")
    assert found.endswith("install one (g++ for a CPU, Triton for CUDA), or set machine.compile=false")
