"""Processes that cut patches of cases in memory of the computer or on the disk: order and bytes are as without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count, islice
from math import prod
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import torch

from medseg.engines.sampling.cutting.cut import Batch, annotated_in
from medseg.engines.sampling.drawing.drawn import Draw
from medseg.engines.sampling.drawing.replay import table_of
from medseg.engines.sampling.supplying import cutting_child
from medseg.engines.sampling.supplying.batches import Sampler
from medseg.engines.sampling.supplying.block import Block, address, padded
from medseg.values.error import Refusal
from medseg.values.volume import Array

_BATCHES = 2  # in the hands of the processes at the same time
# The child sees what this process sees, and never the modules of the folder it happens to be started in.
_ENTRY = f"import sys; sys.path[:] = sys.argv[1:]; from {cutting_child.__name__} import main; main()"
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Cutters:
    """`processes` children that cut the patches of a sampler, a context; they end with it, and with this process.

    The arrays of its cases are memory-mapped: files, or arrays of the block with `descriptor`.
    """

    def __init__(self, sampler: Sampler, processes: int, block: Block | None = None) -> None:
        plan = sampler.plan
        space = [size for axis, size in enumerate(plan.patch) if axis != plan.plane]
        shape = (_BATCHES * plan.batch, sampler.cases[0].image.shape[0], *space)
        places = prod(shape)
        self._sampler, self._slots = sampler, Block(padded(places * 4) + padded(places))
        self._images = self._slots.room(shape, np.dtype(np.float32))
        self._classes = self._slots.room((shape[0], *space), np.dtype(np.uint8))
        slots = {"images": address(self._images), "classes": address(self._classes)}
        cases = [cutting_child.told(case) for case in sampler.cases]
        order = {"cases": cases, "patch": plan.patch, "plane": plan.plane, "slots": slots, "threads": 1}
        inherited = [one.descriptor for one in (self._slots, block) if one is not None]
        self._children = [_Child(order, inherited) for _ in range(processes)]

    def __enter__(self) -> Cutters:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for child in self._children:
            child.end()
        self._slots.close()

    @property
    def process_ids(self) -> list[int]:
        """The numbers of the processes."""
        return [child.process.pid for child in self._children]

    def cut(self, drawn: Iterable[Sequence[Draw]], device: torch.device) -> Iterator[tuple[Sequence[Draw], Batch]]:
        """Yield the draws of each batch and the batch, in order; the processes are at most two batches ahead.

        Refuses to go on when a process was ended from outside.
        """
        source, numbers = iter(drawn), count()
        waiting: deque[tuple[Sequence[Draw], list[int]]] = deque()
        try:
            for draws in islice(source, _BATCHES - 1):
                waiting.append((draws, self._ask(draws, numbers)))
            for draws in source:
                waiting.append((draws, self._ask(draws, numbers)))
                yield self._take(*waiting.popleft(), device)
            while waiting:
                yield self._take(*waiting.popleft(), device)
        except GeneratorExit:
            for _, asked in waiting if self._children[0].end.alive else ():
                self._wait(asked)  # nobody wants these any more; the next row must not find their answers
            raise

    def _ask(self, draws: Sequence[Draw], numbers: Iterator[int]) -> list[int]:
        """Hand out the patches of a batch in turn, and return their numbers; a number belongs to one slot and child."""
        asked = list(islice(numbers, len(draws)))
        for number, row in zip(asked, table_of(draws), strict=True):
            self._child(number).ask({"slot": number % len(self._images), "draw": row})
        return asked

    def _take(
        self, draws: Sequence[Draw], numbers: Sequence[int], device: torch.device
    ) -> tuple[Sequence[Draw], Batch]:
        """Wait for the patches of a batch and copy them out of their slots, which are free again then."""
        self._wait(numbers)
        slots = [number % len(self._images) for number in numbers]
        images, classes = (_copied(array, slots, device) for array in (self._images, self._classes))
        return draws, Batch(
            images, classes.long(), annotated_in([self._sampler.cases[draw.case] for draw in draws], device)
        )

    def _wait(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._child(number).demand()

    def _child(self, number: int) -> _Child:
        return self._children[number % len(self._children)]


class _Child:
    """One process and its pipes."""

    def __init__(self, order: dict[str, Any], inherited: Sequence[int]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_end`
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ENTRY, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            pass_fds=inherited,
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
        )
        self.end = weakref.finalize(self, _end, self.process, self.errors)
        self.ask(order)

    def ask(self, request: dict[str, Any]) -> None:
        """Send one line; that the process is gone is noticed when its answer is missing."""
        stdin = self.process.stdin
        with suppress(BrokenPipeError):
            stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
            stdin.flush()  # type: ignore[union-attr]

    def demand(self) -> None:
        """Wait for the next answer; raises what it complains of, and a refusal where the process is gone."""
        answer = self.process.stdout.readline()  # type: ignore[union-attr]
        if not answer.endswith(b"\n"):
            raise Refusal("machine.workers", "the processes that cut patches go on working", self._last_words(),
                          "free some memory, or set machine.workers=0; the same command continues")  # fmt: skip
        error = json.loads(answer)
        if error is not None:
            raise RuntimeError(f"a process that cuts patches failed: {error}")

    def _last_words(self) -> str:
        """Say how the process ended, with the last line that it printed."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        code = self.process.poll()
        ending = "no answer" if code is None else f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        self.errors.seek(0)
        lines = self.errors.read()[-2000:].decode(errors="replace").strip().splitlines()
        return f"{ending} ({lines[-1].strip()[:200]})" if lines else ending


def _copied(array: Array, slots: Sequence[int], device: torch.device) -> torch.Tensor:
    """Copy slots to the device without waiting for it; they are free again on return."""
    own = torch.from_numpy(np.empty(0, array.dtype)).dtype
    tensor = torch.empty((len(slots), *array.shape[1:]), dtype=own, pin_memory=device.type == "cuda")
    np.take(array, slots, axis=0, out=tensor.numpy(), mode="clip")  # other modes make one more copy
    return tensor.to(device, non_blocking=True)


def _end(process: subprocess.Popen[bytes], errors: BinaryIO) -> None:
    """End a process at once and collect it."""
    for stream in (process.stdin, process.stdout, errors):
        if stream:
            with suppress(BrokenPipeError):
                stream.close()
    process.kill()
    process.wait()
