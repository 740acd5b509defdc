"""A contestant of a benchmark in a process of its own: it stands still while others are measured.

The contestant calls `serve`; `Contestant` starts it, lets it make batches when it is its turn, and stops its whole
process group otherwise. What it has made ahead is used up before the clock starts.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any


def serve(batch: Callable[[], int], ahead: int) -> None:
    """Answer each line on standard input (how many batches) with seconds and patches; `batch` makes one batch.

    `ahead` is how many batches may lie ready.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    batch()
    answers.write("{}\n")
    answers.flush()
    for line in sys.stdin:
        used_up = sum(batch() for _ in range(ahead))
        began = time.perf_counter()
        patches = sum(batch() for _ in range(int(line)))
        seconds = time.perf_counter() - began
        answers.write(json.dumps({"seconds": seconds, "patches": patches, "handed_out": used_up + patches}) + "\n")
        answers.flush()


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a contestant; nnU-Net asks for its three folders, which it does not use here.

    All are given large pages, which medseg asks of torch by itself: without them fresh memory costs most of a copy.
    """
    folders = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "THP_MEM_ALLOC_ENABLE": "1",
        **dict.fromkeys(folders, "unused"),
    }


class Contestant:
    """A process group that runs only while it is measured."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, threads: int = 1) -> None:
        self.name = name
        self.errors = (folder / f"{name.replace(' ', '_').replace(',', '')}.txt").open("w+")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            start_new_session=True,
            env=environment(threads),
        )
        self._answer()
        self._signal(signal.SIGSTOP)

    def turn(self, batches: int) -> tuple[float, float]:
        """Let it make so many batches; return patches per second, and processor seconds per patch.

        The processor's seconds are those of all its processes, for all patches that it handed out in its turn.
        """
        before = self._processor_seconds()
        self._signal(signal.SIGCONT)
        self.process.stdin.write(f"{batches}\n")
        self.process.stdin.flush()
        answer = self._answer()
        self._signal(signal.SIGSTOP)
        spent = self._processor_seconds() - before
        return answer["patches"] / answer["seconds"], spent / answer["handed_out"]

    def _processor_seconds(self) -> float:
        import psutil  # not there in the environments of all contestants

        group = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in group)

    def end(self) -> None:
        """End the whole group."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _answer(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise SystemExit(f"{self.name} ended: {self.errors.read()[-3000:]}")
        return json.loads(line)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def machine(peer: str, own: Sequence[str], others: Sequence[str]) -> dict[str, Any]:
    """Say where this was measured, and with which versions of our packages and of the peer's."""
    code = "import sys, importlib.metadata as m; print(*[m.version(name) for name in sys.argv[1:]])"
    versions = subprocess.run([peer, "-c", code, *others], capture_output=True, text=True, check=True).stdout.split()
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in own},
        "peer": dict(zip(others, versions, strict=True)),
    }
