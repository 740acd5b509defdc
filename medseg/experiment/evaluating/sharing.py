"""Work on many cases at once, in processes where that is safe, and its answers in the order of the cases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from importlib import import_module
from typing import Any

from medseg.stages.intake.crew import Awaited, LostError, shared_out
from medseg.values.progress import tell

_FEWEST = 2  # cases that are worth the start of processes: measuring one takes longer than that
_NEEDED = ("scipy.ndimage", "scipy.sparse")  # read once here, and not again in every process

Json = dict[str, Any]


def shared(task: str, work: Callable[[int], Json], count: int, workers: int) -> Iterator[Json | str]:
    """Yield the answers to the numbers from 0 to `count`, in order, and tell how far the task is.

    Where the process was ended from outside over a case, most often for want of memory, a text says so in its place.
    Answers go through JSON, which changes no number, so they are the same for any number of workers.
    """
    for name in _NEEDED:
        import_module(name)
    tell(task, 0, count, "cases")
    with shared_out(lambda number: _written(work(number)), count, workers, _FEWEST) as ask:
        promises = [ask(number) for number in range(count)]
        for number, promise in enumerate(promises, start=1):
            yield _answer(promise)
            tell(task, number, count, "cases")


def _answer(promise: Future[bytes] | Awaited) -> Json | str:
    try:
        found: Json = json.loads(promise.result())
    except LostError as lost:
        remedy = "use a machine with more memory, or fewer of machine.workers"
        return f"the work on it comes to an end, got a process that was ended by {lost}; {remedy}"
    return found


def _written(answer: Json) -> bytes:
    return json.dumps(answer, allow_nan=False).encode()
