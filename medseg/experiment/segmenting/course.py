"""One scan after the other: the next one is read and prepared while this one is computed and the last one written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from medseg.files.layouts.find import FoundCase
from medseg.files.segmented import SegmentedScan

Held = TypeVar("Held")


class Steps(Protocol[Held]):
    """What is done to a scan, in three steps. A scan that fails in one goes through the others with its reason."""

    def begin(self, cases: Sequence[FoundCase]) -> None:
        """Get ready to segment, while the first scan is read."""

    def read(self, case: FoundCase) -> Held:
        """Read and prepare; done by one thread."""

    def compute(self, held: Held) -> Held:
        """Segment; done by the thread that asks for the records."""

    def write(self, held: Held) -> SegmentedScan:
        """Write mask and record; done by another thread."""


def segmented(cases: Sequence[FoundCase], steps: Steps[Held]) -> Iterator[SegmentedScan]:
    """Yield the record of each case, in their order, once its files are on disk.

    At most one scan waits to be computed and one to be written, however unlike the speeds of the steps are. Where the
    caller stops, or an interrupt arrives, the scan that is being written is finished; no other is begun.
    """
    reader, writer = (ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("reading", "writing"))
    coming: Future[Held] | None = None
    leaving: Future[SegmentedScan] | None = None
    waiting = iter(cases)
    try:
        coming = _next(reader, steps.read, waiting)
        steps.begin(cases)
        while coming is not None:
            held = coming.result()
            coming = _next(reader, steps.read, waiting)
            held = steps.compute(held)
            if leaving is not None:
                yield leaving.result()
            leaving = writer.submit(steps.write, held)
            del held  # it lives as long as it takes to write it
        if leaving is not None:
            yield leaving.result()
    finally:
        reader.shutdown(wait=False, cancel_futures=True)
        writer.shutdown()


def _next(
    reader: ThreadPoolExecutor, read: Callable[[FoundCase], Held], waiting: Iterator[FoundCase]
) -> Future[Held] | None:
    case = next(waiting, None)
    return None if case is None else reader.submit(read, case)
