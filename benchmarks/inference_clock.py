"""What one segmentation took, for processes that know nothing of medseg."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable


def report(work: Callable[[], None]) -> None:
    """Do the work and print its seconds, and the largest resident memory of this process before and after, in MB."""
    before = peak_mb()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    sys.stdout.write("\n" + json.dumps({"seconds": seconds, "before_mb": before, "peak_mb": peak_mb()}) + "\n")


def peak_mb() -> float:
    """Return the largest resident memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def threads() -> int:
    """Return how many processor threads everybody gets."""
    import os

    return int(os.environ["OMP_NUM_THREADS"])
