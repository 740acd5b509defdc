"""What a kind of device cannot do in training, by settings alone: no data and no computing library are needed."""

from __future__ import annotations

from medseg.engines.training.settings import TrainingSettings
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine


def check_limits(training: TrainingSettings, machine: Machine, device: str, processes: int) -> None:
    """Refuse (exit 2) what a `device` of this kind (cpu, cuda) does not train, or not with so many processes."""
    check_precision(training, device)
    check_graphs(machine, device, processes)


def check_precision(training: TrainingSettings, device: str) -> None:
    """Refuse half precision on a CPU.

    PyTorch's weight gradients of small bfloat16 volumes (2 x 2 x 2 voxels, torch 2.13) depend there on memory that
    nobody wrote, and float16 has no kernels.
    """
    name = training.precision
    if name in ("bf16", "fp16") and device != "cuda":
        raise wrong_setting("training.precision", f"{name} is for a CUDA device", name, "set auto or fp32")


def check_graphs(machine: Machine, device: str, processes: int) -> None:
    """Refuse to record a step that is not one unbroken piece of work for one CUDA device."""
    if not machine.cuda_graphs:
        return
    against = {
        f"machine.device={device}": device != "cuda",
        f"machine.microbatch={machine.microbatch}": machine.microbatch is not None,
        "machine.recompute=true": machine.recompute,
        f"{processes} processes": processes > 1,
    }
    for what, found in against.items():
        if found:
            rule = "a step is recorded whole, on one CUDA device"
            raise wrong_setting("machine.cuda_graphs", rule, what, "change that, or set machine.cuda_graphs=false")
