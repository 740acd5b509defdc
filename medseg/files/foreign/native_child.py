"""A child process for native readers: its pipes, its limits of time, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from typing import Any, BinaryIO

from medseg.files.foreign import native_worker
from medseg.values.error import Refusal

START_SECONDS = 60.0
_LARGEST_ANSWER = 1 << 20
# The child sees what this process sees, and never the modules of the folder it happens to be started in.
_ENTRY = f"import sys; sys.path[:] = sys.argv[1:]; from {native_worker.__name__} import main; main()"
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Told(Exception):
    """What the child says went wrong; it goes on living."""


class Child:
    """One child process and its pipes; used by one thread."""

    def __init__(self) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_end`
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ENTRY, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            bufsize=0,
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
        )
        self.owner = os.getpid()
        self.end = weakref.finalize(self, _end, self.process, self.errors, self.owner)
        os.set_blocking(self._stdin, False)
        try:
            self.receive(time.monotonic() + START_SECONDS)
        except (EOFError, TimeoutError):
            value = self.last_words()
            self.end()
            raise Refusal("SimpleITK", "starts in a child process", value, "install medseg again") from None

    @property
    def _stdin(self) -> int:
        return self.process.stdin.fileno()  # type: ignore[union-attr]

    @property
    def _stdout(self) -> int:
        return self.process.stdout.fileno()  # type: ignore[union-attr]

    @property
    def usable(self) -> bool:
        """A forked copy of this process must not talk through the pipes of its parent."""
        return self.owner == os.getpid() and self.process.poll() is None

    def send(self, line: bytes, deadline: float) -> None:
        """Ask; what the child printed before is forgotten."""
        self.errors.truncate(0)
        rest = memoryview(line)
        while rest:
            _wait(self._stdin, select.POLLOUT, deadline)
            rest = rest[os.write(self._stdin, rest) :]

    def receive(self, deadline: float) -> dict[str, Any]:
        """Return the next answer; raises Told where it is a complaint, EOFError where the child is gone."""
        length = int.from_bytes(self.take(4, deadline), "little")
        if length > _LARGEST_ANSWER:
            raise EOFError
        facts: dict[str, Any] = json.loads(self.take(length, deadline))
        if "error" in facts:
            raise Told(facts["error"])
        return facts

    def take(self, count: int, deadline: float) -> bytearray:
        """Return the next `count` bytes of the answer."""
        block = bytearray(count)
        rest = memoryview(block)
        while rest:
            _wait(self._stdout, select.POLLIN, deadline)
            got = os.readv(self._stdout, [rest])
            if not got:
                raise EOFError
            rest = rest[got:]
        return block

    def last_words(self) -> str:
        """Return how the child ended and the last line that it printed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        code = self.process.poll()
        ending = "it went on" if code is None else f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        self.errors.seek(0)
        lines = self.errors.read()[-2000:].decode(errors="replace").replace("\0", "").strip().splitlines()
        return f"{ending} ({lines[-1].strip()[:200]})" if lines else ending


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError


def _end(process: subprocess.Popen[bytes], errors: BinaryIO, owner: int) -> None:
    """End a child at once and collect it, so that no zombie stays; in a forked copy only the pipes are let go."""
    for stream in (process.stdin, process.stdout, errors):
        if stream:
            stream.close()
    if os.getpid() == owner:
        process.kill()
        process.wait()


_threads = threading.local()


def own_child() -> Child:
    """Return the child of the calling thread: a fresh one where there is none, or where it ended."""
    child: Child | None = getattr(_threads, "child", None)
    if child is None or not child.end.alive or not child.usable:
        if child is not None:
            child.end()
        child = _threads.child = Child()
    return child
