"""Tensor files: what is written is read, equal content is equal bytes, damage is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from medseg.files.tensors import load_tensors, save_tensors, write_whole
from medseg.values.error import Refusal


def test_tensors_come_back_with_type_and_shape(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    tensors = {
        "a": torch.randn(3, 4).t(),
        "b": torch.tensor(7),
        "c": torch.randn(2, 2).to(torch.bfloat16),
        "whole": shared,
        "part": shared[2:],
        "again": shared,
    }
    save_tensors(tmp_path / "t.safetensors", tensors)
    found = load_tensors(tmp_path / "t.safetensors")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_equal_content_gives_equal_bytes_in_any_order(tmp_path: Path) -> None:
    tensors = {"b": torch.ones(3), "a": torch.zeros(2, dtype=torch.int64), "c": torch.ones(1)}
    save_tensors(tmp_path / "one", tensors)
    save_tensors(tmp_path / "two", dict(reversed(tensors.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_the_bytes_are_those_of_the_library(tmp_path: Path) -> None:
    chance = torch.Generator().manual_seed(0)
    kinds = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.int16,
             torch.int8, torch.uint8, torch.bool, torch.complex64]  # fmt: skip
    tensors = {f"{kind}/é": (9 * torch.rand(3, 5, generator=chance)).to(kind) for kind in kinds}
    tensors |= {"number": torch.tensor(7), "nothing": torch.empty(0, 4), 'a "name"': torch.ones(3)}
    tensors |= {"large": torch.rand(7, 1_000_000, generator=chance), "flat": torch.empty(4, 0)}
    save_tensors(tmp_path / "t.safetensors", tensors)
    assert (tmp_path / "t.safetensors").read_bytes() == save(tensors)
    save_tensors(tmp_path / "none.safetensors", {})
    assert load_tensors(tmp_path / "none.safetensors") == {}


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the system does not tell peaks anew")
def test_a_large_file_goes_through_little_memory(tmp_path: Path) -> None:
    script = f"""
import torch
from pathlib import Path
from medseg.files.tensors import save_tensors

def held(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) << 10

one = torch.ones(16, 16, 40, 40, 40).to(memory_format=torch.channels_last_3d)
tensors = {{str(number): one for number in range(5)}}
save_tensors(Path({str(tmp_path)!r}) / "warm", {{"a": torch.ones(2)}})
Path("/proc/self/clear_refs").write_text("5")
before = held("VmRSS")
save_tensors(Path({str(tmp_path)!r}) / "large", tensors)
print((held("VmHWM") - before) / one.nbytes)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "large").stat().st_size > 5 * 65_000_000
    assert float(done.stdout) < 0.5


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", b"old")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "file", "not bytes")  # type: ignore[arg-type]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all"])
def test_a_missing_or_damaged_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "t.safetensors").write_bytes(content)
    with pytest.raises(Refusal, match=r"t\.safetensors: is a whole safetensors file, got .*; copy it again"):
        load_tensors(tmp_path / "t.safetensors")
