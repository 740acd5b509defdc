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


def own_memory() -> int:
    """Return the bytes of memory that this process holds itself, without pages of files; 0 where that is unknown."""
    return _status().get("RssAnon", 0)


def peak_of_own_memory() -> int:
    """Return the most that it has held since its peak was last reset (`Meter`), nearly: less today's pages of files."""
    status = _status()
    return max(0, status.get("VmHWM", 0) - status.get("RssFile", 0) - status.get("RssShmem", 0))


def _status() -> dict[str, int]:
    """Return the sizes in /proc/self/status in bytes, by name."""
    try:
        lines = [line.split() for line in _STATUS.read_text(encoding="ascii").splitlines()]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) << 10 for words in lines if words[-1:] == ["kB"]}


def _reset_peak() -> bool:
    """Set the kernel's high-water mark back to the present size, where the system lets us; say whether it did."""
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True
