"""Where patches are read from: arrays in memory or files, or tensors that are on the device already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medseg.values.volume import Array

Box = tuple[slice, ...]


class Source(Protocol):
    """What cutting needs of a case; both are arrays, or tensors on the device that patches are cut on.

    image: float32 (C, X, Y, Z).  classes: uint8 (X, Y, Z).  annotated: as in `PreparedCase`.
    """

    @property
    def image(self) -> Array | Tensor: ...  # noqa: D102
    @property
    def classes(self) -> Array | Tensor: ...  # noqa: D102
    @property
    def annotated(self) -> tuple[int, ...] | None: ...  # noqa: D102


class _Memory:
    """Memory that belongs to an array, said to be writable."""

    def __init__(self, array: Array) -> None:
        self.owner = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__: dict[str, Any] = {**array.__array_interface__, "data": (address, False)}


def region(source: Array | Tensor, box: Box, device: torch.device) -> Tensor:
    """Return a box (over the last axes) of an array or tensor, on the device. It must not be written to.

    Nothing is copied on the CPU, nor where the source is on the device; else only the box, and nobody waits for it.
    """
    part = boxed(source, box)
    if isinstance(part, Tensor):
        return part
    return moved(part, device)


def boxed(source: Array | Tensor, box: Box) -> Array | Tensor:
    """View a box, over the last axes, of an array or a tensor."""
    index: tuple[Any, ...] = (..., *box)
    return source[index]


def moved(array: Array, device: torch.device) -> Tensor:
    """Hand an array to the device; to CUDA it goes through locked memory, so that the caller does not wait."""
    if device.type != "cuda":
        return _viewed(array)
    kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
    locked = torch.empty(array.shape, dtype=kind, pin_memory=True)
    np.copyto(locked.numpy(), array)
    return locked.to(device, non_blocking=True)


def box_of(start: NDArray[np.integer] | Sequence[int], stop: NDArray[np.integer] | Sequence[int]) -> Box:
    """Return the slices from `start` to `stop`."""
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def _viewed(array: Array) -> Tensor:
    """View an array as a tensor. Torch would warn of one that is read-only, such as a map of a file."""
    return torch.from_numpy(array if array.flags.writeable else np.asarray(_Memory(array)))
