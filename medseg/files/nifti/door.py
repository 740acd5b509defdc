"""The door that NIfTI files come in by: whole, of the size they claim, or refused."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medseg.files.nifti.affine import check_choices
from medseg.files.nifti.header import NIFTI_1_BYTES, Header, header_bytes, parse_header
from medseg.files.nifti.stream import Stream, opened, read_start
from medseg.files.reading import Reading
from medseg.files.scan_names import ending_of
from medseg.values.error import Refusal

_LARGEST_GZIP_RATIO = 1032
_LARGEST_IMAGE_RATIO = 500
_LARGEST_USUAL_RATIO = 32
_SMALL_BYTES = 1 << 24
_FETCH = "fetch or write the file again"
_PARTNER = {"hdr": "img", "img": "hdr"}


@dataclass(frozen=True, slots=True)
class Source:
    """A NIfTI file whose header was checked; the stream stands behind the header, or at the start of the .img.

    `path` is what was asked for, `file` is where the voxels lie.
    """

    path: Path
    file: Path
    header: Header
    stream: Stream

    def fill(self, room: memoryview) -> None:
        """Put the next bytes into `room`; refuses a file that ends before."""
        if self.stream.fill(room) < len(room):
            raise self.wrong_size(str(self.stream.position))

    def finish(self) -> None:
        """Go to the end, so that a gzip trailer is verified; refuses a file of another size than claimed."""
        total = self.header.total_bytes
        self.stream.skip(total - self.stream.position)
        if self.stream.position < total:
            raise self.wrong_size(str(self.stream.position))
        if self.stream.fill(memoryview(bytearray(1))):
            raise self.wrong_size(f"at least {self.stream.position}")

    @contextmanager
    def again(self) -> Iterator[Source]:
        """Open the voxels a second time, from the first byte on."""
        with opened(self.file) as stream:
            yield Source(self.path, self.file, self.header, stream)

    def wrong_size(self, real: str) -> Refusal:
        """Make the refusal of a file that is shorter or longer than its header claims."""
        value = f"{real} of {self.header.total_bytes} bytes"
        return Refusal(str(self.path), "is as long as its header claims", value, _FETCH)


@contextmanager
def door(path: Path) -> Iterator[None]:
    """Turn everything that a damaged file makes a reader raise into one `Refusal` that names the file."""
    try:
        yield
    except (Refusal, MemoryError):
        raise
    except (EOFError, zlib.error) as error:
        raise Refusal(str(path), "the gzip stream is whole", error, _FETCH) from error
    except OSError as error:
        raise Refusal(str(path), "the file can be read", error.strerror or error, "check path and rights") from error
    except Exception as error:
        value = f"{type(error).__name__} ({error})"
        raise Refusal(str(path), "the file is a readable NIfTI image", value, _FETCH) from error


@contextmanager
def entered(path: Path, reading: Reading) -> Iterator[Source]:
    """Open a NIfTI file (.nii, or the .hdr or .img of a pair; packed or not) with its header and size checked.

    Nothing that a header claims has been allocated by then.
    """
    check_choices(reading)
    with door(path):
        head, voxels = _head_and_voxels(path)
        with opened(head) as stream:
            block = read_start(stream, NIFTI_1_BYTES)
            block += read_start(stream, header_bytes(block) - NIFTI_1_BYTES)
            header = parse_header(str(path), block, voxels is not None, reading)
            if voxels is None:
                yield _sized(Source(path, head, header, stream))
                return
        with opened(voxels) as stream:
            yield _sized(Source(path, voxels, header, stream))


def check_image_size(source: Source) -> None:
    """Refuse an image that claims to have shrunk more than any scan does: nothing but zeros, or a bomb."""
    claimed, on_disk = source.header.total_bytes, source.stream.on_disk
    if claimed > max(_SMALL_BYTES, _LARGEST_IMAGE_RATIO * on_disk):
        value = f"{claimed} bytes from {on_disk} on disk"
        remedy = "store it uncompressed and without holes if it is real"
        raise Refusal(str(source.path), f"no image shrinks more than {_LARGEST_IMAGE_RATIO} times", value, remedy)


def is_suspicious(source: Source) -> bool:
    """Tell whether a large gzip file should be read to its end once before memory is taken for what it claims."""
    claimed = source.header.total_bytes
    return source.stream.packed and claimed > max(_SMALL_BYTES, _LARGEST_USUAL_RATIO * source.stream.on_disk)


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return the file, or both of a header/image pair, as far as they exist, by name."""
    with door(path):
        parts = _pair(path) or (path,)
        return tuple(sorted((part for part in parts if part.is_file()), key=lambda part: part.name))


def _sized(source: Source) -> Source:
    stream, total = source.stream, source.header.total_bytes
    if not stream.packed and stream.size != total:
        raise source.wrong_size(str(stream.size))
    if stream.packed and stream.size * _LARGEST_GZIP_RATIO < total:
        raise source.wrong_size(f"at most {stream.size * _LARGEST_GZIP_RATIO}")
    return source


def _head_and_voxels(path: Path) -> tuple[Path, Path | None]:
    """Return the file with the header, and the file of its voxels where that is another one."""
    return _pair(path) or (path, None)


def _pair(path: Path) -> tuple[Path, Path] | None:
    """Return header and voxels of a pair; the other half may be packed in another way, or missing."""
    ending = ending_of(path.name)
    kind = ending[1:4]
    if kind.lower() not in _PARTNER:
        return None
    other = _PARTNER[kind.lower()] if kind.islower() else _PARTNER[kind.lower()].upper()
    stem, packed = path.name[: -len(ending)], ending[4:]
    same = path.with_name(f"{stem}.{other}{packed}")
    mixed = path.with_name(f"{stem}.{other}" if packed else f"{stem}.{other}.gz")
    partner = mixed if mixed.is_file() and not same.is_file() else same
    return (path, partner) if kind.lower() == "hdr" else (partner, path)
