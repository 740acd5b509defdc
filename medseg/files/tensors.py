"""Tensors on disk as safetensors files: never half a file, never pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medseg.values.error import Refusal

# The format's names of types, in the order of its own writer: the widest first, so that every tensor lies aligned.
_NAMES = {
    torch.uint64: "U64", torch.int64: "I64", torch.float64: "F64", torch.complex64: "C64", torch.float32: "F32",
    torch.uint32: "U32", torch.int32: "I32", torch.bfloat16: "BF16", torch.float16: "F16", torch.uint16: "U16",
    torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_ORDER = {dtype: place for place, dtype in enumerate(_NAMES)}
_ALIGNED = 8  # bytes: the header is filled up with spaces
_PART_BYTES = 4 << 20


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors of any device: the same content gives the same bytes. Shared memory is written twice.

    A small part after the other goes through memory, so a file may be larger than what is free. The bytes are those
    that the safetensors library writes, which would need room for all of them.
    """
    names = sorted(tensors, key=lambda name: (_ORDER[tensors[name].dtype], name))
    with _whole(path) as file:
        file.write(_header([(name, tensors[name]) for name in names]))
        for part in chain.from_iterable(_parts(tensors[name]) for name in names):
            file.write(part.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors to the CPU. Refuses a missing or damaged file.

    They may be maps of the file, which keep it open: copy what is to stay.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise Refusal(str(path), "is a whole safetensors file", error, "copy it again or make it again") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it is either the old one or the whole new one."""
    with _whole(path) as file:
        file.write(content)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """Yield a draft to be written, which takes the place of `path` when the block ends well."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def _parts(tensor: Tensor) -> Sequence[Tensor]:
    """Divide a tensor along its first axis, so that a copy of a part takes little memory."""
    rows = _PART_BYTES * len(tensor) // max(1, tensor.nbytes) if tensor.ndim else 0
    return torch.split(tensor.detach(), max(1, rows)) if tensor.ndim else (tensor.detach(),)


def _header(tensors: list[tuple[str, Tensor]]) -> bytes:
    """Return the length of the header, 8 bytes, and the header: type, shape and place of each tensor as JSON."""
    entries, begin = {}, 0
    for name, tensor in tensors:
        end = begin + prod(tensor.shape) * tensor.element_size()
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    padded = text + b" " * (-len(text) % _ALIGNED)
    return len(padded).to_bytes(8, "little") + padded
