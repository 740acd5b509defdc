"""One forked copy of this process: its pipes, what it does, and its end."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, NoReturn

Work = Callable[[int], bytes]
_PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
_WORD = 8  # bytes of a number, and of the length of an answer
_STOPS = (signal.SIGINT, signal.SIGTERM)


class Worker:
    """A copy of this process that does `work`, piece after piece. It ends with this process, however that ends."""

    def __init__(self, work: Work, others: Sequence[Worker]) -> None:
        asked, self._requests = _pipe()
        self.answers, told = _pipe()
        parent, former = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            self.process = _fork()
            if self.process == 0:
                _serve(work, asked, told, [self, *others], parent)
        except OSError:
            self._close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)
            asked.close()
            told.close()

    def ask(self, number: int) -> None:
        """Hand it a piece of work; that it has died is noticed when it is heard."""
        with suppress(BrokenPipeError):
            self._requests.write(number.to_bytes(_WORD, "little"))

    def receive(self) -> bytes | None:
        """Return its next answer, None where it has died."""
        word = _take(self.answers, _WORD)
        return None if word is None else _take(self.answers, int.from_bytes(word, "little"))

    def end(self, kill: bool = False) -> str:
        """Collect it, ended at once if asked to, and say how it ended."""
        self._close()
        try:
            if kill:
                os.kill(self.process, signal.SIGKILL)
            _, status = os.waitpid(self.process, 0)
        except (ProcessLookupError, ChildProcessError):  # the system collects children by itself
            return "no word of it"
        code = os.waitstatus_to_exitcode(status)
        return f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.strsignal(-code)})"

    def _close(self) -> None:
        self._requests.close()
        self.answers.close()


def _fork() -> int:
    """Fork without Python's warning of threads: whether they matter was thought about before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _serve(work: Work, asked: IO[bytes], told: IO[bytes], workers: Sequence[Worker], parent: int) -> NoReturn:
    """Answer numbers until no more can come, and leave without touching what was copied from the parent."""
    try:
        for number in _STOPS:  # Ctrl-C reaches the whole group, and so may SIGTERM; the parent decides what ends
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        for worker in workers:  # an open copy of the parent's ends would hide from all that the parent is gone
            worker._close()
        gc.freeze()  # what the parent made is not gone through, which would copy its memory page by page
        sys.stderr = os.fdopen(2, "w", closefd=False)  # a thread of the parent may have held the lock of the other
        while os.getppid() == parent and (word := _take(asked, _WORD)) is not None:
            answer = _answer(work, int.from_bytes(word, "little"))
            _put(told, len(answer).to_bytes(_WORD, "little") + answer)
    finally:
        os._exit(1)


def _answer(work: Work, number: int) -> bytes:
    """Do a piece of work; no bytes say that it could not be done, whatever the reason."""
    try:
        return work(number)
    except BaseException:
        return b""


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return open(reading, "rb", buffering=0), open(writing, "wb", buffering=0)


def _take(file: IO[bytes], count: int) -> bytes | None:
    """Read so many bytes, None where they end before."""
    block = b""
    while len(block) < count:
        piece = file.read(count - len(block))
        if not piece:
            return None
        block += piece
    return block


def _put(file: IO[bytes], block: bytes) -> None:
    """Write all of a block; a pipe may take it in parts."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]
