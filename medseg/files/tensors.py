"""Tensors on disk as safetensors files: never half a file, never pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from medseg.values.error import Refusal


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors of any device: the same content gives the same bytes. Shared memory is written twice."""
    seen: set[int] = set()
    whole: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        copy = tensor.detach().cpu().contiguous()
        whole[name] = copy.clone() if place in seen else copy
        seen.add(place)
    write_whole(path, save(whole))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors to the CPU. Refuses a missing or damaged file."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise Refusal(str(path), "is a whole safetensors file", error, "copy it again or make it again") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it is either the old one or the whole new one."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
