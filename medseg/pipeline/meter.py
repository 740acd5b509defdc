"""How long a piece of work took and how much memory the process held at most while it ran."""

from __future__ import annotations

import resource
import time
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


class Meter:
    """Starts when it is made; `read` says what has been used since then."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.own_peak = _reset_peak()

    def read(self) -> dict[str, float]:
        """Return wall seconds and the peak resident memory of this process in MB (10^6 bytes)."""
        return {"seconds": round(time.monotonic() - self.start, 3), "peak_memory_mb": round(self._peak() / 1e6, 1)}

    def _peak(self) -> float:
        if self.own_peak:
            for line in _STATUS.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return float(line.split()[1]) * 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def _reset_peak() -> bool:
    """Set the kernel's high-water mark back to the present size, where the system lets us; say whether it did."""
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True
