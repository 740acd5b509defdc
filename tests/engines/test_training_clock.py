"""One clock, and one answer to signals, for all processes of a training."""

from __future__ import annotations

import signal
from threading import Barrier, Thread

import pytest
import torch
from torch import Tensor

from medseg.engines.ranks import ALONE, Ranks
from medseg.engines.training.clock import Clock
from medseg.engines.training.interrupt import Interrupts


class Joined(Ranks):
    """One of two processes, here threads, whose sums are real."""

    def add(self, values: Tensor) -> Tensor:
        VALUES[self.rank] = values
        BARRIER.wait()
        total = VALUES[0] + VALUES[1]
        BARRIER.wait()
        return total


VALUES = {rank: torch.zeros(1) for rank in range(2)}
BARRIER = Barrier(2, timeout=60)


def test_alone_it_counts_seconds_and_sees_its_own_signal() -> None:
    clock = Clock(ALONE, Interrupts())
    first = clock.tick()
    assert first >= 0
    assert clock.asked is None
    clock.interrupts.pending = signal.SIGTERM
    assert clock.tick() >= 0
    assert clock.asked == signal.SIGTERM


def test_obeying_does_what_the_signal_does_elsewhere() -> None:
    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    former = signal.signal(signal.SIGINT, stop)
    try:
        with Interrupts() as interrupts:
            clock = Clock(ALONE, interrupts)
            signal.raise_signal(signal.SIGINT)
            clock.tick()
            with pytest.raises(Stopped):
                clock.obey()
    finally:
        signal.signal(signal.SIGINT, former)


def test_all_processes_go_by_the_leaders_clock_and_stop_together() -> None:
    clocks = [Clock(Joined(rank, 2), Interrupts()) for rank in range(2)]
    told: dict[int, list[tuple[float, int | None]]] = {0: [], 1: []}
    clocks[1].interrupts.pending = signal.SIGINT  # only one of them got it

    def work(rank: int) -> None:
        for _ in range(3):
            told[rank].append((clocks[rank].tick(), clocks[rank].asked))

    workers = [Thread(target=work, args=(rank,)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert told[0] == told[1]
    assert [asked for _, asked in told[0]] == [signal.SIGINT] * 3
    assert all(seconds >= 0 for seconds, _ in told[0])
