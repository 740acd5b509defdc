"""The data elements of a DICOM file up to its pixels, read without trusting a single length."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from medseg.values.error import Refusal

FETCH = "fetch or write the file again"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_NEUTRAL = {0x00281052: "0", 0x00281053: "1", 0x00280004: "MONOCHROME2"}

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
# Sequences that are looked into where the file does not name types (implicit VR).
_SEQUENCES = (
    0x00209113,
    0x00209116,
    0x00283000,
    0x00289110,
    0x00289145,
    0x00620002,
    0x0062000A,
    0x52009229,
    0x52009230,
)
_LONGEST_VALUE = 1 << 16
_MOST_ELEMENTS = 400_000
_DEEPEST = 12
_PREAMBLE = 128

Elements = dict[int, "bytes | list[Elements]"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """Elements by tag: values as stored (those over 64 KiB left out), sequences as lists of elements.

    `pixels` is (tag, first byte, length) of the pixel data, the length None where it is packed in fragments, which
    `fragments` then counts. `neutral` are (first byte, text) that make a reader hand out the pixels as they are stored:
    without rescale slope and intercept, and not inverted for display.
    """

    path: Path
    syntax: str
    elements: Elements
    pixels: tuple[int, int, int | None] | None = None
    fragments: int = 0
    neutral: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class _Stream:
    """The bytes of one file, their order and way of writing, and what was met so far."""

    file: BinaryIO
    size: int
    name: str
    explicit: bool = True
    order: str = "<"
    count: int = 0
    neutral: list[tuple[int, str]] = field(default_factory=list)
    pixels: tuple[int, int, int | None] | None = None
    fragments: int = 0

    def take(self, count: int) -> bytes:
        block = self.file.read(count)
        if len(block) != count:
            raise self.cut()
        return block

    def skip(self, count: int) -> None:
        if self.file.tell() + count > self.size:
            raise self.cut()
        self.file.seek(count, 1)

    def tag(self) -> int:
        group, element = struct.unpack(self.order + "HH", self.take(4))
        return int(group << 16 | element)

    def length(self) -> int:
        return int(struct.unpack(self.order + "I", self.take(4))[0])

    def cut(self) -> Refusal:
        return Refusal(self.name, "is as long as its elements claim", f"an end after {self.size} bytes", FETCH)


def is_dicom_file(path: Path) -> bool:
    """Tell whether a regular file carries DICOM's mark behind its preamble."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"
    except OSError:
        return False


def parse(path: Path) -> Parsed:
    """Read the elements of a DICOM file up to its pixel data, whose bytes are measured and not read.

    Source: DICOM PS3.5 and PS3.10. Refuses a file that is cut anywhere, and a deflated one.
    """
    with path.open("rb") as file:
        stream = _Stream(file, path.stat().st_size, str(path))
        if stream.file.read(_PREAMBLE + 4)[_PREAMBLE:] != b"DICM":
            raise Refusal(str(path), "is a DICOM file (DICM at byte 128)", "another mark", FETCH)
        meta: Elements = {}
        _elements(stream, meta, stream.size, 0, only_meta=True)
        syntax = text_of(meta, 0x00020010)
        if not syntax or syntax == DEFLATED:
            value = "deflated" if syntax else "nothing"
            raise Refusal(str(path), "names a transfer syntax that is not deflated", value, "write it uncompressed")
        stream.explicit = syntax != IMPLICIT
        stream.order = ">" if syntax == EXPLICIT_BIG else "<"
        elements: Elements = {}
        _elements(stream, elements, stream.size, 0)
        return Parsed(path, syntax, elements, stream.pixels, stream.fragments, tuple(stream.neutral))


def text_of(elements: Elements, tag: int) -> str:
    """Return a value as text without padding, "" where there is none."""
    value = elements.get(tag, b"")
    return "" if isinstance(value, list) else value.decode("latin-1").strip(" \0")


def _elements(stream: _Stream, into: Elements, end: int, depth: int, only_meta: bool = False) -> None:
    """Read elements until `end`, an end of item, pixel data, or (only_meta) the first one outside group 2."""
    while stream.file.tell() < end and stream.pixels is None:
        begin = stream.file.tell()
        tag = stream.tag()
        if only_meta and tag >> 16 != 2:
            stream.file.seek(begin)
            return
        if tag == _ITEM_END:
            stream.length()
            return
        kind, length = _kind_and_length(stream)
        stream.count += 1
        if stream.count > _MOST_ELEMENTS or depth > _DEEPEST:
            raise Refusal(stream.name, f"has at most {_MOST_ELEMENTS} elements, {_DEEPEST} deep", "more", FETCH)
        if tag in PIXELS:
            _pixels(stream, tag, length, depth == 0)
        elif kind == b"SQ" or length == _UNDEFINED or (not kind and tag in _SEQUENCES):
            into[tag] = _sequence(stream, kind, length, depth + 1)
        else:
            _value(stream, into, tag, length)


def _kind_and_length(stream: _Stream) -> tuple[bytes, int]:
    if not stream.explicit:
        return b"", stream.length()
    kind = stream.take(2)
    if not kind.isalpha() or not kind.isupper():
        raise Refusal(stream.name, "every element names its type", kind.hex(), FETCH)
    if kind in _LONG:
        stream.take(2)
        return kind, stream.length()
    return kind, int(struct.unpack(stream.order + "H", stream.take(2))[0])


def _value(stream: _Stream, into: Elements, tag: int, length: int) -> None:
    begin = stream.file.tell()
    if length > _LONGEST_VALUE:
        stream.skip(length)
        return
    value = stream.take(length)
    into[tag] = value
    wanted = _NEUTRAL.get(tag)
    if wanted and length >= len(wanted) and value.strip(b" \0") != wanted.encode():
        stream.neutral.append((begin, wanted.ljust(length)))


def _sequence(stream: _Stream, kind: bytes, length: int, depth: int) -> list[Elements]:
    """Read a sequence; one of unknown type (UN) and undefined length is written without types, whatever the rest is."""
    explicit = stream.explicit
    stream.explicit = explicit and kind != b"UN"
    items = list(_items(stream, length, depth))
    stream.explicit = explicit
    return items


def _items(stream: _Stream, length: int, depth: int) -> Iterator[Elements]:
    """Yield the items of a sequence; its end is named, or marked where the length is undefined."""
    end = stream.size if length == _UNDEFINED else stream.file.tell() + length
    if end > stream.size:
        raise stream.cut()
    while stream.file.tell() < end:
        tag, size = stream.tag(), stream.length()
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM:
            raise Refusal(stream.name, "a sequence holds items", f"{tag:08x}", FETCH)
        stop = stream.size if size == _UNDEFINED else stream.file.tell() + size
        if stop > stream.size:
            raise stream.cut()
        item: Elements = {}
        _elements(stream, item, stop, depth)
        yield item
    if length == _UNDEFINED:
        raise stream.cut()


def _pixels(stream: _Stream, tag: int, length: int, own: bool) -> None:
    """Measure pixel data: one block, or fragments behind a table of offsets. An icon's are not the file's own."""
    begin, fragments = stream.file.tell(), 0
    if length != _UNDEFINED:
        stream.skip(length)
    else:
        while (item := stream.tag()) != _SEQUENCE_END:
            if item != _ITEM or fragments > _MOST_ELEMENTS:
                raise Refusal(stream.name, "packed pixels are fragments with an end", f"{item:08x}", FETCH)
            stream.skip(stream.length())
            fragments += 1
        stream.length()
    if own:
        stream.pixels = (tag, begin, None if length == _UNDEFINED else length)
        stream.fragments = fragments - 1
