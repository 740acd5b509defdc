"""The child process that cuts patches: addresses of arrays and draws come in as lines of JSON, patches go into a block.

The first line is {"cases", "patch", "plane", "slots", "threads"}; cases and slots hold addresses of arrays.
Every other line is {"slot", "draw"}; the answer is the line `null` once the patch lies in its slot, or the text of
what went wrong. The process ends when its standard input does.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TextIO

import numpy as np
import torch

from medseg.engines.sampling.cutting.cut import cut
from medseg.engines.sampling.cutting.sources import Source
from medseg.engines.sampling.drawing.replay import drawn
from medseg.engines.sampling.supplying.block import address, opened
from medseg.values.volume import Array

_PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def main() -> None:
    """Cut what is asked for until nothing more can come."""
    for number in (signal.SIGINT, signal.SIGTERM):  # both reach the whole group; the parent decides what ends
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever else is printed
    with torch.no_grad():
        _serve(sys.stdin, answers)


def _serve(asked: TextIO, answers: TextIO) -> None:
    order = json.loads(next(asked))
    torch.set_num_threads(order["threads"])
    cases = [_case(told) for told in order["cases"]]
    images, classes = (torch.from_numpy(opened(order["slots"][name], "r+")) for name in ("images", "classes"))
    for line in asked:
        task = json.loads(line)
        error = None
        try:
            batch = cut(drawn([task["draw"]]), cases, order["patch"], order["plane"], torch.device("cpu"))
            images[task["slot"]].copy_(batch.images[0])
            classes[task["slot"]].copy_(batch.classes[0])
        except Exception as raised:  # the parent's to raise, wherever it comes from
            error = f"{type(raised).__name__}: {raised}"
        answers.write(json.dumps(error) + "\n")
        answers.flush()


class _Case(NamedTuple):
    """What cutting needs of a case."""

    image: Array
    classes: Array
    annotated: tuple[int, ...] | None


def told(case: Source) -> dict[str, Any]:
    """Say as JSON what cutting needs of a case. Refuses (TypeError) arrays that other processes cannot map."""
    image, classes = case.image, case.classes
    if not (isinstance(image, np.memmap) and isinstance(classes, np.memmap)):
        raise TypeError(f"arrays in files or in a block are needed, got {type(image).__name__}")
    return {"image": address(image), "classes": address(classes), "annotated": case.annotated}


def _case(told: Mapping[str, Any]) -> Source:
    annotated = told["annotated"]
    return _Case(opened(told["image"]), opened(told["classes"]), None if annotated is None else tuple(annotated))


if __name__ == "__main__":
    main()
