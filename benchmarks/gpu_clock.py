"""What the GPU benchmark measures with: seconds per step, the device's idle share, its peak memory and its kernels."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import torch

Take = Callable[[], object]
_CONVOLUTION = re.compile(r"conv|fprop|dgrad|wgrad|xmma|implicit_gemm|cutlass|gemm", re.IGNORECASE)
_REORDERING = re.compile(r"nchwToNhwc|nhwcToNchw|transform|transpose|copy", re.IGNORECASE)
_BUSY = {"kernel", "gpu_memcpy", "gpu_memset"}
_RAMP = 0.3  # share of a profile that is left out: the device begins it without work in its queue


def seconds_per_step(take: Take, device: torch.device, windows: int = 5, seconds: float = 0.6) -> dict[str, Any]:
    """Return the median seconds of a step over windows of about `seconds`, and each window's, warm already.

    A CPU is there for trying only, and gets two windows of two steps.
    """
    if device.type == "cpu":
        windows, seconds = 2, 0.0
    began = time.perf_counter()
    take()
    wait(device)
    steps = max(2, min(100, round(seconds / (time.perf_counter() - began))))
    found = []
    for _ in range(windows):
        began = time.perf_counter()
        for _ in range(steps):
            take()
        wait(device)
        found.append((time.perf_counter() - began) / steps)
    return {"seconds": median(found), "windows": found, "steps": steps}


def warm(take: Take, device: torch.device, steps: int) -> float:
    """Take steps until everything is compiled and chosen, then `pin`; return the seconds that it took."""
    began = time.perf_counter()
    for _ in range(steps):
        take()
    wait(device)
    pin()
    return time.perf_counter() - began


def threads() -> int:
    """Return the CPU threads that everybody gets: two beside a device, else one, to be left in peace while trying."""
    return 2 if torch.cuda.is_available() else 1


def pin(cores: int = 2) -> None:
    """Leave this process, with all threads that it has by now, so many cores of the processor."""
    kept = sorted(os.sched_getaffinity(0))[:cores]
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), kept)


def wait(device: torch.device) -> None:
    """Wait until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def profile(take: Take, device: torch.device, steps: int) -> dict[str, Any]:
    """Take steps under the profiler and return `reading` of them; nothing without CUDA."""
    if device.type != "cuda":
        return {}
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as recording

    with recording(activities=[ProfilerActivity.CUDA]) as record:
        for _ in range(steps):
            take()
        wait(device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        record.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return reading(events, steps)


def reading(events: Iterable[Mapping[str, Any]], steps: int) -> dict[str, Any]:
    """Return the idle share of a trace, the seconds per step in convolutions, and the costliest kernels.

    Idle is when no kernel and no copy runs on any stream, after the first part of the trace.
    """
    busy = sorted((e["ts"], e["ts"] + e["dur"], e["name"]) for e in events if e.get("cat") in _BUSY)
    if not busy:
        return {}
    costs: dict[str, float] = {}
    for start, stop, name in busy:
        costs[name] = costs.get(name, 0.0) + (stop - start) * 1e-6 / steps
    convolving = sum(cost for name, cost in costs.items() if is_convolution(name))
    dearest = sorted(costs.items(), key=lambda one: -one[1])[:25]
    first, last = busy[0][0], max(stop for _, stop, _ in busy)
    spans = [(start, stop) for start, stop, _ in busy]
    return {
        "idle": idle_share(spans, first + _RAMP * (last - first), last),
        "convolution_seconds": convolving,
        "kernels_per_step": len(busy) / steps,
        "kernels": [
            {"name": name[:160], "seconds": cost, "convolution": is_convolution(name)} for name, cost in dearest
        ],
    }


def idle_share(spans: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    """Return the share of begin..end that no span covers; spans are sorted by their start and may overlap."""
    covered, reached = 0.0, begin
    for start, stop in spans:
        start, stop = max(start, reached), min(stop, end)
        if stop > start:
            covered += stop - start
            reached = stop
    return 1.0 - covered / (end - begin)


def is_convolution(name: str) -> bool:
    """Tell by a kernel's name whether it multiplies for a convolution, which here all matrix kernels do."""
    return bool(_CONVOLUTION.search(name)) and not _REORDERING.search(name)


def peak_gigabytes(device: torch.device) -> float | None:
    """Return the most memory that tensors took on the device, or that CUDA graphs keep; None without CUDA."""
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    return max(torch.cuda.max_memory_allocated(device), torch.cuda.memory_reserved(device)) / 1e9


def ceilings(device: torch.device) -> dict[str, Any]:
    """Measure what nothing can beat: a large bfloat16 matrix product of random numbers, and a copy in memory."""
    cuda = device.type == "cuda"
    edge, length = (8192, 1 << 30) if cuda else (256, 1 << 20)
    one, other = (torch.randn(edge, edge, device=device).to(torch.bfloat16) for _ in range(2))
    source = torch.randn(length // 4, device=device)
    target = torch.empty_like(source)
    works: dict[str, tuple[Take, float]] = {
        "matrix_flops_per_second": (lambda: torch.matmul(one, other), 2.0 * edge**3),
        "copied_bytes_per_second": (lambda: target.copy_(source), 2.0 * length),
    }
    found = {}
    for name, (work, amount) in works.items():
        warm(work, device, 3)
        found[name] = amount / seconds_per_step(work, device, 5, 0.2)["seconds"]
    return found
