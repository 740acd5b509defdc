"""Free memory, as the system and the limits of a container tell it."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from medseg.engines.room import free_on_host

MEMINFO = "MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:   20000000 kB\n"
KB = 1024


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_a_limit_it_is_what_is_available(tmp_path: Path) -> None:
    put(tmp_path / "meminfo", MEMINFO)
    put(tmp_path / "memory.max", "max\n")
    put(tmp_path / "memory.current", "1000\n")
    assert free_on_host(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 20_000_000 * KB


def test_the_limit_of_a_container_counts_and_its_cached_files_are_free(tmp_path: Path) -> None:
    put(tmp_path / "meminfo", MEMINFO)
    put(tmp_path / "memory.max", "5000000\n")
    put(tmp_path / "memory.current", "3000000\n")
    put(tmp_path / "memory.stat", "anon 2000000\nfile 1000000\nfile_mapped 500000\n")
    assert free_on_host(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 3_000_000


def test_the_older_control_groups_count_as_well(tmp_path: Path) -> None:
    put(tmp_path / "meminfo", MEMINFO)
    put(tmp_path / "memory" / "memory.limit_in_bytes", "5000000\n")
    put(tmp_path / "memory" / "memory.usage_in_bytes", "4500000\n")
    put(tmp_path / "memory" / "memory.stat", "cache 7\ntotal_cache 200000\n")
    assert free_on_host(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 700_000


def test_the_tightest_of_the_groups_around_a_job_counts(tmp_path: Path) -> None:
    put(tmp_path / "meminfo", MEMINFO)
    put(tmp_path / "own", "0::/slurm/job_7/step_0\n")
    for path, limit in (("slurm", "9000000"), ("slurm/job_7", "4000000"), ("slurm/job_7/step_0", "max")):
        put(tmp_path / path / "memory.max", limit)
        put(tmp_path / path / "memory.current", "1000000")
        put(tmp_path / path / "memory.stat", "file 0\n")
    assert free_on_host(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 3_000_000
    put(tmp_path / "own", "9:name=systemd:/slurm/job_7\n4:cpu,memory:/job\n")
    put(tmp_path / "memory/job/memory.limit_in_bytes", "5000000\n")
    put(tmp_path / "memory/job/memory.usage_in_bytes", "4500000\n")
    put(tmp_path / "memory/job/memory.stat", "total_cache 0\n")
    assert free_on_host(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 500_000
    put(tmp_path / "own", "not a list of groups\n0::/../../etc\n")
    assert free_on_host(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 20_000_000 * KB


def test_what_cannot_be_read_is_not_free(tmp_path: Path) -> None:
    assert free_on_host(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 0


def test_this_computer_has_some_and_not_more_than_there_is() -> None:
    assert 0 < free_on_host() <= psutil.virtual_memory().total


OWN = """
import ctypes
import torch
from medseg.engines.room import large_arrays_returned

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

library = ctypes.CDLL(None)
library.mallinfo2.restype = Info

def own(count):
    before = library.mallinfo2().hblks
    arrays = [torch.ones(2 << 20) for _ in range(count)]
    return library.mallinfo2().hblks - before

torch.ones(4 << 20)  # after it the C library keeps what is as large
before = own(12)
with large_arrays_returned():
    within = own(24)  # the first ones may fill what the others left
print(before, within >= 12, own(12))
"""
KNOWS = platform.libc_ver()[0] == "glibc" and hasattr(ctypes.CDLL(None), "mallinfo2")


@pytest.mark.skipif(not KNOWS, reason="only the GNU C library, from 2.33 on, tells how it keeps arrays")
def test_for_a_while_large_arrays_have_memory_of_their_own() -> None:
    """Such memory goes back when the array goes; what the library keeps together stays, or leaves a hole."""
    done = subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "0"]
