"""Work shared out to forked copies of this process, or to threads where a copy would not be safe or not pay.

What is asked is a number and what is answered are bytes, so that nothing but these travels between processes.
"""

from __future__ import annotations

import selectors
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

from medseg.stages.intake.worker import Work, Worker

FEWEST = 17  # looks at cases that are worth the start of processes
_AHEAD = 2  # pieces in the hands of one worker, so that it need not wait for the next


class LostError(Exception):
    """A worker was ended from outside over a piece of work, most often for want of memory; says how."""


class Awaited:
    """An answer that may not be there yet."""

    def __init__(self, crew: Crew, number: int) -> None:
        self.number, self._crew = number, crew
        self.answer: bytes | None = None
        self.lost: str | None = None

    def result(self) -> bytes:
        """Return the answer, waiting for it; raises LostError where the worker died over it.

        What a worker could not answer is worked on here, so that what it raises is raised here.
        """
        while self.answer is None and self.lost is None and self._crew.attend():
            pass
        if self.lost is not None:
            raise LostError(self.lost)
        return self.answer or self._crew.work(self.number)


class Crew:
    """Workers that are forked one by one as work comes in, and anew where one died; used by one thread."""

    def __init__(self, work: Work, most: int) -> None:
        self.work, self._most = work, most
        self._workers: dict[Worker, deque[Awaited]] = {}
        self._waiting: deque[Awaited] = deque()
        self._answering = selectors.DefaultSelector()

    def submit(self, number: int) -> Awaited:
        """Ask for a piece of work."""
        asked = Awaited(self, number)
        self._waiting.append(asked)
        self._hand_out()
        return asked

    def attend(self) -> bool:
        """Wait for one answer or more; False where there is nobody to wait for."""
        if not self._workers:
            return False
        for key, _ in self._answering.select():
            self._hear(key.data)
        self._hand_out()
        return True

    def end(self) -> None:
        """End all workers at once, whatever they are doing, and collect them."""
        for worker in self._workers:
            worker.end(kill=True)
        self._workers.clear()
        self._answering.close()

    def _hear(self, worker: Worker) -> None:
        answer = worker.receive()
        if answer is not None:
            self._workers[worker].popleft().answer = answer
            return
        self._answering.unregister(worker.answers)
        asked, how = self._workers.pop(worker), worker.end()
        if asked:
            asked.popleft().lost = how
        self._waiting.extendleft(reversed(asked))

    def _hand_out(self) -> None:
        """Give what waits to those with the least to do; nobody gets a second piece before all have one."""
        while self._waiting:
            if len(self._workers) < self._most and all(self._workers.values()):
                self._hire()
            worker = min(self._workers, key=lambda one: len(self._workers[one]), default=None)
            if worker is None or len(self._workers[worker]) >= _AHEAD:
                return
            self._workers[worker].append(self._waiting[0])
            worker.ask(self._waiting.popleft().number)

    def _hire(self) -> None:
        with suppress(OSError):  # no more processes or files: those there are go on, or the work is done here
            worker = Worker(self.work, tuple(self._workers))
            self._workers[worker] = deque()
            self._answering.register(worker.answers, selectors.EVENT_READ, worker)


@contextmanager
def shared_out(
    work: Work, pieces: int, most: int, fewest: int = FEWEST
) -> Iterator[Callable[[int], Future[bytes] | Awaited]]:
    """Yield what takes a number and promises the bytes that `work` makes of it, up to `most` at the same time.

    Where the block ends, unfinished work is given up. `pieces` is how much work there will be at most; processes are
    started for it where it is at least `fewest`.
    """
    if most > 1 and pieces >= fewest and can_fork():
        crew = Crew(work, most)
        try:
            yield crew.submit
        finally:
            crew.end()
        return
    with ThreadPoolExecutor(most, thread_name_prefix="index") as pool:
        try:
            yield lambda number: pool.submit(work, number)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def can_fork() -> bool:
    """Tell whether a copy of this process can work: a lock that another thread holds would never be released in it.

    Daemon threads may be cut off anywhere by their nature; here they draw progress, which no worker does. Torch brings
    native threads and devices that do not survive in a copy.
    """
    others = (thread for thread in threading.enumerate() if thread is not threading.current_thread())
    alone = all(thread.daemon for thread in others) and threading.current_thread() is threading.main_thread()
    return sys.platform == "linux" and alone and "torch" not in sys.modules
