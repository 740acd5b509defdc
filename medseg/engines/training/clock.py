"""The seconds of a training, and the signals to stop it: one clock, and one answer, for all of its processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic

import torch

from medseg.engines.ranks import Ranks
from medseg.engines.training.interrupt import SIGNALS, Interrupts


@dataclass(slots=True, eq=False)
class Clock:
    """The clock of the leading process, and whether any process was told to stop; `asked` is the signal, or None."""

    ranks: Ranks
    interrupts: Interrupts
    asked: int | None = None
    _before: float = field(default_factory=monotonic)

    def tick(self) -> float:
        """Return the seconds since the last call, the same in every process; a meeting point of all of them."""
        now = monotonic()
        passed, self._before = now - self._before, now
        told = [passed if self.ranks.leads else 0.0, *(float(self.interrupts.pending == one) for one in SIGNALS)]
        if self.ranks.world > 1:
            told = self.ranks.add(torch.tensor(told, dtype=torch.float64)).tolist()
        self.asked = next((one for one, count in zip(SIGNALS, told[1:], strict=True) if count), None)
        return told[0]

    def obey(self) -> None:
        """Let the signal do what it does where training is not on."""
        self.interrupts.pending = self.asked
        self.interrupts.obey()
