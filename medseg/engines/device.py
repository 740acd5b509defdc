"""Where and how a run computes: device, threads, determinism."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import nn

from medseg.values.error import wrong_setting
from medseg.values.machine import Machine

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def device_of(machine: Machine) -> torch.device:
    """Return the device; `auto` is CUDA where there is one. Refuses CUDA where there is none."""
    available = torch.cuda.is_available()
    name = machine.device if machine.device != "auto" else "cuda" if available else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (not available or (device.index or 0) >= torch.cuda.device_count()):
        raise wrong_setting("machine.device", "the device exists", name, "set machine.device=cpu or auto")
    return device


@contextmanager
def computing(machine: Machine) -> Iterator[torch.device]:
    """Set threads and deterministic algorithms for a while and yield the device.

    On CUDA an operation without a deterministic version warns instead of stopping: every network can be trained.
    """
    device = device_of(machine)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS itself, when it starts
    threads, strict, warn = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    memory: Any = import_module("torch.utils.deterministic")
    fill = memory.fill_uninitialized_memory
    torch.set_num_threads(machine.threads or len(os.sched_getaffinity(0)))
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    memory.fill_uninitialized_memory = False  # costs time, and nothing here reads such memory
    try:
        yield device
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn)
        memory.fill_uninitialized_memory = fill


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to the device with its weights channels-last, the order that convolutions are fastest in."""
    weights = [weight for weight in network.parameters() if weight.ndim in FORMATS]
    for weight in weights:
        weight.data = weight.data.contiguous(memory_format=FORMATS[weight.ndim])
    return network.to(device)
