"""Tensor files: what is written is read, equal content is equal bytes, damage is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

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
