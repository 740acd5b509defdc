"""Many thousand spoilt files through the door: read, refused, or a failure of ours.

    python -m benchmarks.fuzz_intake benchmarks/results/fuzz_intake.json [nifti=20000 nrrd=2000 meta=2000 dicom=1000]
    python -m benchmarks.fuzz_intake --replay nifti:1234

File NUMBER of a family is the same in every run (`random.Random(f"{family} {number}")`). Files are read in worker
processes whose address space may grow by 1 GB over what they have after their first file; a worker that has not
answered after 5 seconds is killed, the file counts as a hang, and a fresh worker goes on. Accepted files are compared
with a second reader: nibabel, SimpleITK, pydicom. Failures are printed with their number; the exit code is 1 if there
is one.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from benchmarks.fuzz_worker import Outcome, work
from tests.intake.judging import FINE, judged, request_of, write
from tests.intake.sound_files import FAMILIES, Family, samples

COUNTS: dict[Family, int] = {"nifti": 20_000, "nrrd": 2_000, "meta": 2_000, "dicom": 1_000}
WORKERS = 2
HANG_SECONDS = 5.0
MOST_MB = 1024.0


class Worker:
    """A process that reads one spoilt file after the other, and what it is doing."""

    def __init__(self, family: Family, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        folder.mkdir(parents=True, exist_ok=True)
        self.process = context.Process(target=work, args=(other, family, folder))
        self.process.start()
        other.close()
        self.baseline_mb = float(self.pipe.recv())
        self.number, self.began = -1, 0.0

    def give(self, number: int) -> None:
        """Let it read a file."""
        self.number, self.began = number, time.monotonic()
        self.pipe.send(number)

    def answer(self) -> Outcome:
        """Take its answer; a process that is gone has crashed."""
        try:
            found: Outcome = self.pipe.recv()
        except EOFError:
            self.process.join()
            return Outcome("crash", f"exit code {self.process.exitcode}", time.monotonic() - self.began, 0.0)
        if found.seconds > HANG_SECONDS:
            return Outcome("hang", found.detail, found.seconds, found.peak_mb)
        if found.peak_mb - self.baseline_mb > MOST_MB:
            return Outcome("memory", found.detail, found.seconds, found.peak_mb)
        return found

    def end(self, kill: bool = False) -> None:
        """Let it end, or make it."""
        if kill:
            self.process.kill()
        elif self.process.is_alive():
            self.pipe.send(None)
        self.process.join()


def fuzz(family: Family, count: int, folder: Path) -> Iterator[tuple[int, Outcome]]:
    """Yield the outcome of every file, as they come."""
    numbers = iter(range(count))
    workers = {}
    for place in range(WORKERS):
        workers[place] = Worker(family, folder / f"{family}_{place}")
    for place in list(workers):
        _next(workers, place, numbers)
    while workers:
        wait([worker.pipe for worker in workers.values()], timeout=0.5)
        for place, worker in list(workers.items()):
            ready, late = worker.pipe.poll(), time.monotonic() - worker.began > HANG_SECONDS
            if not (ready or late):
                continue
            found = worker.answer() if ready else Outcome("hang", "killed", time.monotonic() - worker.began, 0.0)
            yield worker.number, found
            if not ready or found.kind in ("crash", "memory"):
                worker.end(kill=True)
                workers[place] = Worker(family, folder / f"{family}_{place}")
            _next(workers, place, numbers)


def _next(workers: dict[int, Worker], place: int, numbers: Iterator[int]) -> None:
    number = next(numbers, None)
    if number is None:
        workers.pop(place).end()
    else:
        workers[place].give(number)


def summary(family: Family, count: int, folder: Path) -> dict[str, Any]:
    """Fuzz one family and count."""
    kinds, rules, failures = Counter[str](), Counter[str](), []
    slowest, peak, began = (0.0, -1), 0.0, time.monotonic()
    for number, found in fuzz(family, count, folder):
        kinds[found.kind] += 1
        rules[f"{found.kind}: {found.detail}" if found.kind in FINE else found.kind] += 1
        slowest, peak = max(slowest, (found.seconds, number)), max(peak, found.peak_mb)
        if found.kind not in FINE:
            failures.append({"file": f"{family}:{number}", "kind": found.kind, "detail": found.detail})
            print(f"FAILURE {family}:{number} {found.kind}: {found.detail}", flush=True)
    return {
        "files": count,
        "sound files they come from": len(samples(family)),
        "outcomes": dict(kinds),
        "rules": dict(rules.most_common()),
        "failures": failures,
        "slowest": {"file": f"{family}:{slowest[1]}", "seconds": round(slowest[0], 3)},
        "peak_mb": round(peak),
        "seconds": round(time.monotonic() - began, 1),
    }


COLUMNS = (
    ("read", ("read",)),
    ("refused", ("refused",)),
    ("other exceptions", ("exception",)),
    ("wrong", ("differs", "unnamed")),
    ("hangs over 5 s", ("hang",)),
    ("over 1 GB", ("memory",)),
    ("crashes", ("crash",)),
)


def table(found: dict[str, Any]) -> str:
    """Return the Markdown table."""
    names = ("family", "files", *(name for name, _ in COLUMNS), "slowest s", "peak MB")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for family, one in found.items():
        counts = [sum(one["outcomes"].get(kind, 0) for kind in kinds) for _, kinds in COLUMNS]
        cells = (family, one["files"], *counts, one["slowest"]["seconds"], one["peak_mb"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def replay(name: str) -> None:
    """Write one file of the fuzzer, read it, and say where it lies."""
    family, _, number = name.partition(":")
    folder = Path(tempfile.mkdtemp(prefix="fuzz_"))
    path, request = write(folder, family, int(number)), request_of(family, int(number))
    print(path, request, *judged(path, request), sep="\n")


def main(out: Path, words: list[str]) -> int:
    """Fuzz, print the table and write the JSON."""
    asked = {**COUNTS, **{name: int(count) for name, _, count in (word.partition("=") for word in words)}}
    with tempfile.TemporaryDirectory() as folder:
        found = {family: summary(family, asked[family], Path(folder)) for family in FAMILIES if asked[family]}
    print(table(found))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps({"seed": 'random.Random(f"{family} {number}"), numbers from 0', **found}, indent=1) + "\n"
    )
    return int(any(one["failures"] for one in found.values()))


if __name__ == "__main__":
    if sys.argv[1] == "--replay":
        replay(sys.argv[2])
    else:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
