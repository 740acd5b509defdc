"""The door that bytes of NIfTI files come in by: whole, of the size they claim, or refused."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from medseg.files.nifti_header import HEADER_BYTES, Header, parse_header
from medseg.values.error import Refusal

_PIECE = 1 << 20
_LARGEST_GZIP_RATIO = 1032
_FETCH = "fetch or write the file again"


@contextmanager
def door(path: Path) -> Iterator[None]:
    """Turn everything that a damaged file makes a reader raise into one `Refusal` that names the file."""
    try:
        yield
    except (Refusal, MemoryError):
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Refusal(str(path), "the gzip stream is whole", error, _FETCH) from error
    except OSError as error:
        raise Refusal(str(path), "the file can be read", error.strerror or error, "check path and rights") from error
    except Exception as error:
        value = f"{type(error).__name__} ({error})"
        raise Refusal(str(path), "the file is a readable NIfTI image", value, _FETCH) from error


def read_header(path: Path) -> Header:
    """Read and check the header of a NIfTI file (.nii, or the .hdr or .img of a pair; packed or not)."""
    with door(path):
        head, voxels = _head_and_voxels(path)
        with _unpacked(head) as file:
            return parse_header(str(path), file.read(HEADER_BYTES), voxels_apart=head != voxels)


def read_volume_bytes(path: Path, header: Header, component: int) -> bytearray:
    """Return the stored bytes of volume number `component`.

    The file is read to its end, so that a gzip checksum is verified, but never more than one volume is held.
    Refuses a file that is shorter or longer than its header claims, before anything is allocated where
    its size on disk tells.
    """
    with door(path):
        _, voxels = _head_and_voxels(path)
        _check_size_on_disk(voxels, header.total_bytes)
        start = header.offset + component * header.volume_bytes
        return _span(voxels, start, start + header.volume_bytes, header.total_bytes)


def _span(path: Path, start: int, stop: int, total: int) -> bytearray:
    """Return bytes [start, stop) of an unpacked file that must be `total` bytes long."""
    kept, position = bytearray(), 0
    with _unpacked(path) as file:
        while piece := file.read(_PIECE):
            kept += piece[max(0, start - position) : max(0, stop - position)]
            position += len(piece)
            if position > total:
                raise _wrong_size(path, total, f"at least {position}")
    if position != total:
        raise _wrong_size(path, total, str(position))
    return kept


def _check_size_on_disk(path: Path, total: int) -> None:
    size = path.stat().st_size
    if not _is_packed(path):
        if size != total:
            raise _wrong_size(path, total, str(size))
    elif size * _LARGEST_GZIP_RATIO < total:
        raise _wrong_size(path, total, f"at most {size * _LARGEST_GZIP_RATIO}")


def _wrong_size(path: Path, total: int, real: str) -> Refusal:
    return Refusal(str(path), "is as long as its header claims", f"{real} of {total} bytes", _FETCH)


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as stored:
        if _is_packed(path):
            with gzip.GzipFile(fileobj=stored, mode="rb") as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield stored


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _head_and_voxels(path: Path) -> tuple[Path, Path]:
    """Return the files that hold header and voxels: twice the same one, or the two of a pair."""
    packed = ".gz" if path.name.endswith(".gz") else ""
    stem, _, kind = path.name.removesuffix(".gz").rpartition(".")
    pair = kind in ("hdr", "img")
    found = tuple(path.with_name(f"{stem}.{part}{packed}") for part in ("hdr", "img")) if pair else (path, path)
    for file in found:
        if not file.is_file():
            raise Refusal(
                str(file), "is a file that exists", "nothing there" if not file.exists() else "no file", _FETCH
            )
    return found[0], found[1]
