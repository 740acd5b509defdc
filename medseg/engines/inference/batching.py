"""How many windows are computed at once, and what happens when memory runs out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from math import prod
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from medseg.engines.inference.frame import Frame
from medseg.engines.inference.layout import Window
from medseg.values.error import Refusal
from medseg.values.volume import Array

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Compute = Callable[[Sequence[Window]], Tensor]
# Guess of what a network keeps per voxel of a window, in float32 numbers: eight maps of 32 features.
_NUMBERS_PER_VOXEL = 256
# More voxels at once bring no speed: the cores, or the GPU, are busy.
_ENOUGH_VOXELS = {"cpu": 1 << 18, "cuda": 1 << 23}
# The last one is what PyTorch says when every convolution of cuDNN wanted more memory to work in than there was.
_SIGNS = ("out of memory", "not enough memory", "allocate memory", "alloc_failed", "unable to find an engine")


class Batches:
    """Windows and what was computed of them, batch by batch, in order.

    `size` windows at a time, 1 at first; it may be set between batches. When memory runs out, half as many are computed
    from then on, which is said once; a single window that does not fit is refused.
    """

    def __init__(self, windows: Iterator[Window], compute: Compute, device: torch.device) -> None:
        self.size = 1
        self._windows, self._compute, self._device = windows, compute, device
        self._waiting: list[Window] = []
        self._said = False
        self._reason = ""

    def __iter__(self) -> Iterator[tuple[Sequence[Window], Tensor]]:
        while batch := self._next():
            found = self._tried(batch)
            if found:
                yield batch, found.pop()  # not held here: the next windows need the room
            else:
                self._waiting = [*batch, *self._waiting]
                self._shrink(len(batch))

    def _next(self) -> list[Window]:
        self._waiting += islice(self._windows, max(0, self.size - len(self._waiting)))
        batch, self._waiting = self._waiting[: self.size], self._waiting[self.size :]
        return batch

    def _tried(self, batch: Sequence[Window]) -> list[Tensor]:
        """Return what was computed, or nothing where memory ran out: then no one holds the failed attempt any more."""
        try:
            return [self._compute(batch)]
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            self._reason = str(error).strip().partition("\n")[0][:160]
            return []

    def _shrink(self, tried: int) -> None:
        if tried == 1:
            rule = "the network's work on one window fits into the memory"
            remedy = "set machine.device=cpu" if self._device.type == "cuda" else "end other programs"
            remedy += ", or train with a smaller patches.size"
            raise Refusal(f"memory of {self._device}", rule, self._reason or "no more memory", remedy)
        if not self._said:
            logger.warning("memory of %s ran out at %d windows at once: fewer are taken", self._device, tried)
        self._said, self.size = True, tried // 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory has run out, on whatever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)


def batch_size(patch: Sequence[int], window: int, left: float, device: torch.device) -> int:
    """Return how many windows are computed at once, 1 at least, where `left` bytes are free.

    window: bytes that a window takes before and after the network.
    """
    voxels = prod(patch)
    fitting = int(left / (window + 4 * _NUMBERS_PER_VOXEL * voxels))
    return max(1, min(fitting, _ENOUGH_VOXELS.get(device.type, 1 << 18) // voxels))


def cut(image: Array, windows: Sequence[Window], frame: Frame, pinned: bool) -> Tensor:
    """Cut windows from an image: `(B, C, *space)` float32, zeros where they reach beyond it.

    A single window inside the image is a view of it, where torch can have one; all others are copies, and nothing else
    is copied.
    """
    covered = all(
        part.stop - part.start == size for w in windows for part, size in zip(w.inner, frame.patch, strict=True)
    )
    viewable = image.dtype == np.float32 and image.flags.writeable and min(image.strides) > 0 and not pinned
    if covered and viewable and len(windows) == 1:
        view = torch.from_numpy(image[(slice(None), *windows[0].inner)])[None]
        return view if frame.plane is None else view.squeeze(frame.plane + 2)
    batch = torch.empty((len(windows), len(image), *frame.patch), pin_memory=pinned)
    if not covered:
        batch.zero_()
    for place, window in zip(batch.numpy(), windows, strict=True):
        place[(slice(None), *window.within)] = image[(slice(None), *window.inner)]
    return batch if frame.plane is None else batch.squeeze(frame.plane + 2)


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items one late: the device is at work on the next one while this one is used."""
    waiting: deque[Item] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
