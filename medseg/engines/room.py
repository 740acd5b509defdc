"""How much memory is free, on the computer and on a device, and what becomes of memory that is not needed any more."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# M_MMAP_THRESHOLD of <malloc.h>: from how many bytes on an array has memory of its own, and the most it ever comes to.
_THRESHOLD, _LARGE, _USUAL = -3, 4 << 20, 32 << 20


def free_on_host(meminfo: Path = _MEMINFO, cgroups: Path = _CGROUPS, own_groups: Path = _OWN_GROUPS) -> int:
    """Return the bytes of memory that this process may still take: what is available, or the limit of its container.

    A job of a cluster may lie in a group within a group, and the tightest limit on the way up counts.
    Pages of files that the system can drop at once count as free. Where neither can be read, the answer is 0.
    """
    limits = [left for folder in _folders(cgroups, own_groups) for left in _below_limit(folder)]
    return max(0, min([*_available(meminfo), *limits], default=0))


def free_on_device(device: torch.device) -> int:
    """Return the bytes that are free on a CUDA device, with those that this process keeps for later use."""
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


@contextmanager
def large_arrays_returned() -> Iterator[None]:
    """For a while, let the memory of an array above 4 MB return to the system at once when it goes, on Linux.

    By itself the C library comes to keep arrays of up to 32 MB for later ones, and the holes between them add up.
    """
    choose = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if choose is None:
        yield
        return
    choose(_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        choose(_THRESHOLD, _USUAL)


def _available(meminfo: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) << 10


def _folders(cgroups: Path, own_groups: Path) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, for both versions of control groups, and those above."""
    with suppress(OSError, ValueError):
        for line in own_groups.read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            root = cgroups / "memory" if "memory" in kinds.split(",") else None if kinds else cgroups
            below = path.strip("/")
            if root is not None and below and ".." not in below.split("/"):
                inner = Path(below)
                yield from (root / part for part in (inner, *inner.parents) if part != Path())
    yield from (cgroups, cgroups / "memory")


def _below_limit(folder: Path) -> Iterator[int]:
    """Yield what the limit of a group leaves; nothing where there is none.

    Cached pages of files are within the use that a group is charged with, and are given up before the limit is met.
    """
    for limit, used, cached in (
        ("memory.max", "memory.current", "file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache"),
    ):
        with suppress(OSError, ValueError):  # no such version here, or `max`: no limit
            most, now = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
            statistics = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
            yield most - now + sum(int(line.split()[1]) for line in statistics if line.split()[0] == cached)
