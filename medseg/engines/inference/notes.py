"""What was done in another way than asked for: warnings of medseg while one scan is worked on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

_ROOT = logging.getLogger("medseg")


@contextmanager
def noted() -> Iterator[list[str]]:
    """Yield a list that every warning of this thread is added to for a while; warnings go where they went before, too.

    Scans are worked on in several threads at once, and each warning belongs to one of them.
    """
    found: list[str] = []
    handler = _Collector(found)
    _ROOT.addHandler(handler)
    try:
        yield found
    finally:
        _ROOT.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._found, self._thread = found, get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a warning of the thread that collects."""
        if record.thread == self._thread:
            self._found.append(record.getMessage())
