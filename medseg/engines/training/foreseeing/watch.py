"""What a training holds in fact, beside what was foreseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from medseg.engines.training.foreseeing.preflight import Wish, amount
from medseg.pipeline.meter import own_memory, peak_of_own_memory


@dataclass(frozen=True, slots=True)
class MemoryWatch:
    """Compares what a training holds with what was foreseen.

    `before` is what lay where it computes without it, `host` what the process itself held.
    """

    device: torch.device
    foreseen: Wish | None
    before: int
    host: int

    @classmethod
    def begun(cls, device: torch.device, foreseen: Wish | None) -> MemoryWatch:
        """Return a watch that begins now, before the network lies on its device."""
        own = own_memory()
        return cls(device, foreseen, on_device(device) if device.type == "cuda" else own, own)

    def beside(self, count: int) -> MemoryWatch:
        """Return a watch that leaves out so many bytes more where training computes: those of cases on the device."""
        return replace(self, before=self.before + count)

    def held(self) -> int:
        """Return the most bytes that training has held by now: tensors on a CUDA device, else the computer's memory."""
        cuda = self.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(self.device) if cuda else peak_of_own_memory()
        return max(0, peak - self.before)

    def of_steps(self) -> dict[str, float]:
        """Return MB held and foreseen, once steps have been taken and nothing else has been done."""
        foreseen = {} if self.foreseen is None else {"foreseen_mb": _mb(self.foreseen.bytes)}
        return {"held_mb": _mb(self.held()), **foreseen}

    def of_all(self) -> dict[str, float]:
        """Return the same for the whole training, at its end; beside a CUDA device also for the computer."""
        wish = self.foreseen
        found = {"most_held_mb": _mb(self.held())} | ({} if wish is None else {"most_foreseen_mb": _mb(wish.most)})
        if self.device.type != "cuda":
            return found
        host = {"host_held_mb": _mb(max(0, peak_of_own_memory() - self.host))}
        return found | host | ({} if wish is None else {"host_foreseen_mb": _mb(wish.pause.host)})


def on_device(device: torch.device) -> int:
    """Return the bytes of tensors on a CUDA device, 0 for others."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def told(what: str, found: Mapping[str, float]) -> str:
    """Say in words what was found: the first number is what is held, the second one what was foreseen."""
    held, *foreseen = (amount(round(1e6 * number)) for number in list(found.values())[:2])
    return f"{what} {held} of memory" + (f" (about {foreseen[0]} foreseen)" if foreseen else "")


def _mb(count: int) -> float:
    return round(count / 1e6, 1)
