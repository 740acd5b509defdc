"""A thread that keeps the next items ready, on a CUDA device in a stream of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")
DEPTH = 2


class _End(Exception):
    """The source has no more items."""


class _Made(NamedTuple):
    """An item, or what ended the source; the event says when the device has finished making it."""

    item: object = None
    event: torch.cuda.Event | None = None
    error: BaseException | None = None


def ahead(
    source: Iterator[Item], depth: int = DEPTH, device: torch.device | None = None
) -> Generator[Item, None, None]:
    """Yield what `source` yields, made by one thread that is at most `depth` items ahead.

    On a CUDA device the thread computes in a stream of its own. The stream that takes an item waits for it, the caller
    does not, and the memory of its tensors is not used again before that stream is done with them.
    Closing this generator (contextlib.closing) stops the thread, waits for it and closes `source`. An error in `source`
    is raised here.
    """
    stream = _stream(device)
    ready: SimpleQueue[_Made] = SimpleQueue()
    room, stop = threading.Semaphore(depth), threading.Event()

    def work() -> None:
        try:
            with _on(stream), torch.no_grad():
                while room.acquire() and not stop.is_set():
                    ready.put(_Made(next(source), stream.record_event() if stream else None))
        except StopIteration:
            ready.put(_Made(error=_End()))
        except BaseException as error:
            ready.put(_Made(error=error))

    worker = threading.Thread(target=work, name="batches", daemon=True)
    worker.start()
    try:
        while True:
            yield _taken(ready.get(), room, device)  # type: ignore[misc]  # no name here keeps the item alive
    except _End:
        return
    finally:
        stop.set()
        room.release()
        worker.join()
        if isinstance(source, Generator):
            source.close()


def _stream(device: torch.device | None) -> torch.cuda.Stream | None:
    cuda = device is not None and device.type == "cuda"
    return torch.cuda.Stream(device) if cuda else None  # type: ignore[no-untyped-call]


def _on(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def _taken(made: _Made, room: threading.Semaphore, device: torch.device | None) -> object:
    """Return the item with the taking stream ordered after the making one, which neither waits for here."""
    if made.error is not None:
        raise made.error
    room.release()
    if made.event is not None:
        taking = torch.cuda.current_stream(device)
        taking.wait_event(made.event)
        for part in made.item if isinstance(made.item, tuple) else (made.item,):
            if isinstance(part, Tensor):
                part.record_stream(taking)
    return made.item
