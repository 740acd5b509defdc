"""Where the prepared cases lie while training: decided first, from sizes alone, then carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from medseg.engines.sampling.supplying.block import Block, padded
from medseg.files.prepared import PreparedCase
from medseg.values.error import wrong_setting
from medseg.values.volume import Array

Place = Literal["device", "host", "mapped"]
Wanted = Literal["auto", "device", "host", "mapped"]
_HOST_SHARE = 0.8  # of the free memory of the computer: batches, validation and the page cache need some as well
_DEVICE_SHARE = 0.9  # of the free memory of the device: what is freed comes back in pieces


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that are free for cases: in memory of the computer, and on the device next to a training step.

    `device` is None where the device has no memory of its own.
    """

    host: int
    device: int | None = None


@dataclass(frozen=True, slots=True)
class Residence:
    """Where the cases lie, and why there."""

    place: Place
    because: str

    @property
    def told(self) -> str:
        """Place and reason in words."""
        return f"training cases lie in {_NAMES[self.place]}: {self.because}"


def size_of(cases: Sequence[PreparedCase]) -> int:
    """Return the bytes of all images and classes."""
    return sum(case.image.nbytes + case.classes.nbytes for case in cases)


def choose(wanted: Wanted, size: int, room: Room, workers: int = 0) -> Residence:
    """Decide where `size` bytes of cases lie.

    `auto`: on a device with memory of its own if they fit there, else in memory of the computer if they fit there, else
    on the disk; without such a device on the disk, because the system keeps what is used in its cache. `workers` can
    cut only what lies in memory of the computer or on the disk. Refuses a place that was asked for and is too small,
    and workers together with `device`.
    """
    host = int(room.host * _HOST_SHARE)
    device = host if room.device is None else int(room.device * _DEVICE_SHARE)
    if wanted == "auto":
        return _chosen(size, host, None if room.device is None or workers else device, room.device is not None)
    if wanted == "device" and workers:
        raise wrong_setting("machine.workers", "processes cannot cut what lies on the device (machine.data=device)",
                            workers, "set machine.workers=0, or machine.data=host or mapped")  # fmt: skip
    limit = {"device": device, "host": host, "mapped": size}[wanted]
    if size > limit:
        rule = (
            f"{gigabytes(size)} of prepared cases fit in {_NAMES[wanted]}, where {gigabytes(limit)} are free for them"
        )
        raise wrong_setting("machine.data", rule, wanted, "set machine.data=auto or mapped")
    return Residence(wanted, "asked for")


def _chosen(size: int, host: int, device: int | None, accelerated: bool) -> Residence:
    """Return the first place that is large enough; `device` is None where cases cannot lie on one."""
    if device is not None and size <= device:
        return Residence("device", f"{gigabytes(size)} fit in {gigabytes(device)} of the device")
    if not accelerated:
        return Residence("mapped", "the system keeps what is used in memory")
    if size <= host:
        return Residence("host", f"{gigabytes(size)} fit in {gigabytes(host)} of memory")
    return Residence("mapped", f"{gigabytes(size)} are more than the {gigabytes(host)} of memory that are free")


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """Cases where they are to lie, and the block of memory that holds them, if one does."""

    cases: list[PreparedCase]
    block: Block | None = None


def settle(cases: Sequence[PreparedCase], place: Place, device: torch.device) -> Settled:
    """Bring images and classes to `place`, their numbers unchanged; returns when everything lies there.

    device: tensors on `device`.  host: read-only arrays in one block of memory.  mapped: as they are.
    """
    if place == "mapped":
        return Settled(list(cases))
    if place == "host":
        return _in_one_block(cases)
    moved = [replace(case, image=_moved(case.image, device), classes=_moved(case.classes, device)) for case in cases]
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # streams that do not wait for this one are going to read them
    return Settled(moved)


def _moved(array: Array, device: torch.device) -> Any:
    return torch.from_numpy(np.array(array)).to(device)


def _in_one_block(cases: Sequence[PreparedCase]) -> Settled:
    block = Block(sum(padded(array.nbytes) for case in cases for array in (case.image, case.classes)))
    kept = [replace(case, image=block.keep(case.image), classes=block.keep(case.classes)) for case in cases]
    return Settled(kept, block)


def gigabytes(count: int) -> str:
    """Write a number of bytes, e.g. `1.5 GB`."""
    return f"{count / 1e9:.3g} GB"


_NAMES = {"device": "memory of the device", "host": "memory of the computer", "mapped": "files"}
