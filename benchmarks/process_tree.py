"""Seconds and peak memory of a command with everything that it starts."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Measured:
    """One run of a command; `peak_mb` is the largest sum of resident memory over its process tree."""

    seconds: float
    peak_mb: float
    code: int
    output: str


def measure(command: Sequence[str], folder: Path, timeout: float = 3600) -> Measured:
    """Run a command in `folder` to its end; output and errors are kept together.

    Python may keep its bytecode, as it does for everybody who has not forbidden it.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with (folder / "output.txt").open("wb+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        ended, peak = threading.Event(), [0.0]
        sampler = threading.Thread(target=_sample, args=(process.pid, ended, peak))
        sampler.start()
        try:
            code = process.wait(timeout)
            seconds = time.perf_counter() - began
        finally:
            ended.set()
            sampler.join()
        output.seek(0)
        return Measured(seconds, peak[0], code, output.read().decode(errors="replace"))


def _sample(pid: int, ended: threading.Event, peak: list[float]) -> None:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        while not ended.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], sum(map(_resident_mb, [root, *root.children(recursive=True)])))


def _resident_mb(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return float(process.memory_info().rss) / 2**20
    return 0.0
