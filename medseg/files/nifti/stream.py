"""Unpacked bytes of a file, in order and with bounded memory, whether it is stored plain or in gzip."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any, Protocol

from medseg.values.error import Refusal

_PIECE = 1 << 17
_GZIP = b"\x1f\x8b"
_HEAD_BYTES = 4  # mark, method, flags
_HEADER_CHECKSUM = 2
_GZIP_WINDOW = 31  # zlib's code for: a gzip header and trailer, both checked
_BLOCK_BYTES = 512
_SMALL_BYTES = 1 << 24
_FREE_MEMBERS = 64
_BYTES_PER_MEMBER = 1024
_FETCH = "fetch or write the file again"


class Stream(Protocol):
    """Bytes that come one after the other: `position` of them are behind us.

    The file is `size` bytes long and takes up `on_disk` bytes, fewer where it has holes.
    """

    position: int
    size: int
    on_disk: int
    packed: bool

    def fill(self, room: memoryview) -> int:
        """Put the next bytes into `room` and return how many there were: fewer than asked for only at the end."""

    def skip(self, count: int) -> None:
        """Pass over `count` bytes, or all that are left."""


class PlainStream:
    """The bytes of a file as they are stored."""

    packed = False

    def __init__(self, file: IO[bytes], status: os.stat_result) -> None:
        self._file = file
        self.position, self.size, self.on_disk = 0, status.st_size, _on_disk(status)

    def fill(self, room: memoryview) -> int:
        """Put the next bytes into `room` and return how many there were."""
        done = 0
        while done < len(room) and (count := self._file.readinto(room[done:])):  # type: ignore[attr-defined]
            done += count
        self.position += done
        return done

    def skip(self, count: int) -> None:
        """Pass over `count` bytes, or all that are left."""
        self.position = self._file.seek(min(self.position + count, self.size))


class GzipStream:
    """The unpacked bytes of a gzip file of one or more members; checksum and length of each are verified.

    Raises EOFError or zlib.error where the file is damaged, or where something else follows the last member.
    """

    packed = True

    def __init__(self, file: IO[bytes], status: os.stat_result, start: bytes) -> None:
        self._file, self._ahead, self._members = file, start, 0
        self._inflate = _inflater(start)
        self.position, self.size, self.on_disk = 0, status.st_size, _on_disk(status)

    def fill(self, room: memoryview) -> int:
        """Put the next bytes into `room` and return how many there were."""
        done = 0
        while done < len(room) and (piece := self._next(len(room) - done)):
            room[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def skip(self, count: int) -> None:
        """Pass over `count` bytes, or all that are left."""
        while count > 0 and (piece := self._next(min(count, _PIECE))):
            count -= len(piece)

    def _next(self, most: int) -> bytes:
        while not self._inflate.eof or self._next_member():
            packed = self._ahead or self._file.read(_PIECE)
            try:
                piece: bytes = self._inflate.decompress(packed, most)
            except (zlib.error, codec().error) as error:
                raise zlib.error(str(error)) from error
            self._ahead = self._inflate.unconsumed_tail
            if piece:
                self.position += len(piece)
                return piece
            if not packed and not self._inflate.eof:
                raise EOFError("it ends before its end-of-stream marker")
        return b""

    def _next_member(self) -> bool:
        """Begin the next member if there is one. Some zeros may pad the last one, as gzip(1) has it."""
        rest = self._inflate.unused_data
        rest = rest + self._file.read(_PIECE - len(rest)) if len(rest) < _HEAD_BYTES else rest
        if not rest.strip(b"\0") and not self._file.read(1):
            return False
        self._members += 1
        if not rest.startswith(_GZIP):
            raise zlib.error("something else follows the gzip stream")
        if self._members > _FREE_MEMBERS + self.position // _BYTES_PER_MEMBER:
            raise zlib.error("it is in thousands of pieces that hold nothing")
        self._inflate, self._ahead = _inflater(rest), rest
        return True


def read_start(stream: Stream, count: int) -> bytes:
    """Return the next `count` bytes of a stream, fewer at its end."""
    room = bytearray(count)
    return bytes(room[: stream.fill(memoryview(room))])


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """Open a regular file as a stream; its first bytes, and not its name, tell whether it is packed.

    Refuses what is no file; a pipe or a device is never opened, so it cannot block.
    """
    if not path.is_file():
        remedy = "write the path with / and not \\" if "\\" in str(path) else _FETCH
        raise Refusal(str(path), "is a file that exists", "no file" if path.exists() else "nothing there", remedy)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            raise Refusal(str(path), "is a file that exists", "no file", _FETCH)
        start = file.read(_HEAD_BYTES)
        if start.startswith(_GZIP):
            yield GzipStream(file, status, start)
        else:
            file.seek(0)
            yield PlainStream(file, status)


def _on_disk(status: os.stat_result) -> int:
    """Return the bytes that a file takes up; its size where that is small or the file system does not tell."""
    blocks = status.st_blocks * _BLOCK_BYTES
    return min(status.st_size, blocks) if blocks and status.st_size > _SMALL_BYTES else status.st_size


def _inflater(head: bytes) -> Any:
    """Return what unpacks a member with this head: zlib where the header has a checksum, which isal gets wrong."""
    plain = len(head) < _HEAD_BYTES or head[3] & _HEADER_CHECKSUM
    return (zlib if plain else codec()).decompressobj(_GZIP_WINDOW)


@cache
def codec() -> Any:
    """Return the package isal's stand-in for zlib where it is installed (the same bytes in less time), else zlib."""
    try:
        return import_module("isal.isal_zlib")
    except ImportError:
        return zlib
