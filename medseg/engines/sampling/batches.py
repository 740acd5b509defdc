"""An endless row of batches, and a thread that keeps the next ones ready."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from itertools import count
from queue import SimpleQueue
from typing import TypeVar

import torch

from medseg.engines.sampling.cut import Batch, cut
from medseg.engines.sampling.draw import CaseShape, draw_batch
from medseg.engines.sampling.intensity import change_intensity
from medseg.engines.sampling.settings import AugmentSettings, PatchSettings
from medseg.files.prepared import PreparedCase
from medseg.values.plan import Plan

Item = TypeVar("Item")


def shape_of(case: PreparedCase) -> CaseShape:
    """Return what drawing needs of a prepared case."""
    x, y, z = case.classes.shape
    return CaseShape((x, y, z), case.spacing_mm, case.image.shape[0], case.seeds, case.missing)


def batches(
    seed: int,
    cases: Sequence[PreparedCase],
    plan: Plan,
    patches: PatchSettings,
    augment: AugmentSettings,
    device: torch.device,
    first_step: int = 1,
) -> Generator[Batch, None, None]:
    """Yield the batch of step `first_step`, the next one and so on, without end; wrap in `ahead` to work ahead."""
    shapes = [shape_of(case) for case in cases]
    for step in count(first_step):
        draws = draw_batch(seed, step, shapes, plan.patch, plan.batch, patches, augment)
        batch = cut(draws, cases, plan.patch, plan.plane, device)
        yield Batch(change_intensity(batch.images, draws), batch.classes, batch.annotated)


def ahead(source: Iterator[Item], depth: int = 2) -> Generator[Item, None, None]:
    """Yield what `source` yields, made by one thread that is at most `depth` items ahead.

    Closing this generator (contextlib.closing) stops the thread and waits for it. An error in `source` is raised here.
    """
    ready: SimpleQueue[tuple[Item | None, BaseException | None]] = SimpleQueue()
    room, stop = threading.Semaphore(depth), threading.Event()

    def work() -> None:
        try:
            while room.acquire() and not stop.is_set():
                ready.put((next(source), None))
        except BaseException as error:
            ready.put((None, error))

    worker = threading.Thread(target=work, name="batches", daemon=True)
    worker.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            room.release()
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        room.release()
        worker.join()
