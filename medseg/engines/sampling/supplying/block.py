"""Memory that other processes can map: arrays go from one to another without being sent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medseg.values.volume import Array

_ALIGNED = 64  # bytes, a line of the processor's cache


class Block:
    """Memory for arrays, one after the other. It has no name: child processes inherit its `descriptor`.

    It is freed with the last array in it and the last process that maps one; `close` only ends inheritance.
    """

    def __init__(self, size: int) -> None:
        self.descriptor = os.memfd_create("medseg", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, max(1, size))
        self._used = 0

    def room(self, shape: Sequence[int], dtype: np.dtype[Any]) -> np.memmap[Any, Any]:
        """Return the next array, of zeros; `size` must have counted its `padded` bytes."""
        array = np.memmap(f"/dev/fd/{self.descriptor}", dtype, "r+", self._used, tuple(shape))
        self._used += padded(array.nbytes)
        return array

    def keep(self, array: Array) -> np.memmap[Any, Any]:
        """Return a read-only copy of an array."""
        copy = self.room(array.shape, array.dtype)
        copy[...] = array
        copy.flags.writeable = False
        return copy

    def close(self) -> None:
        """Let no more processes in; arrays that were made stay."""
        os.close(self.descriptor)


def padded(count: int) -> int:
    """Return the bytes that an array of `count` bytes takes up in a block."""
    return -(-count // _ALIGNED) * _ALIGNED


def address(array: np.memmap[Any, Any]) -> dict[str, Any]:
    """Say where an array lies, as JSON: in a file, or in a block whose descriptor the reader has inherited."""
    return {
        "file": str(array.filename),
        "offset": array.offset,
        "dtype": array.dtype.str,
        "shape": array.shape,
    }


def opened(where: Mapping[str, Any], mode: Any = "r") -> np.memmap[Any, Any]:
    """Map the array that `address` told of."""
    return np.memmap(where["file"], np.dtype(where["dtype"]), mode, where["offset"], tuple(where["shape"]))
