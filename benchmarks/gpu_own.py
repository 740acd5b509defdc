"""Our own training as the GPU benchmark measures it: bare steps, and the whole loop with batches and journal."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import gpu_clock
import torch
from gpu_cases import Size, sampler

from medseg.engines.device import computing, place
from medseg.engines.sampling.cutting.cut import Batch
from medseg.engines.sampling.supplying.batches import batches
from medseg.engines.sampling.supplying.supply import Supply, supplied
from medseg.engines.training.fit import fit
from medseg.engines.training.keeping.journal import Journal
from medseg.engines.training.keeping.state import start
from medseg.engines.training.settings import TrainingSettings
from medseg.engines.training.stepping.setup import Means, build_stepper
from medseg.engines.training.stepping.step import Step, Stepper
from medseg.networks.build import build_network
from medseg.networks.flops import count_flops
from medseg.networks.settings import UNet3D
from medseg.ops.loss_settings import LossSettings
from medseg.ops.losses import build_loss
from medseg.values.machine import Machine
from medseg.values.plan import Plan

Keep = Callable[[dict[str, Any]], None]
FIXED = 3  # batches that bare steps take in turn


def measure(part: dict[str, Any], size: Size, keep: Keep) -> None:
    """Measure one part, `keep` what is known after each piece of it."""
    machine = Machine.model_validate({"threads": gpu_clock.threads(), **part["machine"]})
    with computing(machine) as device:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = part["tf32"]
        source = sampler(size, part["batch"], device)
        stepper = _stepper(part, source.plan, machine, device)
        keep(_bare(stepper, list(islice(batches(source, device), FIXED)), device))
        for place_of_cases in part["pipelines"]:
            own = machine.model_copy(update={"data": place_of_cases})
            with supplied(source, Supply(own, device)) as made, _looping(stepper, made) as take:
                keep({f"loop_{place_of_cases}": _loop(take, device)})


def flops(size: Size, batch: int) -> int:
    """Return the operations of the convolutions of one step."""
    from gpu_cases import architecture

    return count_flops(architecture(size), (size.patch,) * 3, batch, deep_supervision=True).training


def _stepper(part: dict[str, Any], plan: Plan, machine: Machine, device: torch.device) -> Stepper:
    settings = TrainingSettings(
        optimiser="sgd", learning_rate=1e-2, weight_decay=3e-5, schedule="poly", precision=part["precision"]
    )
    network = build_network(UNet3D(deep_supervision=True), plan.architecture, 0, plan.patch)
    state = start(place(network, device, machine), settings)
    return build_stepper(state, build_loss(LossSettings()), settings, 0, Means(machine))


def _bare(stepper: Stepper, fixed: list[Batch], device: torch.device) -> dict[str, Any]:
    """Take steps on batches that are there already."""
    numbers = count()

    def take() -> Step:
        return stepper.take(fixed[next(numbers) % len(fixed)], 1.0)  # whose loss is not asked for: that would wait

    first = take().loss
    warming = gpu_clock.warm(take, device, 7 if device.type == "cuda" else 0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    timed = gpu_clock.seconds_per_step(take, device)
    peak = gpu_clock.peak_gigabytes(device)
    seen = gpu_clock.profile(take, device, 8)
    losses = {"first_loss": first, "last_loss": take().loss}
    return {"warming_seconds": warming, "peak_gigabytes": peak, "bare": timed, "profile": seen, **losses}


@contextmanager
def _looping(stepper: Stepper, made: Iterator[Batch]) -> Iterator[Callable[[], object]]:
    """Yield what takes the next step of the loop that a training runs, its journal included."""
    with tempfile.TemporaryDirectory() as folder:
        journal, loop = Journal(Path(folder)), fit(stepper, made, lambda number: 1.0)

        def take() -> None:
            journal.step(next(loop), time.monotonic())
            journal.flush(wait=False)

        yield take
        journal.flush()


def _loop(take: Callable[[], object], device: torch.device) -> dict[str, Any]:
    gpu_clock.warm(take, device, 6 if device.type == "cuda" else 1)
    timed = gpu_clock.seconds_per_step(take, device)
    return {**timed, "idle": gpu_clock.profile(take, device, 12).get("idle")}
