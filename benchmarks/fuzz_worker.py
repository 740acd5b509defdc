"""Read spoilt files, one after the other, in a process that may not use much memory: see `fuzz_intake`."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.intake.judging import judged, request_of, write
from tests.intake.sound_files import Family

GIGABYTE = 1 << 30


@dataclass(frozen=True)
class Outcome:
    """What became of one file: `kind` is read, refused or the name of a failure, `detail` the rule or the error."""

    kind: str
    detail: str
    seconds: float
    peak_mb: float


def _status(process: str, field: str) -> float:
    """Return a field of /proc/PROCESS/status in MB, 0 for a process that has gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)


def peak_mb() -> float:
    """Return the highest memory so far of this process or of one of its readers, whichever is larger."""
    children = [one for path in Path("/proc/self/task").glob("*/children") for one in path.read_text().split()]
    return max(_status(one, "VmHWM:") for one in ("self", *children))


def work(numbers: Connection, family: Family, folder: Path) -> None:
    """Answer each number that comes with its `Outcome`; None ends it."""
    import nibabel

    nibabel.imageglobals.logger.disabled = True
    judged(write(folder, family, -1), request_of(family, -1))  # everything is imported, readers have started
    limit = int(_status("self", "VmSize:") * 2**20) + GIGABYTE
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    numbers.send(peak_mb())
    while (number := numbers.recv()) is not None:
        path, request = write(folder, family, number), request_of(family, number)
        began = time.monotonic()
        kind, detail = judged(path, request)
        numbers.send(Outcome(kind, detail, time.monotonic() - began, peak_mb()))
