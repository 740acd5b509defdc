"""Where the live part of a prediction lies: on the device, in memory, or in files; and how it comes to the host."""

from __future__ import annotations

import logging
from math import prod

import torch
from torch import Tensor

from medseg.engines.inference.batching import out_of_memory
from medseg.engines.inference.foreseeing import Needs
from medseg.engines.inference.frame import Room
from medseg.engines.inference.scratch import Scratch, scratch_folder
from medseg.engines.room import free_on_device
from medseg.values.error import Refusal

logger = logging.getLogger(__name__)

HOST = torch.device("cpu")
# Share of the free memory of a device that blended scores may take; the network needs the rest.
_DEVICE_SHARE = 0.5


class Ground:
    """Room for blended scores on a device, and for those of the slab in files where `scratch` is given."""

    def __init__(self, device: torch.device, scratch: Scratch | None = None) -> None:
        self.device = device
        self._scratch = scratch

    @property
    def mapped(self) -> bool:
        """Whether the slab lies in files."""
        return self._scratch is not None

    def rows(self, shape: tuple[int, ...]) -> Tensor:
        """Return float32 numbers, of any value: on the device, or on the host when the device has run out of memory."""
        try:
            return torch.empty(shape, device=self.device)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if self.device == HOST:
                rule = f"{4 * prod(shape) / 1e6:.0f} MB of blended scores fit into the memory"
                remedy = "lower machine.memory_gb, so that they lie in a temporary file"
                raise Refusal("memory", rule, "no more memory", remedy) from error
        return torch.empty(shape)

    def slab(self, shape: tuple[int, ...]) -> Tensor:
        """Return float32 numbers, of any value, for planes of the slab."""
        return self.rows(shape) if self._scratch is None else self._scratch.tensor(shape)

    def rest(self) -> None:
        """Give back memory that files can stand in for."""
        if self._scratch is not None:
            self._scratch.rest()


def choose_ground(needs: Needs, room: Room) -> Ground:
    """Return the device where scores fit on it and complete slabs fit on the host, else memory, else files.

    That the slab lies in files is said in a warning.
    """
    if room.device.type == "cuda":
        fits = needs.slab + needs.rows < _DEVICE_SHARE * free_on_device(room.device)
        if fits and needs.slab < room.bytes:
            return Ground(room.device)
    if needs.total <= room.bytes:
        return Ground(HOST)
    logger.warning(
        "blended scores take %.2g GB and %.2g GB of memory are granted: they lie in temporary files in %s; "
        "a higher machine.memory_gb avoids that",
        needs.slab / 1e9,
        room.bytes / 1e9,
        scratch_folder(),
    )
    return Ground(HOST, Scratch())


class Arrival:
    """A tensor on its way to the host; without an event it is there already."""

    def __init__(self, coming: Tensor, event: torch.cuda.Event | None = None) -> None:
        self._coming, self._event = [coming], event

    def take(self) -> Tensor:
        """Return the tensor once it has arrived; it is not kept here, so this can be done once."""
        if self._event is not None:
            self._event.synchronize()
        return self._coming.pop()


def to_host(values: Tensor) -> Arrival:
    """Begin to copy a tensor to the host; what lies there is not copied."""
    if not values.is_cuda:
        return Arrival(values)
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    event = torch.cuda.Event()  # type: ignore[no-untyped-call, unused-ignore]
    event.record(torch.cuda.current_stream(values.device))
    return Arrival(host, event)
