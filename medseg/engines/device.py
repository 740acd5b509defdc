"""Where and how a run computes: device, threads, determinism."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from medseg.engines.ranks import current
from medseg.networks.norm import choose_norm
from medseg.values.error import wrong_setting
from medseg.values.machine import Machine

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
ANY = Machine()


def device_of(machine: Machine) -> torch.device:
    """Return the device; `auto` is CUDA where there is one. Refuses CUDA where there is none.

    Of several processes on one computer each takes a CUDA device of its own, so none may be named.
    """
    available, ranks = torch.cuda.is_available(), current()
    name = machine.device if machine.device != "auto" else "cuda" if available else "cpu"
    if ranks.local_world > 1 and name.startswith("cuda:"):
        rule = f"each of the {ranks.local_world} processes on a computer takes a CUDA device of its own"
        raise wrong_setting("machine.device", rule, name, "set machine.device=auto or cuda")
    device = torch.device(f"cuda:{ranks.local_rank}" if name == "cuda" and ranks.world > 1 else name)
    if device.type == "cuda" and (not available or (device.index or 0) >= torch.cuda.device_count()):
        raise wrong_setting("machine.device", "the device exists", device, "set machine.device=cpu or auto")
    return device


@contextmanager
def computing(machine: Machine) -> Iterator[torch.device]:
    """Set threads and deterministic algorithms for a while and yield the device.

    On CUDA an operation without a deterministic version warns instead of stopping: every network can be trained. With
    `machine.deterministic=false` CUDA tries which kernels are fastest and takes them; a CPU has none that differ.
    Float32 is float32: PyTorch would let convolutions on CUDA take TF32, which has 10 bits of it.
    """
    device = device_of(machine)
    free = device.type == "cuda" and not machine.deterministic
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS itself, when it starts
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # read by torch: large tensors lie in large pages, made faster
    threads, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    memory: Any = import_module("torch.utils.deterministic")
    fill, cudnn = memory.fill_uninitialized_memory, torch.backends.cudnn
    trying, coarse = cudnn.benchmark, cudnn.allow_tf32
    torch.set_num_threads(machine.threads or max(1, len(os.sched_getaffinity(0)) // current().local_world))
    # Not `use_deterministic_algorithms`, which imports the compiler: as long as importing all the rest of torch.
    torch.set_deterministic_debug_mode("default" if free else "warn" if device.type == "cuda" else "error")
    cudnn.benchmark, cudnn.allow_tf32 = free, False
    memory.fill_uninitialized_memory = False  # costs time, and nothing here reads such memory
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            yield device
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(strict)
        memory.fill_uninitialized_memory = fill
        cudnn.benchmark, cudnn.allow_tf32 = trying, coarse


def place(network: nn.Module, device: torch.device, machine: Machine = ANY) -> nn.Module:
    """Move a network to the device, its weights in the order and its norms computed as the machine asks for."""
    for weight in network.parameters():
        if weight.ndim in FORMATS:
            weight.data = weight.data.contiguous(memory_format=_format(weight.ndim, machine))
    network.to(device)
    choose_norm(network, device, machine)
    return network


def layout_of(machine: Machine, network: nn.Module) -> torch.memory_format:
    """Return the memory order of the images of a network: that of its convolutions' weights."""
    return _format(max((weight.ndim for weight in network.parameters()), default=0), machine)


def ordered(images: Tensor, layout: torch.memory_format) -> Tensor:
    """Return images `(B, C, *space)` in a memory order, copied where needed.

    With one channel both orders are the same bytes; the strides then decide which one a convolution works in.
    """
    images = images.contiguous(memory_format=layout)
    single = images.shape[1] == 1 and layout != torch.contiguous_format
    return images.squeeze(1).unsqueeze(-1).movedim(-1, 1) if single else images


def _format(axes: int, machine: Machine) -> torch.memory_format:
    """Return the order of tensors with so many axes; channels-last is for those of convolutions alone."""
    return torch.contiguous_format if machine.layout == "channels_first" else FORMATS.get(axes, torch.contiguous_format)
