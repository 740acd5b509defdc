"""Taking leave of the other processes of a run: one of them speaks for all, and says why it ended."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medseg.engines.ranks import Lost, Ranks
from medseg.values.error import Refusal

LEADER_SECONDS = 30.0  # for the leader to refuse what another process refused too
STOP_SECONDS = 20.0  # for the leader to save and stop; torchrun kills after 30
_SPOKEN = "medseg/spoken"


class Notes(Protocol):
    """A store of small notes outside of all processes: a store of torch.distributed."""

    def check(self, keys: list[str]) -> bool:
        """Tell whether all notes are there."""

    def add(self, key: str, value: int) -> int:
        """Count a note up and return its count."""


class Silent(BaseException):
    """This process ends because of `reason` and says nothing: another one speaks for it."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Living:
    """A process, known by its machine, its name space of process numbers, and its number there."""

    machine: str
    space: str
    number: int

    @staticmethod
    def me() -> Living:
        """Return this process."""
        machine = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return Living(machine, os.readlink("/proc/self/ns/pid"), os.getpid())

    @property
    def gone(self) -> bool:
        """Whether it has ended; False for a process of another machine, of which nothing is known."""
        me = Living.me()
        if (me.machine, me.space) != (self.machine, self.space):
            return False
        try:
            status = Path(f"/proc/{self.number}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return True
        return status.rpartition(")")[2].split()[0] in {"Z", "X"}

    def __str__(self) -> str:
        """Return it as text that `parse` reads."""
        return f"{self.machine} {self.space} {self.number}"

    @staticmethod
    def parse(text: str) -> Living:
        """Return the process that `str` described."""
        machine, space, number = text.split(" ")
        return Living(machine, space, int(number))


@dataclass(frozen=True, slots=True)
class Company:
    """All processes of a run, seen from one of them, and a store of small notes outside of all of them."""

    ranks: Ranks
    processes: Sequence[Living]
    store: Notes

    def verdict(self, error: BaseException) -> BaseException:
        """Return what this process ends with: its error, `Lost` in place of a stop, or `Silent` if another speaks.

        The leader speaks for all. A process waits for it before it leaves, because torchrun stops all when one leaves;
        what only one process has met it says itself, at once.
        """
        stopped = isinstance(error, KeyboardInterrupt)
        if self.ranks.leads:
            gone = [number for number, one in enumerate(self.processes) if one.gone]
            if stopped and gone:
                error = Lost(f"rank {gone[0]} of {self.ranks.world} has ended")
            return error if self._is_first() or not isinstance(error, Lost) else Silent(error)
        spoken = self._has_leader_spoken(_seconds(error))
        if stopped and not spoken and self.processes[0].gone:
            error = Lost(f"rank 0 of {self.ranks.world} has ended")
        elif stopped or spoken:
            return Silent(error)
        return error if self._is_first() else Silent(error)

    def _has_leader_spoken(self, seconds: float) -> bool:
        """Wait until someone has spoken, at most so long, and not for a leader that is gone.

        Without torchrun the store goes with the leader, which who waits for it then takes to have spoken.
        """
        deadline = time.monotonic() + seconds
        while True:
            last = self.processes[0].gone or time.monotonic() >= deadline
            try:
                if self.store.check([_SPOKEN]):
                    return True
            except RuntimeError:
                return seconds > 0
            if last:
                return False
            time.sleep(0.05)

    def _is_first(self) -> bool:
        """Take the word; False if another process has it already. A store that is gone gives it to anyone."""
        try:
            return self.store.add(_SPOKEN, 1) == 1
        except RuntimeError:
            return True


def _seconds(error: BaseException) -> float:
    """Return how long to wait for the leader, which may be stopping for the same reason."""
    if isinstance(error, KeyboardInterrupt):
        return STOP_SECONDS
    return LEADER_SECONDS if isinstance(error, Refusal) and not isinstance(error, Lost) else 0.0
