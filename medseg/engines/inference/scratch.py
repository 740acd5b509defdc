"""Tensors in temporary files: numbers that the system may write out when memory is needed for something else."""

from __future__ import annotations

import mmap
import os
from math import prod
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor

from medseg.values.error import Refusal

# Temporary files of any size belong here; the usual folder for them often lies in memory.
_LARGE = Path("/var/tmp")  # noqa: S108 - the files have no name


class Scratch:
    """Float32 tensors, each in a file without a name that goes with it."""

    def __init__(self) -> None:
        self._maps: WeakSet[mmap.mmap] = WeakSet()

    def tensor(self, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor of zeros; its place on the disk is taken at once, and refused where there is none."""
        size, folder = 4 * prod(shape), scratch_folder()
        try:
            with TemporaryFile(dir=folder) as file:
                # Without this a full disk would end the process in the middle of writing to memory.
                os.posix_fallocate(file.fileno(), 0, size)
                mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            rule = f"{size / 1e6:.0f} MB of blended scores can be laid here for a while"
            remedy = "free space, set the environment variable TMPDIR to another folder, or raise machine.memory_gb"
            raise Refusal(str(folder), rule, error.strerror or error, remedy) from error
        self._maps.add(mapped)
        return torch.from_numpy(np.frombuffer(mapped, np.float32).reshape(shape))

    def rest(self) -> None:
        """Give back the memory of all pages; they are read from the file again when they are needed."""
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)


def scratch_folder() -> Path:
    """Return the folder for large temporary files: TMPDIR where it is set, else /var/tmp where there is one."""
    return _LARGE if "TMPDIR" not in os.environ and os.access(_LARGE, os.W_OK) else Path(gettempdir())
