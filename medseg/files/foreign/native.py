"""Native readers (SimpleITK) in a child process: a crash, a hang or a greedy read refuses one scan and not the run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medseg.files.foreign.native_child import Told, own_child
from medseg.values.error import Refusal
from medseg.values.volume import Array

ImageIO = Literal["NrrdImageIO", "MetaImageIO", "GDCMImageIO", "NiftiImageIO"]

_BYTES_PER_SECOND = 10e6
_MARGIN_BYTES = 256 << 20
_ANOTHER = "convert the file with another program, or leave it out"


@dataclass(frozen=True, slots=True)
class Request:
    """One volume of a file, and what its header claims: `stored_bytes` in memory for all `volumes` on `grid`.

    `dtype` is the type of a stored number and `tally` the sum of all stored bytes, None where the reader may differ.
    `patches` are (offset, ASCII text) that replace bytes of a nameless copy before it is read.
    `seconds` is the patience for the first byte; claimed bytes add to it at 10 MB/s.
    """

    path: Path
    io: ImageIO
    grid: tuple[int, int, int]
    volumes: int
    stored_bytes: int
    dtype: np.dtype[Any] | None = None
    tally: int | None = None
    volume: int = 0
    patches: Sequence[tuple[int, str]] = ()
    seconds: float = 5.0

    @property
    def line(self) -> bytes:
        """The request as the child reads it. It may map the stored voxels three times (file, reader, image)."""
        memory = 3 * self.stored_bytes + _MARGIN_BYTES
        asked = {"path": str(self.path.absolute()), "io": self.io, "volume": self.volume, "memory": memory}
        return json.dumps({**asked, "patches": list(self.patches)}).encode() + b"\n"


def read_planes(request: Request) -> Iterator[Array]:
    """Yield the planes `(Y, X)` of one volume as stored numbers, z ascending; never more than one is held here.

    Refuses a file on which the reader crashes, is silent for too long, needs more memory than the header claims, or
    finds another grid than `request` names. The next file gets a fresh child.
    """
    child = own_child()
    patience = request.seconds + request.stored_bytes / _BYTES_PER_SECOND
    deadline = time.monotonic() + patience
    whole = False
    try:
        child.send(request.line, deadline)
        dtype, plane = _agreed(request, child.receive(deadline))
        for _ in range(request.grid[2]):
            block = child.take(plane, time.monotonic() + request.seconds)
            yield np.frombuffer(block, dtype).reshape(request.grid[1], request.grid[0])
        whole = True
    except Told as told:
        whole = True
        raise Refusal(str(request.path), "SimpleITK can read the file", told, _ANOTHER) from None
    except TimeoutError:
        rule = f"the native reader answers within {patience:.3g} seconds"
        raise Refusal(str(request.path), rule, "silence", _ANOTHER) from None
    except (EOFError, BrokenPipeError):
        value = child.last_words()
        raise Refusal(str(request.path), "the native reader survives the file", value, _ANOTHER) from None
    finally:
        if not whole:
            child.end()


def child_pid() -> int:
    """Return the process id of the calling thread's child, which is started if there is none."""
    return own_child().process.pid


def _agreed(request: Request, facts: dict[str, Any]) -> tuple[np.dtype[Any], int]:
    """Return data type and bytes of one plane; refuses an answer that is not what the header claims."""
    dtype = np.dtype(facts["dtype"])
    claimed, found = (request.grid, request.volumes), (tuple(facts["grid"]), facts["volumes"])
    other = request.dtype is not None and dtype != request.dtype.newbyteorder("<")
    if claimed != found or dtype.kind not in "iuf" or other:
        value = f"{found[0]} x {found[1]} of {dtype} for {claimed[0]} x {claimed[1]} of {request.dtype or 'numbers'}"
        rule = "SimpleITK finds what the header claims"
        raise Refusal(str(request.path), rule, value, _ANOTHER)
    if request.tally is not None and facts["tally"] != request.tally:
        value = f"a sum of {facts['tally']} for {request.tally}"
        raise Refusal(str(request.path), "SimpleITK hands out the bytes that are stored", value, _ANOTHER)
    return dtype, prod(request.grid[:2]) * dtype.itemsize
